// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/qtune/qtune/host"
)

// The load.
const (
	eventsPerSecond = 20
	podsMost        = 45
	podsLeast       = 30
	guestsMost      = 2 // processes of a pod besides the first
	portsMost       = 6 // listeners of a pod besides the first
	refusedMost     = 20
)

// A pod is a namespace with its processes, and what was done to it.
type pod struct {
	inode  uint64
	cookie string
	veth   string // on the node's side; "" when it has none
	loses  bool   // its first listener turns clients away; others never do

	first  *process
	guests []*process

	// What the scrapers read; load.mu guards it.
	pids    map[int]bool
	refused uint64    // clients turned away, those included who are just coming
	touched time.Time // when the last of them came, or the pod began
	ended   time.Time // zero while it lives
}

// A load makes pods come and go, and remembers all of them.
type load struct {
	report *report
	node   *host.PrivateNamespace
	living []*pod // of the goroutine that runs it

	mu      sync.Mutex // guards what follows, and what a pod says it does
	byInode map[uint64][]*pod
	events  int
	ports   int
	veths   int

	leaving sync.WaitGroup // veths that are waited for
}

func newLoad(r *report) *load { return &load{report: r, byInode: map[uint64][]*pod{}} }

// run makes an event each 50 ms.
func (l *load) run(ctx context.Context) error {
	live, err := host.NewLive("/")
	if err != nil {
		return err
	}
	if l.node, err = live.NewNamespace(); err != nil {
		return err
	}
	return every(ctx, time.Second/eventsPerSecond, func() error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := l.event(ctx)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	})
}

// event does one thing, of those that keep the numbers where they are.
func (l *load) event(ctx context.Context) error {
	l.mu.Lock()
	l.events++
	l.mu.Unlock()
	dice := rand.N(100)
	if len(l.living) < podsLeast || dice < 5 && len(l.living) < podsMost {
		return l.startPod(ctx)
	}
	i := rand.N(len(l.living))
	p := l.living[i]
	switch {
	case dice < 10:
		l.living = slices.Delete(l.living, i, i+1)
		l.endPod(ctx, p)
		return nil
	case dice < 25:
		return l.startGuest(p)
	case dice < 40:
		l.endGuest(p)
		return nil
	case dice < 55 && p.loses:
		return l.refuse(p)
	case len(p.first.ports) < rand.N(portsMost+1):
		return l.open(p)
	}
	return l.closeOne(p)
}

func (l *load) startPod(ctx context.Context) error {
	first, err := startProcess(true)
	if err != nil {
		return err
	}
	p := &pod{
		inode: first.inode, cookie: first.cookie, first: first, loses: rand.N(2) == 0,
		pids: map[int]bool{first.pid: true}, touched: time.Now(),
	}
	l.living = append(l.living, p)
	l.mu.Lock()
	l.byInode[p.inode] = append(l.byInode[p.inode], p)
	l.veths++
	number := l.veths
	l.mu.Unlock()
	if err := first.tell("listen", mainPort); err != nil {
		return err
	}
	if number%3 == 0 {
		p.veth = fmt.Sprintf("pod%d", number)
		return l.inNode(func() error {
			return runIP(ctx, "link", "add", p.veth, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(first.pid))
		})
	}
	return nil
}

// endPod kills all processes of a pod.
func (l *load) endPod(ctx context.Context, p *pod) {
	for _, g := range append(p.guests, p.first) {
		g.kill()
	}
	l.mu.Lock()
	p.ended = time.Now()
	l.ports -= len(p.first.ports)
	l.mu.Unlock()
	if p.veth != "" {
		l.leaving.Go(func() { l.awaitVeth(ctx, p) })
	}
}

// startGuest starts a process more in a pod, which listens, too.
func (l *load) startGuest(p *pod) error {
	if len(p.guests) >= guestsMost {
		return nil
	}
	var g *process
	err := inNamespace(fmt.Sprintf("/proc/%d/ns/net", p.first.pid), func() (err error) {
		g, err = startProcess(false)
		return err
	})
	if err != nil {
		return err
	}
	p.guests = append(p.guests, g)
	l.mu.Lock()
	p.pids[g.pid] = true
	l.mu.Unlock()
	return g.tell("listen", mainPort+100+len(p.guests))
}

func (l *load) endGuest(p *pod) {
	if n := len(p.guests); n > 0 {
		p.guests[n-1].kill()
		p.guests = p.guests[:n-1]
	}
}

// refuse lets clients come for whom there is no room.
func (l *load) refuse(p *pod) error {
	n := 1 + rand.N(refusedMost)
	l.touch(p, n)
	if err := p.first.tell("refuse", n); err != nil {
		return err
	}
	l.touch(p, 0)
	return nil
}

func (l *load) touch(p *pod, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.refused += uint64(refused)
	p.touched = time.Now()
}

func (l *load) open(p *pod) error {
	port := mainPort + 1 + rand.N(portsMost)
	if slices.Contains(p.first.ports, port) {
		return nil
	}
	p.first.ports = append(p.first.ports, port)
	l.addPorts(1)
	return p.first.tell("listen", port)
}

func (l *load) closeOne(p *pod) error {
	if len(p.first.ports) == 0 {
		return nil
	}
	port := p.first.ports[0]
	p.first.ports = p.first.ports[1:]
	l.addPorts(-1)
	return p.first.tell("close", port)
}

func (l *load) addPorts(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports += n
}

// end ends all.
func (l *load) end() {
	l.leaving.Wait()
	for _, p := range l.living {
		for _, g := range append(p.guests, p.first) {
			g.kill()
		}
	}
	if l.node != nil {
		l.node.Close()
	}
}

// A tally is how the load stands.
type tally struct{ pods, listeners, events, shared int }

func (l *load) counts() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := tally{events: l.events, listeners: l.ports}
	for _, pods := range l.byInode {
		t.shared += min(1, len(pods)-1)
		for _, p := range pods {
			if p.ended.IsZero() {
				t.pods++
				t.listeners++
			}
		}
	}
	return t
}
