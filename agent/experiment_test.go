// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// TestBinomial compares with fractions worked out by hand.
func TestBinomial(t *testing.T) {
	tests := []struct {
		name string
		k, n uint64
		p    float64
		want float64
	}{
		{"of no throws there are no heads", 0, 0, 0.5, 1},
		{"none of ten", 0, 10, 0.5, 1.0 / 1024},
		{"half of ten or fewer", 5, 10, 0.5, 638.0 / 1024},
		{"two of twenty or fewer", 2, 20, 0.5, 211.0 / 1048576},
		{"all", 20, 20, 0.5, 1},
		{"a coin that never shows heads", 0, 7, 0, 1},
		{"a coin that always does", 6, 7, 1, 0},
		{"three of five, two thirds", 3, 5, 2.0 / 3, 131.0 / 243},
		{"so few that it is nothing", 0, 100000, 0.5, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := binomial(tt.k, tt.n, tt.p); math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("binomial(%d, %d, %g) = %g, want %g", tt.k, tt.n, tt.p, got, tt.want)
			}
		})
	}
}

// TestBinomialExactly compares with exact fractions, on both sides of the mean.
func TestBinomialExactly(t *testing.T) {
	const n = 60
	p := big.NewRat(3, 10)
	q := big.NewRat(7, 10)
	sum := new(big.Rat)
	for k := range int64(n) + 1 {
		term := new(big.Rat).SetInt(new(big.Int).Binomial(n, k))
		for range k {
			term.Mul(term, p)
		}
		for range n - k {
			term.Mul(term, q)
		}
		sum.Add(sum, term)
		want, _ := sum.Float64()
		if got := binomial(uint64(k), n, 0.3); math.Abs(got-want) > 1e-12 {
			t.Errorf("binomial(%d, %d, 0.3) = %.15g, want %.15g", k, n, got, want)
		}
	}
}

// sideOf returns a flow of so many packets, of which some were refused, in ten
// minutes.
func sideOf(accepted, refused uint64) *flow {
	f := &flow{}
	f.add(deltaOf(accepted, refused, refused, 0, 0), flowID)
	return f
}

var flowID = tcpq.ListenerID{Netns: tcpq.NetnsID{Inode: 1}, Cookie: 7}

// deltaOf is a slot of ten minutes: what entered the queue, what the namespace
// refused, what the listener discarded, what another one did; and the longest queue.
func deltaOf(accepted, drops, mine, others uint64, peak uint32) *tcpq.Delta {
	ns := &tcpq.NamespaceDelta{Discards: mine + others, Listeners: map[uint64]tcpq.ListenerDelta{
		flowID.Cookie: {Discards: uint32(mine), Peak: peak, AcceptFull: drops > 0},
	}}
	if others > 0 {
		ns.Listeners[8] = tcpq.ListenerDelta{Discards: uint32(others)}
	}
	ns.Counters.Set(tcpq.PassiveOpens, accepted)
	ns.Counters.Set(tcpq.ListenDrops, drops)
	ns.Counters.Set(tcpq.ListenOverflows, drops)
	start := time.Unix(0, 0)
	return &tcpq.Delta{Start: start, End: start.Add(10 * time.Minute), Namespaces: map[tcpq.NetnsID]*tcpq.NamespaceDelta{flowID.Netns: ns}}
}

func TestFlow(t *testing.T) {
	f := &flow{}
	f.add(deltaOf(900, 100, 5000, 0, 64), flowID)
	if got := f.refused(); got != 100 {
		t.Errorf("refused() = %d, want 100: what a scan made it discard is no loss", got)
	}
	if got := f.rate(); got != 0.1 {
		t.Errorf("rate() = %g, want 0.1", got)
	}
	if got, want := f.offered(), 925.0/600; got != want {
		t.Errorf("offered() = %g, want %g", got, want)
	}
	if f.add(&tcpq.Delta{}, flowID); f.seconds != 600 {
		t.Errorf("%g s were watched, want 600: the namespace was not visited in the last slot", f.seconds)
	}
	if !f.attributed() {
		t.Error("attributed() = false, want true: it is alone")
	}
	if f.add(deltaOf(0, 0, 0, 600, 0), flowID); f.attributed() {
		t.Error("attributed() = true, want false: a tenth is another's")
	}
}

func TestChanceOfFewer(t *testing.T) {
	tests := []struct {
		name          string
		before, after *flow
		proves        bool
	}{
		{"none of as many", sideOf(1000, 40), sideOf(1040, 0), true},
		{"half of as many", sideOf(1000, 40), sideOf(1020, 20), true},
		{"half of few", sideOf(1000, 8), sideOf(1004, 4), false},
		{"a scan that stops: as many refused as before", sideOf(1000, 40), sideOf(1000, 40), false},
		{"none of hardly any", sideOf(1000, 40), sideOf(50, 0), false},
		{"nothing on both sides", sideOf(0, 0), sideOf(0, 0), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := chanceOfFewer(tt.before, tt.after)
			if got := p < significance; got != tt.proves {
				t.Errorf("chanceOfFewer = %g, proves %t, want %t", p, got, tt.proves)
			}
		})
	}
}
