// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// anAgent serves a look as an agent does, on a unix socket, and returns that.
func anAgent(t *testing.T, l look) (socket string) {
	t.Helper()
	l.in.APIVersion, l.in.Kind = inspection.APIVersion, inspection.Kind
	answer := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/inspection", func(w http.ResponseWriter, _ *http.Request) { answer(w, l.in) })
	mux.HandleFunc("GET /api/v1/listeners/{netns}/{cookie}/history", func(w http.ResponseWriter, r *http.Request) {
		h := inspection.History{APIVersion: inspection.APIVersion, Kind: inspection.KindHistory, Cookie: r.PathValue("cookie"), Limit: 127}
		if _, err := fmt.Sscan(r.PathValue("netns"), &h.Netns); err != nil || h.Netns != 1 {
			http.NotFound(w, r)
			return
		}
		answer(w, h)
	})
	socket = filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", socket) //nolint:noctx // of a test
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return socket
}

func topTest(socket, agent string) topOptions {
	return topOptions{
		Global:   &globalOptions{Rootfs: "/", Log: slog.New(slog.DiscardHandler)},
		Interval: 100 * time.Millisecond, Agent: agent, socket: socket, syn: collector.SynAuto,
	}
}

func TestTopAsksTheAgentOfThisHost(t *testing.T) {
	socket := anAgent(t, crowd(3, nil))
	for _, agent := range []string{"", "unix:" + socket, "unix://" + socket} {
		o := topTest(socket, agent)
		s, err := o.source(t.Context(), host.Search{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			l, err := s.next(t.Context())
			if err != nil || len(l.in.Listeners) != 3 || !l.live || !strings.Contains(l.from, "agent") {
				t.Fatalf("--agent %q: %+v, %v; want the three listeners of the agent", agent, l, err)
			}
			id := idOf(&l.in.Listeners[1])
			if h, err := l.history(id); err != nil || h.Cookie != id.cookie || h.Netns != id.netns {
				t.Errorf("history of %v = %+v, %v", id, h, err)
			}
			if _, err := l.history(listenerID{9, id.cookie}); !errors.Is(err, errNoHistory) {
				t.Errorf("history of a listener that there is not: %v, want %v", err, errNoHistory)
			}
		}
	}
}

func TestTopReadsTheKernelWhereNoAgentAnswers(t *testing.T) {
	nobody := filepath.Join(t.TempDir(), "agent.sock")
	tests := []struct {
		name, socket, agent string
		local               bool
	}{
		{"no agent", nobody, "", true},
		{"one that is not wanted", anAgent(t, crowd(1, nil)), "none", true},
		{"one that was asked for by name", nobody, "unix:" + nobody, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := topTest(tt.socket, tt.agent)
			s, err := o.source(t.Context(), host.Search{})
			if _, local := s.(*localSource); local != tt.local {
				t.Errorf("source = %T, %v; want the kernel: %v", s, err, tt.local)
			}
			if !tt.local && !errors.Is(err, errNoAgent) {
				t.Errorf("source = %v, want %v", err, errNoAgent)
			}
		})
	}
}

func TestTopRefusesWhatAnAgentCannotDo(t *testing.T) {
	tests := []struct {
		name   string
		change func(*topOptions)
		search host.Search
	}{
		{"a recording", func(o *topOptions) { o.Global.Host = "x" }, host.Search{}},
		{"a search as deep as this one", func(o *topOptions) { o.Deep = true }, host.Search{}},
		{"SYN queues counted otherwise", func(o *topOptions) { o.syn = collector.SynAll }, host.Search{}},
		{"a path on another host", func(*topOptions) {}, host.Search{Path: "/run/netns/blue"}},
	}
	for _, tt := range tests {
		o := topTest("", "http://127.0.0.1:1")
		tt.change(&o)
		if s, err := o.source(t.Context(), tt.search); !errors.Is(err, errUsage) {
			t.Errorf("%s: %T, %v, want a usage error", tt.name, s, err)
		}
	}
}

