// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"os"
	"regexp"
	"testing"
	"time"
)

func TestBoot(t *testing.T) {
	l := liveHost(t)
	id, err := l.BootID()
	if again, _ := l.BootID(); err != nil || id != again || !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("BootID() = %q, %v, then %q, want the same UUID twice", id, err, again)
	}
	// Both clocks are read one after the other; NewLive's was the first.
	if booted, before := time.Now().Add(-Boottime()), l.boot; booted.Sub(before).Abs() > time.Second {
		t.Errorf("Boottime() says that the host booted at %v, want %v", booted, before)
	}
}

func TestStartedTicks(t *testing.T) {
	l := liveHost(t)
	self, err := l.StartedTicks(os.Getpid())
	if parent, e := l.StartedTicks(os.Getppid()); err != nil || e != nil || self == 0 || parent > self {
		t.Errorf("StartedTicks = %d, %v, of the parent %d, %v, want the parent's first", self, err, parent, e)
	}
	v, err := l.Vitals(os.Getpid())
	if err != nil || v.Start != self {
		t.Errorf("StartedTicks = %d, and Vitals has %d, %v", self, v.Start, err)
	}
	if _, err := l.StartedTicks(noProcess); !errors.Is(err, ErrGone) {
		t.Errorf("StartedTicks of no process = %v, want %v", err, ErrGone)
	}
}

// TestKernelWitness proves that a process of a namespace is found, and that an empty
// namespace has none.
func TestKernelWitness(t *testing.T) {
	s := newStage(t)
	own, err := s.live.ownNetns()
	if err != nil {
		t.Fatal(err)
	}
	pid, ticks, err := s.live.Witness(own)
	if err != nil || pid == 0 || pid > os.Getpid() {
		t.Errorf("Witness = %d, %v, want this process %d or a lower number", pid, err, os.Getpid())
	}
	if started, err := s.live.StartedTicks(pid); err != nil || started != ticks {
		t.Errorf("Witness says that %d was started at %d, want %d, %v", pid, ticks, started, err)
	}
	if pid, _, err := s.live.Witness(s.Inode); !errors.Is(err, ErrGone) {
		t.Errorf("Witness of an empty namespace = %d, %v, want %v", pid, err, ErrGone)
	}
}

// noProcess is the number of no process: it is past pid_max as every kernel sets it.
const noProcess = 1<<22 - 1
