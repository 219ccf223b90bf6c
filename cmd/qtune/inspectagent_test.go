// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
)

func TestInspectAsksTheAgent(t *testing.T) {
	fresh, old := crowd(3, nil), crowd(3, nil)
	fresh.in.Time, old.in.Time = time.Now(), time.Now().Add(-time.Hour)
	answers, late := anAgent(t, fresh), anAgent(t, old)
	nobody := filepath.Join(t.TempDir(), "nobody")
	tests := []struct {
		name    string
		options inspectOptions
		asked   bool
		warns   bool
		err     error
	}{
		{name: "the agent of this host is asked", options: inspectOptions{socket: answers}, asked: true},
		{name: "not by who wants to watch", options: inspectOptions{socket: answers, forGiven: true}},
		{name: "nor by who wants all SYN queues", options: inspectOptions{socket: answers, Syn: "all"}},
		{name: "nor by who looks everywhere", options: inspectOptions{socket: answers, Deep: true}},
		{name: "nor by who wants none", options: inspectOptions{socket: answers, Agent: "none"}},
		{name: "where there is none qtune looks itself", options: inspectOptions{socket: nobody}},
		{name: "and where it has not looked for an hour, and says so", options: inspectOptions{socket: late}, warns: true},
		{name: "the one that is named is asked", options: inspectOptions{socket: nobody, Agent: "unix:" + answers}, asked: true},
		{name: "and has to answer", options: inspectOptions{socket: answers, Agent: "unix:" + nobody}, err: errNoAgent},
		{name: "it cannot be told how to look", options: inspectOptions{Agent: "unix:" + answers, forGiven: true}, err: errUsage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			o := tt.options
			o.Global = &globalOptions{Rootfs: "/", Log: slog.New(slog.NewTextHandler(&log, nil))}
			if o.Syn == "" {
				o.Syn = "auto"
			}
			in, err := o.askAgent(t.Context(), host.Search{})
			if (in != nil) != tt.asked || !errors.Is(err, tt.err) {
				t.Errorf("asked: %t, %v, want %t, %v", in != nil, err, tt.asked, tt.err)
			}
			if warned := log.Len() > 0; warned != tt.warns {
				t.Errorf("log %q, want a warning: %t", log.String(), tt.warns)
			}
		})
	}
}

func TestStale(t *testing.T) {
	now := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	in := &inspection.Inspection{Agent: &inspection.Agent{Activities: []inspection.Activity{{Name: "dump", GapSeconds: 900}, {Name: "step", GapSeconds: 5}}}}
	for age, want := range map[time.Duration]bool{15 * time.Second: false, 16 * time.Second: true} {
		in.Time = now.Add(-age)
		if err := stale(in, now); (err != nil) != want {
			t.Errorf("a look %v ago, one each 5 s: %v, want stale %t", age, err, want)
		}
	}
}

func TestScreenOfAnAgent(t *testing.T) {
	in := crowd(3, nil).in
	in.Window = inspection.Window{Seconds: 598.4, Source: inspection.SourceAgent}
	in.Time = time.Date(2026, 5, 2, 3, 0, 9, 0, time.UTC)
	var out bytes.Buffer
	if err := writeTable(&out, in, tableStyle{Width: 200}); err != nil {
		t.Fatal(err)
	}
	if want := "watched by its agent for 598 s until 03:00:09 UTC"; !strings.Contains(out.String(), want) {
		t.Errorf("the screen says %q, want %q in it", out.String(), want)
	}
}
