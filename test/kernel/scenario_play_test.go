// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// A play is a scenario: a namespace with listeners, a load that goes on while
// qtune watches, and what qtune must say of it.
type play struct {
	t     testing.TB
	ns    *lab.Namespace
	wire  *lab.Wire
	also  []*lab.Namespace // others it is about
	netns string           // --netns
	span  string           // --for

	repeated []*event
	once     []*event
	ready    []func() bool // the load has come so far that qtune may begin

	came     []func(testing.TB, *inspection.Inspection) // that the load did what the row is about
	verdicts []verdict
	must     []string // codes of info findings
	may      []string
}

// An event is a part of the load.
type event struct {
	period time.Duration // of what is repeated
	next   time.Time
	do     func()
}

func newPlay(t testing.TB) *play {
	t.Helper()
	ns := lab.NewNamespace(t)
	return &play{t: t, ns: ns, netns: ns.Path(), span: "1500ms"}
}

// every lets something happen from before qtune begins until it has ended.
func (p *play) every(period time.Duration, do func()) {
	p.repeated = append(p.repeated, &event{period: period, do: do})
}

// after lets something happen once, this long after qtune has begun to watch.
func (p *play) after(d time.Duration, do func()) {
	p.once = append(p.once, &event{period: d, do: do})
}

// until lets qtune begin no sooner than the load has come so far.
func (p *play) until(ready func() bool) { p.ready = append(p.ready, ready) }

// untilMoved lets qtune begin when a counter has moved.
func (p *play) untilMoved(counter string) {
	p.until(func() bool { return p.ns.Counters()[counter] > 0 })
}

// cable gives the play a wire and returns it.
func (p *play) cable() *lab.Wire {
	if p.wire == nil {
		p.wire = p.ns.NewWire("near")
	}
	return p.wire
}

// server starts a server of the play, which is as slow as it is told to be and
// not as slow as this machine is.
func (p *play) server(process lab.Process) *lab.Child {
	p.t.Helper()
	process.Plain = true
	c := p.ns.Start(process)
	c.Hurry()
	return c
}

// listen starts a server with one listener.
func (p *play) listen(s lab.Socket) *lab.Held {
	p.t.Helper()
	return p.server(lab.Process{Listen: []lab.Socket{s}}).Listeners[0]
}

// clients returns clients of a listener.
func (p *play) clients(l *lab.Held) *lab.Clients {
	return lab.NewClients(p.t, l.AddrPort(), 1000)
}

// stand lets connections stand in a queue that nobody empties.
func (p *play) stand(l *lab.Held, count int) {
	p.t.Helper()
	p.ns.Do(func() { p.clients(l).Come(count) })
	lab.Wait(p.t, "connections to be queued", func() bool {
		length, limit := l.Queue()
		return length >= min(uint32(count), limit+1)
	})
}

// keep lets so many clients come every so often that the queue, which somebody
// empties, is this long, and then some more.
func (p *play) keep(l *lab.Held, period time.Duration, length uint32, more int) {
	c := p.clients(l)
	p.every(period, func() {
		now, _ := l.Queue()
		c.Come(max(0, int(length)-int(now)) + more)
	})
	p.until(func() bool {
		now, _ := l.Queue()
		return now >= length*9/10
	})
}

// run plays and judges.
func (p *play) run() {
	p.t.Helper()
	if len(p.repeated) > 0 {
		// The namespace's own thread lets the load happen.
		going := false
		deadline := time.Now().Add(10 * time.Second)
		p.ns.Do(func() {
			p.load(nil, func() bool {
				going = !slices.ContainsFunc(p.ready, func(ready func() bool) bool { return !ready() })
				return going || time.Now().After(deadline)
			})
		})
		if !going {
			p.t.Fatal("the load did not get going")
		}
	}
	qtune := lab.Go(p.t, "-o", "json", "--netns", p.netns, "--for", p.span)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		if p.span != "0" {
			qtune.WaitIdle()
		}
	}()
	p.ns.Do(func() { p.load(watching, func() bool { return !qtune.Running() }) })
	<-watching
	in := qtune.Inspection()
	for _, came := range p.came {
		came(p.t, in)
	}
	p.judge(in)
}

// load lets events happen until done says so; those that happen once, after
// watching is closed.
func (p *play) load(watching <-chan struct{}, done func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		now := <-tick.C
		select {
		case <-watching:
			for _, e := range p.once {
				e.next = now.Add(e.period)
			}
			watching = nil
		default:
		}
		for _, e := range p.repeated {
			if !now.Before(e.next) {
				e.next = now.Add(e.period)
				e.do()
			}
		}
		for _, e := range p.once {
			if !e.next.IsZero() && !now.Before(e.next) {
				e.do()
				e.next = now.Add(time.Hour)
			}
		}
	}
}

// moved wants of the load that it moved a counter in the window at least so far.
func (p *play) moved(counter string, least uint64) {
	p.came = append(p.came, func(t testing.TB, in *inspection.Inspection) {
		if n := p.ns.In(in).Moved[counter]; n < least {
			t.Errorf("the load did not: %s moved by %d, want at least %d", counter, n, least)
		}
	})
}

// still wants of the load that a counter did not move in the window.
func (p *play) still(counters ...string) {
	p.came = append(p.came, func(t testing.TB, in *inspection.Inspection) {
		for _, c := range counters {
			if n := p.ns.In(in).Moved[c]; n != 0 {
				t.Errorf("the load did more: %s moved by %d, want 0", c, n)
			}
		}
	})
}

// peaked wants of the load that it filled a queue between two lengths.
func (p *play) peaked(l *lab.Held, least, most uint32) {
	p.seen(l.Inode, func(t testing.TB, got inspection.Listener) {
		if got.AcceptQueue.Peak == nil || *got.AcceptQueue.Peak < least || *got.AcceptQueue.Peak > most {
			t.Errorf("the load did not: peak %v of %d, want %d to %d", value(got.AcceptQueue.Peak), got.AcceptQueue.Limit, least, most)
		}
	})
}

// discarded wants of the load that packets were discarded for a listener.
func (p *play) discarded(l *lab.Held, least uint64) {
	p.seen(l.Inode, func(t testing.TB, got inspection.Listener) {
		if got.Discards.Window == nil || *got.Discards.Window < least {
			t.Errorf("the load did not: %v packets discarded on port %d, want at least %d", value(got.Discards.Window), got.Port, least)
		}
	})
}

func (p *play) seen(inode uint32, check func(testing.TB, inspection.Listener)) {
	p.came = append(p.came, func(t testing.TB, in *inspection.Inspection) {
		for _, l := range in.Listeners {
			if l.Inode == inode {
				check(t, l)
				return
			}
		}
		t.Errorf("listener %d is missing", inode)
	})
}
