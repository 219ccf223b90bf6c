// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestBuildOf(t *testing.T) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if got := buildOf(self); got != "go" {
		t.Errorf("buildOf(this test) = %q, want go", got)
	}
	shell, err := os.Open("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	defer shell.Close()
	if got := buildOf(shell); got != "" {
		t.Errorf("buildOf(/bin/sh) = %q, want nothing", got)
	}
	if got := buildOf(strings.NewReader("#!/bin/sh\n")); got != "" {
		t.Errorf("buildOf(a script) = %q, want nothing", got)
	}
}

func FuzzBuildOf(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := buildOf(bytes.NewReader(b)); got != "" && got != "go" && got != "rust" {
			t.Errorf("buildOf = %q", got)
		}
	})
}

func TestHandedTo(t *testing.T) {
	tests := []struct {
		name    string
		environ string
		want    int
	}{
		{"its own sockets", "PATH=/bin\x00LISTEN_PID=42\x00LISTEN_FDS=2\x00", 2},
		{"its parent's", "LISTEN_PID=41\x00LISTEN_FDS=1\x00", 0},
		{"none of them", "LISTEN_PID=42\x00LISTEN_FDS=0\x00", 0},
		{"fewer than none", "LISTEN_PID=42\x00LISTEN_FDS=-1\x00", 0},
		{"no number", "LISTEN_PID=42\x00LISTEN_FDS=many\x00", 0},
		{"a number that is too large", "LISTEN_PID=42\x00LISTEN_FDS=99999999999999999999\x00", 0},
		{"another word", "XLISTEN_PID=42\x00LISTEN_FDS=1\x00", 0},
		{"nothing", "", 0},
	}
	for _, tt := range tests {
		if got := handedTo([]byte(tt.environ), 42); got != tt.want {
			t.Errorf("%s: handedTo(%q, 42) = %d, want %d", tt.name, tt.environ, got, tt.want)
		}
	}
}

func TestInnerPID(t *testing.T) {
	for status, want := range map[string]int{"Pid:\t9\nNSpid:\t9\t3\t1\n": 1, "NSpid:\t9\n": 9, "Pid:\t9\n": 9, "NSpid:\n": 9, "NSpid:\tx\n": 9} {
		if got := innerPID([]byte(status), 9); got != want {
			t.Errorf("innerPID(%q) = %d, want %d", status, got, want)
		}
	}
}

func TestProgram(t *testing.T) {
	l, err := NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	if p := l.Program(os.Getpid()); !slices.Equal(p.Argv, os.Args) || p.Build != "go" || p.Handed != 0 {
		t.Errorf("Program(this test) = %+v, want %q, built by go", p, os.Args)
	}
	if p := l.Program(1 << 30); p.Argv != nil || p.Build != "" || p.Handed != 0 {
		t.Errorf("Program(nobody) = %+v, want nothing", p)
	}
}

// TestHandedSurvivesARecording records a process that was handed sockets.
func TestHandedSurvivesARecording(t *testing.T) {
	// One shell has the number that the next will have. What that repeats, it has read.
	cmd := exec.Command("sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=2 exec sh -c 'read line; echo $line; read line'")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("no shell:", err)
	}
	defer cmd.Wait() //nolint:errcheck // it ends with its input
	defer in.Close()
	if _, err := io.WriteString(in, ".\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	l, err := NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := NewRecorder(l, dir, "test", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Info(); err != nil {
		t.Fatal(err)
	}
	if p := r.Program(cmd.Process.Pid); p.Handed != 2 {
		t.Errorf("Program(sh) = %+v, want 2 sockets handed", p)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	rec, err := OpenRecording(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p := rec.Program(cmd.Process.Pid); p.Handed != 2 {
		t.Errorf("Program(sh) of the recording = %+v, want 2 sockets handed", p)
	}
}