func TestAgentErrorsTeach(t *testing.T) {
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body) //nolint:errcheck // the client may have had enough
		}
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"another version", say(200, `{"apiVersion":"qtune.dev/v9","kind":"Inspection"}`), "use the same version of both"},
		{"something else", say(200, `{"status":"success"}`), "use the same version of both"},
		{"no JSON", say(200, "<html>"), "is it an agent?"},
		{"a password is wanted", say(401, ""), "user and password go into the URL"},
		{"no such path", say(404, ""), "is it an agent?"},
		{"too early", say(503, ""), "has only just begun"},
		{"without end", func(w http.ResponseWriter, _ *http.Request) {
			for block := strings.Repeat(" ", 1<<20); ; {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		}, "more than 1 MiB"},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no agent answers"},
		{"a status that moves the cursor", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(conn, "HTTP/1.1 500 a\x1b[2Jb\r\n\r\n") //nolint:errcheck // as above
				conn.Close()
			}
		}, `500 a\x1b[2Jb`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			c, err := newAgentClient(strings.Replace(server.URL, "http://", "http://me:secret@", 1))
			if err != nil {
				t.Fatal(err)
			}
			c.limit = 1 << 20
			_, err = c.inspection(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want an error with %q and without the password", err, tt.want)
			}
		})
	}
}

func TestAgentAddresses(t *testing.T) {
	tests := []struct{ address, name string }{
		{"unix:/run/a.sock", "unix:/run/a.sock"},
		{"http://web7:9794", "http://web7:9794"},
		{"https://me:secret@web7", "https://me:xxxxx@web7"},
		{"web7:9794", ""},
		{"ftp://web7", ""},
		{"unix:", ""},
		{"http://", ""},
		{"http://web7/?q=1", ""},
		{"http://me:secret@web7:%zz", ""},
	}
	for _, tt := range tests {
		c, err := newAgentClient(tt.address)
		switch {
		case tt.name == "" && (!errors.Is(err, errUsage) || strings.Contains(err.Error(), "secret")):
			t.Errorf("newAgentClient(%q) = %v, want a usage error without a password", tt.address, err)
		case tt.name != "" && (err != nil || c.name != tt.name):
			t.Errorf("newAgentClient(%q) = %+v, %v, want the name %s", tt.address, c, err, tt.name)
		}
	}
}

// TestNoAgentMovesTheCursor has an agent whose every text does.
func TestNoAgentMovesTheCursor(t *testing.T) {
	const evil = "\x1b]0;x\a\u202e\n"
	l := crowd(1, nil)
	o := &inspection.Owner{PID: 1, Comm: evil, Exe: evil, Unit: evil, Container: &inspection.Container{ID: evil, Name: evil, Runtime: evil}}
	l.in.Host.Name, l.in.Namespaces[0].Name, l.in.Namespaces[0].Host = evil, evil, false
	l.in.Listeners[0].Owner, l.in.Listeners[0].LimitBoundBy, l.in.Listeners[0].Address = o, evil, evil
	l.in.Listeners[0].SynQueue.BoundBy = evil
	l.in.Findings = []inspection.Finding{{
		Code: evil, Severity: evil, Netns: 1, Title: evil, Why: evil,
		Listener: &inspection.FindingListener{Netns: 1, Cookie: l.in.Listeners[0].Cookie},
		Evidence: []inspection.Evidence{{Name: evil, Unit: evil}}, Hints: []inspection.Hint{{Program: evil, Setting: evil, Example: evil, Note: evil}},
	}}
	socket := anAgent(t, l)
	options := topTest(socket, "")
	source, err := options.source(t.Context(), host.Search{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := source.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, got, 220, 60)
	for _, keys := range []string{"", "<enter>", "G"} {
		s.press(keys)
		if screen := s.model.screen(); strings.ContainsAny(screen, "\x1b\a\u202e") || !strings.Contains(screen, `\x1b]0;x\a\u202e\n`) {
			t.Errorf("after %q: a text is not escaped in %q", keys, screen)
		}
	}
}

func TestAgentNamespaces(t *testing.T) {
	in := &inspection.Inspection{
		Namespaces: []inspection.Namespace{{Inode: 7, Host: true}, {Inode: 8, Name: "blue"}},
		Listeners:  []inspection.Listener{{Netns: 7}, {Netns: 8}, {Netns: 8}},
		Findings:   []inspection.Finding{{Netns: 8}},
	}
	tests := []struct {
		name   string
		search host.Search
		want   int // listeners; 0 for an error
	}{
		{"all", host.Search{}, 3},
		{"the host's", host.Search{Host: true}, 1},
		{"by name", host.Search{Name: "blue"}, 2},
		{"by number", host.Search{Inode: 8}, 2},
		{"by a number that there is not", host.Search{Inode: 9}, 0},
		{"by a path that there is not", host.Search{Path: "/nonsense"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := searchIn(in, tt.search)
			if tt.want == 0 {
				if err == nil {
					t.Errorf("searchIn(%+v) = %+v, want an error", tt.search, out)
				}
				return
			}
			if err != nil || len(out.Listeners) != tt.want || len(in.Listeners) != 3 {
				t.Errorf("searchIn(%+v) = %+v, %v, want %d listeners", tt.search, out, err, tt.want)
			}
		})
	}
}

func TestTopNeedsATerminal(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"top"}, "use qtune inspect"},
		{[]string{"top", "--interval", "1ms"}, "want 100ms to 1m"},
		{[]string{"top", "--sort", "colour"}, "want netns, loss"},
		{[]string{"top", "--port", "0"}, "there is none"},
		{[]string{"top", "--syn", "often"}, "want auto, all or never"},
	}
	for _, tt := range tests {
		if _, err := execute(t, tt.args...); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("qtune %v: %v, want a usage error with %q", tt.args, err, tt.want)
		}
	}
}

