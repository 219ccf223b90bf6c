// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sysctl

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
)

// persisted is a file as one transaction leaves it.
func persisted(transaction string, somaxconn int64) *Persisted {
	return &Persisted{
		Transaction: transaction,
		Time:        time.Date(2026, 11, 25, 15, 4, 5, 0, time.UTC),
		Values:      map[string]int64{"net.ipv4.tcp_syncookies": 1, "net.core.somaxconn": somaxconn},
	}
}

func TestPersistedFile(t *testing.T) {
	root := tree{}.make(t)
	name := filepath.Join(root, "etc/sysctl.d/60-qtune.conf")
	first, second := persisted("01JDHV5A", 8192), persisted("01JDHV5B", 16384)

	if got, err := ReadPersisted(root); got != nil || err != nil {
		t.Errorf("ReadPersisted of none = %+v, %v, want nil, nil", got, err)
	}
	// There, on, back and away again, each step twice: the second finds it done.
	for _, step := range []struct{ from, to *Persisted }{{nil, first}, {first, second}, {second, first}, {first, nil}} {
		for range 2 {
			if err := SwapPersisted(root, step.from, step.to); err != nil {
				t.Fatalf("SwapPersisted(%+v, %+v) = %v", step.from, step.to, err)
			}
			if got, err := ReadPersisted(root); err != nil || !reflect.DeepEqual(got, step.to) {
				t.Errorf("ReadPersisted = %+v, %v, want %+v", got, err, step.to)
			}
		}
		if step.to != first {
			continue
		}
		info, err := os.Stat(name)
		if err != nil || info.Mode() != 0o644 {
			t.Errorf("mode = %v, %v, want 0644", info.Mode(), err)
		}
		b, err := Boot(root)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Who("net.core.somaxconn"); len(got) != 1 || got[0].Value != "8192" {
			t.Errorf("Who = %+v, want the file's 8192", got)
		}
	}
	left, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(left) != 0 {
		t.Errorf("the folder holds %v, %v, want nothing", left, err)
	}
}

func TestPersistedText(t *testing.T) {
	const want = `# Written by qtune. An edited file is left alone, and is no longer qtune's to change:
# put values of your own into a file with a later name, such as 99-local.conf.
# transaction: 01JDHV5A
# time: 2026-11-25T15:04:05Z
# sha256: SUM
net.core.somaxconn = 8192
net.ipv4.tcp_syncookies = 1
`
	p := persisted("01JDHV5A", 8192)
	p.Time = p.Time.In(time.FixedZone("", 3600)).Add(time.Millisecond)
	head, values, _ := strings.Cut(want, "# sha256: SUM\n")
	if got := string(p.render()); got != strings.Replace(want, "SUM", sum(head, values), 1) {
		t.Errorf("render = %s, want %s", got, want)
	}

	// A later qtune may say other words around it.
	text := "# Other words.\n" + head
	if got, err := parsePersisted([]byte(text + "# sha256: " + sum(text, values) + "\n" + values)); err != nil || !got.equal(p) {
		t.Errorf("parsePersisted with other words = %+v, %v, want %+v", got, err, p)
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	ours := string(persisted("01JDHV5A", 8192).render())
	tests := []struct {
		name, text string
	}{
		{"another value", strings.Replace(ours, "8192", "8193", 1)},
		{"another line", ours + "net.ipv4.tcp_syncookies = 2\n"},
		{"a line less", strings.Replace(ours, "net.core.somaxconn = 8192\n", "", 1)},
		{"a comment", ours + "# mine\n"},
		{"another header", strings.Replace(ours, "qtune. An", "me. An", 1)},
		{"the end is missing", ours[:len(ours)-1]},
		{"no sum", "net.core.somaxconn = 8192\n"},
		{"nothing", ""},
		{"a link to /dev/null", "->/dev/null"},
		{"a folder", "DIR"},
		{"a good sum around what qtune does not set", func() string {
			p := persisted("01JDHV5A", 1)
			p.Values["kernel.panic"] = 1
			return string(p.render())
		}()},
		{"a good sum around no number", "# sha256: " + sum("", "net.core.somaxconn = many\n") + "\nnet.core.somaxconn = many\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := tree{"etc/sysctl.d/60-qtune.conf": tt.text}.make(t)
			if got, err := ReadPersisted(root); !errors.Is(err, host.ErrChanged) {
				t.Errorf("ReadPersisted = %+v, %v, want %v", got, err, host.ErrChanged)
			}
			for _, from := range []*Persisted{nil, persisted("01JDHV5A", 8192)} {
				if err := SwapPersisted(root, from, persisted("01JDHV5B", 1)); !errors.Is(err, host.ErrChanged) {
					t.Errorf("SwapPersisted(%+v) = %v, want %v", from, err, host.ErrChanged)
				}
			}
			if tt.text == "DIR" || tt.text[:min(2, len(tt.text))] == "->" {
				return
			}
			if text, err := os.ReadFile(filepath.Join(root, "etc/sysctl.d/60-qtune.conf")); err != nil || string(text) != tt.text {
				t.Errorf("the file holds %q, %v, want it as it was", text, err)
			}
		})
	}
}

func TestSwapPersistedRefuses(t *testing.T) {
	root := tree{}.make(t)
	first := persisted("01JDHV5A", 8192)
	if err := SwapPersisted(root, first, persisted("01JDHV5B", 1)); !errors.Is(err, host.ErrChanged) {
		t.Errorf("SwapPersisted of a file that is gone = %v, want %v", err, host.ErrChanged)
	}
	if err := SwapPersisted(root, nil, first); err != nil {
		t.Fatal(err)
	}
	if err := SwapPersisted(root, nil, persisted("01JDHV5B", 1)); !errors.Is(err, host.ErrChanged) {
		t.Errorf("SwapPersisted over a file of ours that nobody expected = %v, want %v", err, host.ErrChanged)
	}
	for _, bad := range []*Persisted{
		{Transaction: "a\nb", Values: first.Values},
		{Transaction: "", Values: first.Values},
		{Transaction: "a"},
		{Transaction: "a", Values: map[string]int64{"kernel.panic": 1}},
	} {
		if err := SwapPersisted(root, first, bad); err == nil || errors.Is(err, host.ErrChanged) {
			t.Errorf("SwapPersisted to %+v = %v, want an error", bad, err)
		}
	}
	if got, err := ReadPersisted(root); err != nil || !got.equal(first) {
		t.Errorf("ReadPersisted = %+v, %v, want %+v", got, err, first)
	}
	if err := SwapPersisted(t.TempDir(), nil, first); err == nil {
		t.Error("SwapPersisted where no /etc/sysctl.d is = nil, want an error")
	}
}
