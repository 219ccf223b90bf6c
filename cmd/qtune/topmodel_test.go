// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/qtune/qtune/inspection"
)

// crowd returns a look at so many listeners of one namespace, ports from 1 on; the
// length of an accept queue is that of lengths, else 0.
func crowd(n int, lengths map[int]uint32) look {
	in := &inspection.Inspection{
		Time:       time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Window:     inspection.Window{Seconds: 60, Source: inspection.SourceWatched},
		Host:       inspection.Host{Name: "web7", Kernel: "6.18.0"},
		Namespaces: []inspection.Namespace{{Inode: 1, Host: true}},
		Listeners:  make([]inspection.Listener, n),
	}
	for i := range in.Listeners {
		in.Listeners[i] = inspection.Listener{
			Netns: 1, Address: "0.0.0.0", Port: uint16(i + 1), Family: "ipv4", Protocol: "tcp", Cookie: fmt.Sprintf("%016x", i+1),
			AcceptQueue: inspection.AcceptQueue{Length: lengths[i+1], Limit: 127, Capacity: 128},
			Owner:       &inspection.Owner{PID: 100 + i, Comm: "worker", PIDs: []int{100 + i}},
		}
	}
	return look{in: in, from: "this kernel", live: true, history: func(id listenerID) (*inspection.History, error) {
		return &inspection.History{Netns: id.netns, Cookie: id.cookie, Limit: 127, Slots: []inspection.Slot{{Seconds: 1, Peak: 3}}}, nil
	}}
}

// at returns the port of the listener at the cursor, as the screen has it.
func (s *session) at() string {
	s.t.Helper()
	for _, line := range s.lines() {
		if strings.HasPrefix(line, ">") {
			_, port, _ := strings.Cut(line, "0.0.0.0:")
			port, _, _ = strings.Cut(port, " ")
			return port
		}
	}
	return "none"
}

func (s *session) shows(want string) bool {
	s.t.Helper()
	return strings.Contains(strings.Join(s.lines(), "\n"), want)
}

func TestTopCursor(t *testing.T) {
	full := map[int]uint32{40: 128}
	tests := []struct {
		name string
		do   func(*session)
		want string // the port at the cursor
	}{
		{"begins at the first", func(*session) {}, "1"},
		{"moves down", func(s *session) { s.press("jj<down>") }, "4"},
		{"does not move out of the list", func(s *session) { s.press("kk<up>") }, "1"},
		{"moves by screens", func(s *session) { s.press("<pgdown><pgdown>") }, "35"},
		{"goes to the last", func(s *session) { s.press("G") }, "100"},
		{"comes back", func(s *session) { s.press("Gg") }, "1"},
		{"stays on its listener when another is worse", func(s *session) { s.press("jj"); s.tell(lookMsg{crowd(100, full), nil}) }, "3"},
		{"stays on its listener when sorted anew", func(s *session) { s.tell(lookMsg{crowd(100, full), nil}); s.press("js") }, "1"},
		{"at home it stays on the first", func(s *session) { s.tell(lookMsg{crowd(100, full), nil}) }, "40"},
		{"stays in its row when its listener goes", func(s *session) { s.press("G"); s.tell(lookMsg{crowd(99, nil), nil}) }, "99"},
		{"stays on its listener on a smaller screen", func(s *session) { s.press("G"); s.tell(tea.WindowSizeMsg{Width: 60, Height: 9}) }, "100"},
		{"a filter leaves it where there is something", func(s *session) { s.press("/0:77<enter>") }, "77"},
		{"a filter that nothing matches leaves none", func(s *session) { s.press("/nonsense<enter>") }, "none"},
		{"what was typed wrong is undone", func(s *session) { s.press("/0:77x<backspace><enter>") }, "77"},
		{"Esc undoes a filter", func(s *session) { s.press("/0:77<enter>j<esc>j") }, "78"},
		{"only problems: there are none", func(s *session) { s.press("!") }, "none"},
		{"paused it shows what was", func(s *session) { s.press("p"); s.tell(lookMsg{crowd(100, full), nil}) }, "1"},
		{"and then what is", func(s *session) { s.press("p"); s.tell(lookMsg{crowd(100, full), nil}); s.press("<space>") }, "40"},
		{"a page of text does not move it", func(s *session) { s.press("?jjj<esc>") }, "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession(t, crowd(100, nil), 80, 24)
			tt.do(s)
			if got := s.at(); got != tt.want || s.quit {
				t.Errorf("the cursor is on %s (quit: %v), want %s:\n%s", got, s.quit, tt.want, strings.Join(s.lines(), "\n"))
			}
		})
	}
}

