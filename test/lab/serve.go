// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// A Serve says how a server accepts. What it accepts it closes at once, with an
// RST, so that nothing remains.
type Serve struct {
	Every time.Duration // it looks for connections this often; 0: as soon as there are any
	Batch int           // and takes at most this many; 0: all there are
	Keep  bool          // it closes none: it runs out of descriptors
	Work  time.Duration // CPU time it spends on each
	Spin  bool          // it never looks: one of its threads computes for ever
}

// run is the life of a server, which ends with its process.
func (s *Serve) run(fd int) {
	switch {
	case s.Spin:
		runtime.LockOSThread() // Go would move the work from thread to thread
		compute(math.MaxInt64 / 2)
	case s.Every == 0:
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if n > 0 && err == nil {
				s.accept(fd)
			}
		}
	default:
		for range time.Tick(s.Every) {
			s.accept(fd)
		}
	}
}

// accept takes what there is, but no more than a batch.
func (s *Serve) accept(fd int) int {
	n := 0
	for s.Batch == 0 || n < s.Batch {
		c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return n // none, or no descriptor for it
		}
		n++
		compute(s.Work)
		if !s.Keep {
			hangUp(c)
		}
	}
	return n
}

// hangUp closes a connection with an RST: neither side keeps anything of it.
func hangUp(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // it may have ended
	unix.Close(fd)
}

// compute uses up this much CPU time.
func compute(d time.Duration) {
	if d == 0 {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := host.ThreadCPUTime() + d
	for now := host.ThreadCPUTime(); now < end; now = host.ThreadCPUTime() {
		continue
	}
}
