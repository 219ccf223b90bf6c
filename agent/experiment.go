// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"math"

	"github.com/qtune/qtune/tcpq"
)

// A flow is what came to one listener while it was watched: one side of an
// experiment. The zero value has seen nothing.
type flow struct {
	accepted uint64  // connections that entered an accept queue of its namespace
	seconds  float64 // in which its namespace was seen
	peak     uint32  // longest accept queue

	tally     tcpq.Tally
	mine, all uint64 // queue activity: of the listener, of all in its namespace
}

// flowOf returns what a window shows.
func flowOf(w *tcpq.Window, id tcpq.ListenerID) *flow {
	f := &flow{}
	for i := range w.Deltas {
		f.add(&w.Deltas[i], id)
	}
	return f
}

// add takes in a slot, or the step after it.
func (f *flow) add(d *tcpq.Delta, id tcpq.ListenerID) {
	ns := d.Namespaces[id.Netns]
	if ns == nil {
		return // not visited: nothing is known of that time
	}
	l := ns.Listeners[id.Cookie]
	f.accepted += ns.Counters.Value(tcpq.PassiveOpens)
	f.seconds += d.End.Sub(d.Start).Seconds()
	f.peak = max(f.peak, l.Longest())
	f.tally.Add(ns, &l)
	for cookie, other := range ns.Listeners {
		busy := uint64(other.Longest()) + uint64(other.Discards)
		f.all += busy
		if cookie == id.Cookie {
			f.mine += busy
		}
	}
}

// refused returns how many packets of new connections were refused at most. What was
// merely discarded is no loss: a scan that stops proves nothing.
func (f *flow) refused() uint64 { return f.tally.Max() }

// packets returns how many asked to come in: those that did, and each refusal.
func (f *flow) packets() uint64 { return f.accepted + f.refused() }

// rate returns the share of them that was refused.
func (f *flow) rate() float64 { return float64(f.refused()) / float64(max(1, f.packets())) }

// offered returns how many connections came in a second. Who is refused asks again,
// about four times: only a quarter of the refusals are clients of their own.
func (f *flow) offered() float64 {
	if f.seconds == 0 {
		return 0
	}
	return (float64(f.accepted) + float64(f.refused())/4) / f.seconds
}

// attributed reports whether the namespace's counters tell of this listener: at
// least nine tenths of what its queues showed is its own.
func (f *flow) attributed() bool { return f.mine*10 >= f.all*9 }

// significance is how unlikely a difference must be when nothing has changed.
const significance = 0.01

// chanceOfFewer returns how likely it is that so few are refused of the packets
// after, or fewer, when packets are refused as often as before. Given how many were
// refused in all, it is a coin for each of them on which side it fell: a binomial
// test. Refusals come in bursts and are no coins, so the number is smaller than the
// truth; halving the rate is asked for beside it.
func chanceOfFewer(before, after *flow) float64 {
	n0, n1 := float64(before.packets()), float64(after.packets())
	if n0+n1 == 0 {
		return 1
	}
	d1 := after.refused()
	return binomial(d1, before.refused()+d1, n1/(n0+n1))
}

// binomial returns the probability of k heads or fewer in n throws of a coin that
// shows heads with probability p.
func binomial(k, n uint64, p float64) float64 {
	switch {
	case k >= n || p <= 0:
		return 1
	case p >= 1:
		return 0
	case float64(k) > float64(n)*p: // the shorter tail is the other one
		return 1 - binomialTail(n-k-1, n, 1-p)
	}
	return binomialTail(k, n, p)
}

// binomialTail is binomial for k up to the mean: from k downwards each term is
// smaller than the one before, so it soon ends.
func binomialTail(k, n uint64, p float64) float64 {
	term := math.Exp(logChoose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	sum := 0.0
	for i := k; ; i-- {
		sum += term
		if i == 0 || term < sum*1e-17 {
			return min(1, sum)
		}
		term *= float64(i) / float64(n-i+1) * (1 - p) / p
	}
}

// logChoose returns the logarithm of n over k.
func logChoose(n, k uint64) float64 {
	gamma := func(x uint64) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return gamma(n) - gamma(k) - gamma(n-k)
}
