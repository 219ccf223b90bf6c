// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sysctl_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/sysctl"
	"github.com/qtune/qtune/tcpq"
)

// inNamespace calls f in a network namespace of its own.
func inNamespace(t testing.TB, f func(host.Changeable)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	l, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	ns, err := l.NewNamespace()
	if err != nil {
		t.Skipf("root, but namespaces cannot be made here: %v", err)
	}
	defer ns.Close()
	err = l.Change(t.Context(), []*host.Namespace{ns.Namespace()}, func(_ *host.Namespace, c host.Changeable, err error) {
		if err != nil {
			t.Errorf("enter: %v", err)
			return
		}
		f(c)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestKernelSwap proves what may be set, and from what.
func TestKernelSwap(t *testing.T) {
	type swap func(sysctl.Inside, tcpq.Sysctl, int64, int64) error
	tests := []struct {
		name     string
		key      tcpq.Sysctl
		is       string
		swap     swap
		from, to int64
		err      error
		text     string
	}{
		{"up", tcpq.Somaxconn, "128", sysctl.Swap, 128, 4096, nil, ""},
		{"down", tcpq.Somaxconn, "4096", sysctl.Swap, 4096, 128, nil, ""},
		{"to itself", tcpq.Somaxconn, "128", sysctl.Swap, 128, 128, nil, ""},
		{"the highest", tcpq.Somaxconn, "128", sysctl.Swap, 128, 1 << 20, nil, ""},
		{"past the highest", tcpq.Somaxconn, "128", sysctl.Swap, 128, 1<<20 + 1, sysctl.ErrBounds, "must be 1 to 1048576"},
		{"the lowest", tcpq.Somaxconn, "128", sysctl.Swap, 128, 1, nil, ""},
		{"below the lowest", tcpq.Somaxconn, "128", sysctl.Swap, 128, 0, sysctl.ErrBounds, "must be 1 to 1048576"},
		{"from what nobody should have set", tcpq.Somaxconn, "2147483647", sysctl.Swap, 2147483647, 4096, nil, ""},
		{"back to it", tcpq.Somaxconn, "4096", sysctl.Restore, 4096, 2147483647, nil, ""},
		{"back to zero", tcpq.Somaxconn, "4096", sysctl.Restore, 4096, 0, nil, ""},
		{"back to a negative number", tcpq.TCPMaxSynBacklog, "512", sysctl.Restore, 512, -5, nil, ""},
		{"from a negative number", tcpq.TCPMaxSynBacklog, "-5", sysctl.Swap, -5, 512, nil, ""},
		{"a foreign value stays", tcpq.Somaxconn, "512", sysctl.Swap, 128, 4096, host.ErrChanged, "have 512, planned from 128"},
		{"a foreign value stays at the undo", tcpq.Somaxconn, "512", sysctl.Restore, 4096, 128, host.ErrChanged, "have 512, planned from 4096"},
		{"somebody was faster", tcpq.Somaxconn, "4096", sysctl.Swap, 128, 4096, host.ErrChanged, "have 4096, planned from 128"},
		{"syncookies on", tcpq.TCPSyncookies, "0", sysctl.Swap, 0, 1, nil, ""},
		{"syncookies always", tcpq.TCPSyncookies, "1", sysctl.Swap, 1, 2, nil, ""},
		{"syncookies past that", tcpq.TCPSyncookies, "1", sysctl.Swap, 1, 3, sysctl.ErrBounds, "must be 0 to 2"},
		{"syncookies as they were", tcpq.TCPSyncookies, "1", sysctl.Restore, 1, 255, nil, ""},
		{"another key", tcpq.TCPAbortOnOverflow, "0", sysctl.Swap, 0, 1, sysctl.ErrBounds, "none of those that may be set"},
		{"another key at the undo", tcpq.TCPAbortOnOverflow, "0", sysctl.Restore, 0, 1, sysctl.ErrBounds, "none of those that may be set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inNamespace(t, func(c host.Changeable) {
				if err := c.SetSysctl(tt.key, tt.is); err != nil {
					t.Error(err)
					return
				}
				before, err := sysctl.Get(c, tt.key)
				if err != nil {
					t.Error(err)
				}
				want := tt.to
				if tt.err != nil {
					want = before
				}
				err = tt.swap(c, tt.key, tt.from, tt.to)
				if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%v from %d to %d = %v, want %v with %q", tt.key, tt.from, tt.to, err, tt.err, tt.text)
				}
				if got, err := sysctl.Get(c, tt.key); got != want || err != nil {
					t.Errorf("afterwards %v is %d, %v, want %d", tt.key, got, err, want)
				}
			})
		})
	}
}

// watched notes how long after it was read a value is written.
type watched struct {
	host.Changeable
	read   time.Time
	window []time.Duration
}

func (w *watched) Sysctl(s tcpq.Sysctl) (string, error) {
	text, err := w.Changeable.Sysctl(s)
	w.read = time.Now()
	return text, err
}

func (w *watched) SetSysctl(s tcpq.Sysctl, text string) error {
	err := w.Changeable.SetSysctl(s, text)
	w.window = append(w.window, time.Since(w.read))
	return err
}

// BenchmarkSwap measures a Swap, and within it the time from the end of our read to
// the end of our write, in which the value of somebody else would be lost.
func BenchmarkSwap(b *testing.B) {
	inNamespace(b, func(c host.Changeable) {
		w := &watched{Changeable: c}
		from, err := sysctl.Get(w, tcpq.Somaxconn)
		if err != nil {
			b.Error(err)
		}
		to := from + 1
		for b.Loop() {
			if err := sysctl.Swap(w, tcpq.Somaxconn, from, to); err != nil {
				b.Error(err)
			}
			from, to = to, from
		}
		slices.Sort(w.window)
		b.ReportMetric(float64(w.window[len(w.window)/2].Nanoseconds()), "p50-window-ns")
		b.ReportMetric(float64(w.window[len(w.window)*99/100].Nanoseconds()), "p99-window-ns")
	})
}

// deaf is a namespace whose kernel stores nothing.
type deaf struct{ host.Changeable }

func (deaf) SetSysctl(tcpq.Sysctl, string) error { return nil }

// TestKernelSwapReadsBack proves that a write is not believed.
func TestKernelSwapReadsBack(t *testing.T) {
	inNamespace(t, func(c host.Changeable) {
		from, err := sysctl.Get(c, tcpq.Somaxconn)
		if err != nil {
			t.Error(err)
		}
		if err := sysctl.Swap(deaf{c}, tcpq.Somaxconn, from, from+1); !errors.Is(err, host.ErrVerify) {
			t.Errorf("Swap = %v, want %v", err, host.ErrVerify)
		}
	})
}
