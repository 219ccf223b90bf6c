// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// TestTroubles proves that what is tried again and again is told when it changes.
func TestTroubles(t *testing.T) {
	var said bytes.Buffer
	tr := troubles{log: slog.New(slog.NewTextHandler(&said, nil)), told: map[string]string{}}
	for _, err := range []error{nil, io.EOF, io.EOF, errors.New("another"), nil, nil, io.EOF} {
		tr.tell("read", err)
		tr.tell("write", nil)
	}
	if shown := tr.shown(); len(shown) != 1 || shown[0].What != "read" || shown[0].Error != "EOF" {
		t.Errorf("shown: %v, want that it cannot read", shown)
	}
	tr.told["write"], tr.told["go home"] = "EOF", "no way"
	if shown := tr.shown(); len(shown) != 2 || shown[0].What != "go home" || shown[1].What != "read, write" {
		t.Errorf("shown: %v, want what has one cause together", shown)
	}
	var got []string
	for line := range strings.Lines(said.String()) {
		_, line, _ = strings.Cut(line, "level=")
		got = append(got, strings.TrimSpace(line))
	}
	want := `WARN msg="not possible now" what=read error=EOF, WARN msg="not possible now" what=read error=another, ` +
		`INFO msg="possible again" what=read, WARN msg="not possible now" what=read error=EOF`
	if all := strings.Join(got, ", "); all != want {
		t.Errorf("said %s\nwant %s", all, want)
	}
}
