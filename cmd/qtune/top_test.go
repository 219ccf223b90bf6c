// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
)

// lookAt returns the last look at a recorded host.
func lookAt(t *testing.T, recording string) look {
	t.Helper()
	o := topOptions{Global: &globalOptions{Host: "../../test/hosts/" + recording}, Interval: time.Nanosecond, syn: collector.SynAll}
	s, err := o.source(t.Context(), host.Search{})
	if err != nil {
		t.Fatal(err)
	}
	var last look
	for range s.(*recordedSource).recording.Steps() {
		if last, err = s.next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// A session is a model that is told what happens.
type session struct {
	t     *testing.T
	model topModel
	quit  bool
}

// newSession begins with a look on a screen of this size.
func newSession(t *testing.T, l look, width, height int) *session {
	t.Helper()
	s := &session{t: t, model: newTopModel(selection{Netns: "all", Sort: "loss"}, false, nil)}
	s.tell(tea.WindowSizeMsg{Width: width, Height: height}, lookMsg{l, nil})
	return s
}

// tell gives the model messages, and those that follow from them.
func (s *session) tell(all ...tea.Msg) {
	s.t.Helper()
	for _, msg := range all {
		next, cmd := s.model.Update(msg)
		s.model = next.(topModel)
		if _, tick := msg.(tickMsg); tick || cmd == nil {
			continue
		}
		switch answer := cmd().(type) {
		case historyMsg:
			s.tell(answer)
		case tea.QuitMsg:
			s.quit = true
		case tea.BatchMsg:
			for _, c := range answer {
				if h, ok := c().(historyMsg); ok {
					s.tell(h)
				}
			}
		}
	}
}

// press presses keys: characters, or the names of others in brackets.
func (s *session) press(keys string) {
	s.t.Helper()
	named := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "end": tea.KeyEnd, "home": tea.KeyHome, "backspace": tea.KeyBackspace, "space": tea.KeySpace}
	for keys != "" {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(keys, "<"), ">"); ok && keys[0] == '<' {
			s.tell(tea.KeyPressMsg{Code: named[name]})
			keys = rest
			continue
		}
		r := []rune(keys)[0]
		s.tell(tea.KeyPressMsg{Code: r, Text: string(r)})
		keys = keys[len(string(r)):]
	}
}

// lines returns the screen, which must fit.
func (s *session) lines() []string {
	s.t.Helper()
	lines := strings.Split(s.model.View().Content, "\n")
	if len(lines) != s.model.height {
		s.t.Errorf("%d lines on a screen of %d:\n%s", len(lines), s.model.height, strings.Join(lines, "\n"))
	}
	for i, line := range lines {
		if textWidth(line) > s.model.width {
			s.t.Errorf("line %d has %d columns on a screen of %d: %s", i, textWidth(line), s.model.width, line)
		}
	}
	return lines
}

// TestTopScreens compares screens with golden files, at several sizes.
func TestTopScreens(t *testing.T) {
	screens := []struct{ name, host, keys string }{
		{"list", "pods", ""},
		{"listener", "pods", "<enter>"},
		{"group", "reuseport", "j"},
		{"hostile", "hostile", ""},
		{"help", "plain", "?"},
	}
	sizes := []struct{ width, height int }{{80, 24}, {40, 10}, {120, 40}, {200, 60}}
	for _, screen := range screens {
		l := lookAt(t, screen.host)
		for _, size := range sizes {
			name := fmt.Sprintf("%s-%dx%d.txt", screen.name, size.width, size.height)
			t.Run(name, func(t *testing.T) {
				s := newSession(t, l, size.width, size.height)
				s.press(screen.keys)
				text := strings.Join(s.lines(), "\n")
				compareGolden(t, filepath.Join("testdata", "top", name), []byte(text+"\n"))
			})
		}
	}
}
