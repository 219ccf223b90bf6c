// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
)

// TestNotify lets a real agent tell a socket like systemd's how it is doing.
func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "q") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // in the folder for temporary files
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close() //nolint:errcheck // it was only read
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "n"))
	t.Setenv("WATCHDOG_USEC", "40000")
	hear := func() string {
		var buf [64]byte
		if err := systemd.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := systemd.Read(buf[:])
		if err != nil {
			t.Fatalf("nothing is heard of the agent: %v", err)
		}
		return string(buf[:n])
	}

	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	serving := make(chan struct{})
	steps := make(chan struct{}, 1000)
	a := New(live, Options{
		Mode: policy.Observe, Step: 100 * time.Millisecond, MaxSampleHz: 10, CPUShare: 1, PeakWindow: time.Minute,
		Syn: collector.SynNever, Log: slog.New(slog.DiscardHandler), Serving: serving,
		Publish: func(*inspection.Inspection, time.Duration) { steps <- struct{}{} },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	<-steps
	<-steps // what the first has to say was said
	for range 3 {
		if got := hear(); got != "WATCHDOG=1" {
			t.Fatalf("before anybody can ask the agent it says %s, want WATCHDOG=1", got)
		}
	}
	close(serving)
	ready := 0
	for range 20 {
		if hear() == "READY=1" {
			ready++
		}
	}
	if ready != 1 {
		t.Errorf("it said %d times that it is ready, want once", ready)
	}
	cancel()
	last := ""
	for last != "STOPPING=1" {
		last = hear()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
