// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// TestKernelDrift proves what has drifted and what has not.
func TestKernelDrift(t *testing.T) {
	tests := []struct {
		name   string
		happen func(*box)
		want   []string // keys, "" for the listener
	}{
		{"nothing happens", func(*box) {}, nil},
		{"lower", func(b *box) { b.ns.SetSysctl(somaxconn, "512") }, []string{somaxconn}},
		{"higher is better", func(b *box) { b.ns.SetSysctl(somaxconn, "4096") }, nil},
		{"the server listens again", func(b *box) { s := b.listen(0, 0); b.foreign(&s, 64) }, []string{""}},
		{"a new server has a limit of its own", func(b *box) { b.restart() }, nil},
		{"the namespace ends", func(b *box) { b.end() }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			tn := newTuner(t, testOptions(t))
			tx, err := tn.Apply(t.Context(), at(0), planOf(b.three()...), ApplyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			tt.happen(b)
			drifts, err := tn.Drift(t.Context(), at(1))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range drifts {
				got = append(got, d.Step.Key)
				if d.Transaction != tx.ID || d.Step.Seen == nil || *d.Step.Seen == d.Step.To {
					t.Errorf("Drift = %+v, want the value found and %s", d, tx.ID)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Drift = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestSuperseded proves that of each value the newest transaction counts, and that
// the older one counts again when the newer is rolled back.
func TestSuperseded(t *testing.T) {
	tn, w, step := newHost(t)
	apply := func(at Now, steps ...Step) string {
		t.Helper()
		tx, err := tn.Apply(t.Context(), at, planOf(steps...), ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return tx.ID
	}
	states := func() (all []State) {
		history, err := tn.History(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, tx := range slices.Backward(history) {
			all = append(all, tx.State)
		}
		return all
	}
	want := func(when string, want ...State) {
		t.Helper()
		if got := states(); !slices.Equal(got, want) {
			t.Errorf("%s the states are %v, want %v", when, got, want)
		}
	}
	first := apply(at(0), step(somaxconn, 128, 1024), step(synBacklog, 256, 512))
	second := apply(at(1), step(somaxconn, 1024, 900))
	want("half of it changed again,", Confirmed, Confirmed)
	if d, err := tn.Drift(t.Context(), at(1)); err != nil || len(d) != 0 {
		t.Errorf("Drift = %+v, %v, want none: the newer one made it so", d, err)
	}
	third := apply(at(2), step(synBacklog, 512, 1024))
	want("all of it changed again,", Superseded, Confirmed, Confirmed)
	if _, err := tn.Rollback(t.Context(), at(3), first, "operator"); !errors.Is(err, ErrConflict) {
		t.Errorf("Rollback = %v, want %v", err, ErrConflict)
	}
	w.foreign(0, somaxconn, 1024) // what the first made it is not what is wanted now
	if d, err := tn.Drift(t.Context(), at(3)); err != nil || len(d) != 1 || d[0].Transaction != second {
		t.Errorf("Drift = %+v, %v, want that of %s", d, err, second)
	}
	w.foreign(0, somaxconn, 900)
	for _, id := range []string{third, second, first} {
		if _, err := tn.Rollback(t.Context(), at(4), id, "operator"); err != nil {
			t.Errorf("Rollback = %v", err)
		}
	}
	want("at the end", RolledBack, RolledBack, RolledBack)
	if got := w.value(0, somaxconn); got != 128 {
		t.Errorf("somaxconn is %d, want 128", got)
	}
}

// TestLog proves that each change is one line, and each that is undone.
func TestLog(t *testing.T) {
	tn, _, step := newHost(t)
	var log bytes.Buffer
	tn.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	tx, err := tn.Apply(t.Context(), at(0), planOf(step(somaxconn, 128, 1024), step("", 64, 512)), ApplyOptions{Trial: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tn.Rollback(t.Context(), at(1), tx.ID, "operator"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, " ") // without the time
		got = append(got, strings.TrimSpace(rest))
	}
	want := []string{
		"level=INFO msg=changed netns=1000 key=net.core.somaxconn from=128 to=1024",
		"level=INFO msg=changed netns=1000 key=0.0.0.0:80 from=64 to=512",
		"level=INFO msg=changed netns=1000 key=0.0.0.0:80 from=512 to=64",
		"level=INFO msg=changed netns=1000 key=net.core.somaxconn from=1024 to=128",
	}
	if !slices.Equal(got, want) {
		t.Errorf("log:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestKernelListeners resizes and undoes listeners of every kind, through whoever
// holds them.
func TestKernelListeners(t *testing.T) {
	tests := []struct {
		name    string
		sockets []lab.Socket
		holder  func(*box) []int // that the plan knows
	}{
		{"IPv6", []lab.Socket{{Addr: "::", Port: 80, Backlog: 64}}, nil},
		{"a group", []lab.Socket{{Addr: "127.0.0.1", Port: 80, Backlog: 64, ReusePort: true}, {Addr: "127.0.0.1", Port: 80, Backlog: 64, ReusePort: true}}, nil},
		{"MPTCP", []lab.Socket{{Addr: "127.0.0.1", Port: 80, Backlog: 64, MPTCP: true}}, nil},
		{"one whose holder the plan does not know", []lab.Socket{{Addr: "127.0.0.1", Port: 80, Backlog: 64}}, func(*box) []int { return nil }},
		{"one whose holder has changed", []lab.Socket{{Addr: "127.0.0.1", Port: 80, Backlog: 64}}, func(b *box) []int {
			gone := b.ns.Start(lab.Process{})
			gone.Kill()
			return []int{gone.PID}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.sockets[0].MPTCP {
				lab.NeedMPTCP(t)
			}
			b := newEmptyBox(t)
			b.child = b.ns.Start(lab.Process{Listen: tt.sockets})
			tn := newTuner(t, testOptions(t))
			pids := []int{b.child.PID}
			if tt.holder != nil {
				pids = tt.holder(b)
			}
			var steps []Step
			for cookie, l := range b.dump() {
				steps = append(steps, Step{Kind: KindListen, Scope: b.scope(), From: 64, To: 1024, Listener: &Socket{
					Address: l.LocalAddr().String(), Port: l.Port, Protocol: "tcp", Inode: l.Inode, Cookie: cookieText(cookie), PIDs: pids,
				}})
			}
			want := func(when string, limit int64) {
				t.Helper()
				for _, h := range b.child.Listeners {
					if _, got := h.Queue(); int64(got) != limit {
						t.Errorf("%s the limit is %d, want %d", when, got, limit)
					}
				}
			}
			if len(steps) != len(tt.sockets) {
				t.Fatalf("%d listeners, want %d", len(steps), len(tt.sockets))
			}
			p, err := tn.Probe(t.Context(), planOf(steps...))
			if err != nil {
				t.Fatal(err)
			}
			for i := range p {
				if !p[i].Allowed {
					t.Errorf("Probe = %+v, want it allowed", p[i])
				}
			}
			tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{Trial: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			want("applied,", 1024)
			if _, err := tn.Rollback(t.Context(), at(1), tx.ID, "operator"); err != nil {
				t.Fatal(err)
			}
			want("rolled back,", 64)
		})
	}
}
