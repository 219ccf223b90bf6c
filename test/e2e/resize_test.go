// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/qtune/qtune/test/lab"
	"github.com/qtune/qtune/tuner"
)

// TestLiveResize cures servers that are overrun without a restart, and makes them
// ill again.
func TestLiveResize(t *testing.T) {
	lab.NeedRoot(t)
	for _, name := range []string{"nginx", "Redis", "Go"} {
		srv := &servers[slices.IndexFunc(servers, func(s server) bool { return s.name == name })]
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.end = srv.end
			if srv.asks == 0 { // it asks for as much as it may
				s.ns.SetSysctl("net.core.somaxconn", strconv.Itoa(smallSomaxconn))
			}
			srv.start(t, s)
			liveResize(t, s)
		})
	}
}

// TestLiveResizeInContainer does so with a server in a container of Docker's.
func TestLiveResizeInContainer(t *testing.T) {
	e := startEngine(t)
	inside := e.serve()
	var pid int
	lab.Wait(t, "the server to listen", func() bool {
		in := lab.Inspect(t, "--netns", strconv.FormatUint(inside.netns, 10), "--port", strconv.Itoa(port), "--for", "0")
		if len(in.Listeners) != 1 {
			return false
		}
		pid = in.Listeners[0].Owner.PID
		return true
	})
	liveResize(t, &site{t: t, ns: lab.NamespaceOf(t, pid)})
}

// TestDemo runs what `make demo` does.
func TestDemo(t *testing.T) {
	lab.NeedRoot(t)
	said := run(t, "go", "run", "github.com/qtune/qtune/test/demo", lab.Binary(t))
	for _, want := range []string{"limit of 127.0.0.1:8080 demo  16 -> ", "all served at once", "Every value is what it was before"} {
		if !strings.Contains(said, want) {
			t.Errorf("the demo does not say %q: %s", want, said)
		}
	}
}

// liveResize overruns a server, lets qtune apply what it advises, overruns it
// again, and takes it back.
func liveResize(t *testing.T, s *site) {
	t.Helper()
	before := s.listener()
	somaxconn, _ := s.ns.Sysctl("net.core.somaxconn")
	clients := int(before.AcceptQueue.Limit) + tooMany
	finding(t, s.overrun(clients))

	state := t.TempDir()
	journal := []string{"--state-dir", state, "--lock-file", filepath.Join(state, "lock"), "-o", "json"}
	apply := lab.Command(t, append([]string{"apply", "--netns", s.ns.Path(), "--for", "2s", "--live-resize", "--yes"}, journal...)...)
	s.overrunBeside(apply, clients)
	var tx tuner.Transaction
	if err := json.Unmarshal(apply.Stdout.Bytes(), &tx); err != nil || apply.Wait() != 0 || tx.State != tuner.Confirmed {
		t.Fatalf("apply: exit %d, transaction %s: %v: %s", apply.Wait(), tx.State, err, apply.Stderr.String())
	}
	resized := s.listener()
	if int(resized.AcceptQueue.Limit) < clients || resized.Owner.PID != before.Owner.PID || resized.Cookie != before.Cookie {
		t.Errorf("after apply the limit is %d, of process %d and cookie %s; want %d or more, of process %d and cookie %s",
			resized.AcceptQueue.Limit, resized.Owner.PID, resized.Cookie, clients, before.Owner.PID, before.Cookie)
	}
	if lost := lost(s, clients); lost != 0 {
		t.Errorf("the same load has %d packets refused after apply, want 0", lost)
	}

	rollback := lab.Command(t, append([]string{"rollback", tx.ID}, journal...)...)
	if rollback.Wait() != 0 {
		t.Fatalf("rollback: exit %d: %s", rollback.Wait(), rollback.Stderr.String())
	}
	if l := s.listener(); l.AcceptQueue.Limit != before.AcceptQueue.Limit {
		t.Errorf("after rollback the limit is %d, want %d", l.AcceptQueue.Limit, before.AcceptQueue.Limit)
	}
	if now, _ := s.ns.Sysctl("net.core.somaxconn"); now != somaxconn {
		t.Errorf("after rollback somaxconn is %s, want %s", strings.TrimSpace(now), somaxconn)
	}
	if lost(s, clients) == 0 {
		t.Error("the same load has nothing refused after rollback")
	}
}

// lost overruns a server and returns how many packets the kernel refused.
func lost(s *site, clients int) uint64 {
	s.t.Helper()
	before := s.ns.Counters()["ListenDrops"]
	s.overrun(clients)
	return s.ns.Counters()["ListenDrops"] - before
}
