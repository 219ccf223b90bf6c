// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortDir returns a folder whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "q")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // in the folder for temporary files
	return dir
}

func mustListen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := listenLocal(t.Context(), path)
	if err != nil {
		t.Fatalf("listenLocal(%s) = %v", path, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListenLocal(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "new", "s")
	l := mustListen(t, path)
	if at, err := os.Lstat(path); err != nil || at.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v, want it for its owner alone", at.Mode(), err)
	}
	if _, err := listenLocal(t.Context(), path); err == nil || !strings.Contains(err.Error(), "another agent serves there") {
		t.Errorf("beside another agent: %v, want it said", err)
	}
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the test needs a socket that nobody serves: %v", err)
	}
	mustListen(t, path)

	file := filepath.Join(dir, "notes")
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenLocal(t.Context(), file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("on an ordinary file: %v, want that it is no socket", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "dear" {
		t.Errorf("an ordinary file became %q, %v", b, err)
	}
	mustListen(t, filepath.Join(dir, strings.Repeat("a", maxSocketPath-len(dir)-1)))
	if _, err := listenLocal(t.Context(), filepath.Join(dir, strings.Repeat("a", maxSocketPath-len(dir)))); err == nil || !strings.Contains(err.Error(), "at most 107 bytes, this one 108") {
		t.Errorf("a path that is too long: %v, want its length", err)
	}
	if _, err := listenLocal(t.Context(), "/proc/qtune/s"); err == nil {
		t.Error("a socket in /proc was made")
	}
}

// TestLocalSocketOfAnother proves that an agent that ends leaves the socket of one
// that came after it.
func TestLocalSocketOfAnother(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	first := mustListen(t, path)
	remove := removeOurs(path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustListen(t, path)
	first.Close()
	remove()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of the second: %v", err)
	}
	removeOurs(path)()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket of one that ended stays")
	}
}