func TestTopSays(t *testing.T) {
	tests := []struct {
		name string
		do   func(*session)
		want string
	}{
		{"how old it is", func(s *session) { s.tell(tickMsg(time.Date(2026, 1, 2, 3, 4, 12, 0, time.UTC))) }, "03:04:05 UTC, 7 s ago"},
		{"that it is paused", func(s *session) { s.press("p") }, "paused"},
		{"what rows have", func(s *session) { s.press("/Work<enter>") }, `with "Work"`},
		{"what is typed", func(s *session) { s.press("/wor") }, "/wor_"},
		{"why there is no row", func(s *session) { s.press("!") }, "No problem in the window. That says nothing about a busier moment"},
		{"why a look failed", func(s *session) { s.tell(lookMsg{look{}, errors.New("it broke\x1b[2J")}) }, `not read: it broke\x1b[2J`},
		{"the course of a listener", func(s *session) { s.press("<enter>") }, "accept queue, the longest of each slot: 3, limit 127"},
		{"that a listener is gone", func(s *session) { s.press("<enter>"); s.tell(lookMsg{crowd(0, nil), nil}) }, "It is gone."},
		{"that a history is missing", func(s *session) {
			s.press("<enter>")
			s.tell(historyMsg{listenerID{1, fmt.Sprintf("%016x", 1)}, nil, errNoHistory})
		}, "No history: nothing is kept of this listener"},
		{"what is pasted, without what moves a cursor", func(s *session) { s.press("/"); s.tell(tea.PasteMsg{Content: "a\x1b[2J\nb"}) }, "/a[2Jb_"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession(t, crowd(3, nil), 80, 24)
			if tt.do(s); !s.shows(tt.want) {
				t.Errorf("no %q on\n%s", tt.want, strings.Join(s.lines(), "\n"))
			}
		})
	}
}

func TestTopEnds(t *testing.T) {
	for _, keys := range []string{"q", "<esc>", "<enter>q", "?q", "<enter><esc><esc>"} {
		if s := newSession(t, crowd(3, nil), 80, 24); true {
			if s.press(keys); !s.quit {
				t.Errorf("%s did not end it", keys)
			}
		}
	}
	s := &session{t: t, model: newTopModel(selection{Sort: "loss"}, false, nil)}
	gone := errors.New("no kernel")
	s.tell(tea.WindowSizeMsg{Width: 80, Height: 24}, lookMsg{look{}, gone})
	if !s.quit || !errors.Is(s.model.fatal, gone) {
		t.Errorf("without a first look: quit %v, %v; want an end with the reason", s.quit, s.model.fatal)
	}
}

// TestTopFitsEverySize walks all pages on screens of every size.
func TestTopFitsEverySize(t *testing.T) {
	l := lookAt(t, "hostile")
	for width := 1; width < 220; width += 7 {
		for height := 1; height < 64; height += 5 {
			for _, keys := range []string{"", "<enter>", "<enter>G", "?", "!", "/x"} {
				s := newSession(t, l, width, height)
				s.press(keys)
				s.lines()
			}
		}
	}
}

// TestTopNeverColoursAlone compares a coloured screen with one that is not.
func TestTopNeverColoursAlone(t *testing.T) {
	l := lookAt(t, "pods")
	for _, keys := range []string{"", "<enter>"} {
		plain, coloured := newSession(t, l, 80, 24), newSession(t, l, 80, 24)
		coloured.model.colour = true
		plain.press(keys)
		coloured.press(keys)
		if screen := plain.model.screen(); strings.Contains(screen, "\x1b") {
			t.Errorf("no colour is wanted, and %q", screen)
		}
		if screen := coloured.model.screen(); !strings.Contains(screen, styleRed) {
			t.Errorf("nothing is red in %q", screen)
		}
	}
}

// BenchmarkTop takes in a look at ten thousand listeners and shows it.
func BenchmarkTop(b *testing.B) {
	m := newTopModel(selection{Sort: "loss"}, true, nil)
	m.handle(tea.WindowSizeMsg{Width: 200, Height: 60})
	l := crowd(10_000, map[int]uint32{40: 128})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			m.handle(lookMsg{l, nil})
			_ = m.screen()
		}
	})
	b.Run("key", func(b *testing.B) {
		for b.Loop() {
			m.press("down")
			_ = m.screen()
		}
	})
}
