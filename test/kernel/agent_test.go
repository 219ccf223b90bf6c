// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// A pod is a process with one listener in a namespace of its own.
type pod struct {
	*lab.Child
	inode uint64
	netns string
	name  string // of the listener
}

func startPod(t *testing.T, s lab.Socket) *pod {
	t.Helper()
	child := lab.Start(t, lab.Process{NewNet: true, Listen: []lab.Socket{s}})
	inode := inodeOf(t, child.PID)
	return &pod{child, inode, strconv.FormatUint(inode, 10), child.Listeners[0].AddrPort().String()}
}

func (p *pod) labels() map[string]string {
	return map[string]string{"netns": p.netns, "listener": p.name}
}

// in returns what an inspection says of the pod's listener, nil for nothing.
func (p *pod) in(in *inspection.Inspection) *inspection.Listener {
	for i := range in.Listeners {
		if in.Listeners[i].Netns == p.inode {
			return &in.Listeners[i]
		}
	}
	return nil
}

// TestKernelAgentFinds proves that the agent sees a listener that comes while it
// runs, what it loses, and that it ends.
func TestKernelAgentFinds(t *testing.T) {
	lab.NeedRoot(t)
	a := lab.StartAgent(t)
	p := startPod(t, lab.Socket{Addr: "127.0.0.1", Port: 8080, Backlog: 4})
	lab.Wait(t, "the listener to be seen", func() bool { return p.in(a.Inspection()) != nil })
	lab.Wait(t, "its limit to be told", func() bool {
		limit, ok := a.Metric("qtune_listener_accept_queue_limit", p.labels())
		return ok && limit == 4
	})

	inside := lab.NamespaceOf(t, p.PID)
	inside.Connect(p.Listeners[0].AddrPort(), 20)
	lab.Wait(t, "the loss to be seen", func() bool { return len(p.in(a.Inspection()).Findings) > 0 })
	in := a.Inspection()
	got := p.in(in)
	if in.Window.Source != inspection.SourceAgent || got.AcceptQueue.Length != 5 || *got.AcceptQueue.RecentPeak != 5 {
		t.Errorf("source %s, length %d, recent peak %d, want agent, 5, 5", in.Window.Source, got.AcceptQueue.Length, *got.AcceptQueue.RecentPeak)
	}
	if got.Refused.Max == 0 || got.Totals.RefusedMax < got.Refused.Max {
		t.Errorf("refused %+v, in all %+v", *got.Refused, *got.Totals)
	}
	lab.Wait(t, "what was refused to be told", func() bool {
		refused, _ := a.Metric("qtune_listener_refused_packets_max_total", p.labels())
		return refused > 0
	})
	lab.Wait(t, "a finding to be told", func() bool {
		_, ok := a.Metric("qtune_finding", map[string]string{"netns": p.netns, "severity": "critical"})
		return ok
	})
	if code, body := a.Get("/api/v1/listeners/" + p.netns + "/" + got.Cookie + "/history"); code != 200 {
		t.Errorf("history: %d %s", code, body)
	}

	inside.CloseClients()
	inside.Release()
	p.Kill()
	lab.Wait(t, "the listener to be gone", func() bool { return p.in(a.Inspection()) == nil })
	if gone := p.in(&inspection.Inspection{Listeners: a.Inspection().Gone.Listeners}); gone == nil || gone.Totals.RefusedMax == 0 {
		t.Errorf("gone: %+v, want what it lost", gone)
	}
	if refused, ok := a.Metric("qtune_listener_refused_packets_max_total", p.labels()); !ok || refused == 0 {
		t.Errorf("what it lost last is told no more: %g, %t", refused, ok)
	}
}

// TestKernelAgentHoldsNothing proves that a pod's network ends with the pod while
// the agent looks at it as often as it may.
func TestKernelAgentHoldsNothing(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ip")
	a := lab.StartAgent(t, "--max-sample-hz", "1000")
	node := lab.NewNamespace(t)
	gone := func() (gone bool) {
		node.Do(func() {
			_, err := net.InterfaceByName("pod0")
			gone = err != nil
		})
		return gone
	}
	for range 3 {
		p := startPod(t, lab.Socket{Addr: "127.0.0.1", Port: 8080, Backlog: 4})
		node.Run("ip", "link", "add", "pod0", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(p.PID))
		inside := lab.NamespaceOf(t, p.PID)
		inside.Connect(p.Listeners[0].AddrPort(), 20)
		lab.Wait(t, "the pod to be watched", func() bool {
			in := a.Inspection()
			return p.in(in) != nil && in.Agent.Sampling.Watched > 0
		})
		inside.CloseClients()
		inside.Release()
		p.Kill()
		if !lab.Within(time.Second, gone) {
			t.Fatal("the veth is there 1 s after the pod ended")
		}
	}
}

// TestKernelAgentEnds proves that SIGTERM ends it, and that nothing of it stays.
func TestKernelAgentEnds(t *testing.T) {
	lab.NeedRoot(t)
	a := lab.StartAgent(t)
	began := time.Now()
	a.Terminate()
	if code := a.Wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, a.Stderr.String())
	}
	t.Logf("it took %v", time.Since(began))
	if _, err := os.Stat(a.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its socket: %v, want it gone", err)
	}
}

// TestKernelAgentModes proves that observe finds nothing and advise does.
func TestKernelAgentModes(t *testing.T) {
	lab.NeedRoot(t)
	p := startPod(t, lab.Socket{Addr: "127.0.0.1", Port: 8080, Backlog: 4})
	inside := lab.NamespaceOf(t, p.PID)
	inside.Connect(p.Listeners[0].AddrPort(), 20)
	for mode, want := range map[string]bool{"observe": false, "advise": true} {
		a := lab.StartAgent(t, "--mode", mode)
		lab.Wait(t, "two steps", func() bool { return a.Inspection().Window.Seconds > 0 })
		if got := len(p.in(a.Inspection()).Findings) > 0; got != want {
			t.Errorf("in mode %s something was found: %t, want %t", mode, got, want)
		}
	}
}