// TestSlidingWindowForgets adds more slots than a window has.
func TestSlidingWindowForgets(t *testing.T) {
	var s sliding
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var early look
	for i := range 2 * topSlots {
		s.add(&tcpq.Snapshot{
			Time:       begin.Add(time.Duration(i) * time.Second),
			Namespaces: []tcpq.Namespace{{ID: tcpq.NetnsID{Inode: 1}, Listed: true, Listeners: []tcpq.Listener{{Cookie: 5}}}},
		})
		if i == 5 {
			early = s.look("", true)
		}
	}
	if got := s.window.Duration(); got != topSlots*time.Second {
		t.Errorf("the window is %v, want %d s", got, topSlots)
	}
	h, err := early.history(listenerID{1, "0000000000000005"})
	if err != nil || len(h.Slots) != 5 || h.Slots[4].Time != begin.Add(5*time.Second) {
		t.Errorf("an early look has a history of %d slots now, %v, want its own 5", len(h.Slots), err)
	}
}

// TestKernelTopSeesLoss overloads a listener in a namespace of its own.
func TestKernelTopSeesLoss(t *testing.T) {
	lab.NeedRoot(t)
	ns := lab.NewNamespace(t)
	victim := ns.Listen(lab.Socket{Addr: "127.0.0.1", Port: 80, Backlog: 2})
	o := topTest("", "none")
	s, err := o.source(t.Context(), host.Search{Path: ns.Path()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// until looks again until a listener is as it should be.
	until := func(what string, port uint16, ok func(*inspection.Listener) bool) (look, inspection.Listener) {
		t.Helper()
		for {
			l, err := s.next(ctx)
			if err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			for i := range l.in.Listeners {
				if seen := &l.in.Listeners[i]; seen.Port == port && ok(seen) {
					return l, *seen
				}
			}
		}
	}
	first, _ := until("the listener", 80, func(l *inspection.Listener) bool { return l.Owner != nil })
	if first.in.Window.Source != inspection.SourceNone || first.from != "this kernel" {
		t.Errorf("the first look: %+v from %q, want no window from this kernel", first.in.Window, first.from)
	}
	ns.Connect(victim.AddrPort(), 3)
	until("a full queue", 80, func(l *inspection.Listener) bool { return l.AcceptQueue.Length == 3 })
	clients := lab.NewClients(t, victim.AddrPort(), 8)
	ns.Do(func() { clients.Come(8) })
	l, seen := until("loss", 80, func(l *inspection.Listener) bool { return loss(l) > 0 })
	if seen.Mark() != inspection.MarkLoss {
		t.Errorf("%+v is marked %+v, want %+v", seen, seen.Mark(), inspection.MarkLoss)
	}
	h, err := l.history(idOf(&seen))
	if err != nil || h.Limit != 2 || h.Slots[len(h.Slots)-1].Peak != 3 || h.Slots[len(h.Slots)-1].Refused == 0 {
		t.Errorf("history = %+v, %v, want a last slot that is full and refused something", h, err)
	}
	late := ns.Listen(lab.Socket{Addr: "127.0.0.1", Port: 81, Backlog: 2})
	until("the owner of a new listener", late.Port, func(l *inspection.Listener) bool { return l.Owner != nil && l.Owner.PID != 0 })
}
