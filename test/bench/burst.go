// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// A burst is what a fixture is told to do to its listener: so many clients connect,
// over so long; the server accepts none of them for so long after the first, and
// then all.
type burst struct {
	clients      int
	filling, all time.Duration
}

// An outcome is what the fixture saw of its burst, by its own clock and TCP_INFO.
type outcome struct {
	filled  time.Duration // from the first client to the last
	length  time.Duration // from the first client until the queue was empty
	peak    int           // connections that waited
	refused int           // clients that the kernel turned away
}

// A burster is a fixture with one listener.
type burster struct {
	*holder
	out *bufio.Reader
}

// do has the fixture do a burst after some time up to a period, and waits for its
// end.
func (b *burster) do(u burst) (o outcome, err error) {
	if _, err := fmt.Fprintln(b.stdin, u.clients, int64(u.filling), int64(u.all)); err != nil {
		return o, fmt.Errorf("tell a fixture: %w", err)
	}
	if _, err := fmt.Fscanln(b.out, &o.filled, &o.length, &o.peak, &o.refused); err != nil {
		return o, fmt.Errorf("hear a fixture: %w", err)
	}
	return o, nil
}

// phase is how long a fixture waits at most before a burst, so that it comes at any
// time between two ticks of a sampler.
const phase = 20 * time.Millisecond

// A server is the listener of a fixture, in that.
type server struct {
	fd      int
	at      unix.Sockaddr
	clients []int
}

// burstFixture obeys until nobody can tell it anything.
func burstFixture(backlog int) error {
	runtime.LockOSThread() // so that nothing but the kernel delays what it does
	if err := host.LoopbackUp(); err != nil {
		return fmt.Errorf("switch on lo: %w", err)
	}
	s := &server{at: &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 10000}}
	var err error
	if s.fd, err = listenOn(s.at, backlog); err != nil {
		return err
	}
	if err := unix.SetNonblock(s.fd, true); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "ready")
	in := bufio.NewReader(os.Stdin)
	for {
		var u burst
		if _, err := fmt.Fscanln(in, &u.clients, &u.filling, &u.all); err != nil {
			return nil //nolint:nilerr // nobody is there any more
		}
		sleepUntil(time.Now().Add(rand.N(phase)))
		o, err := s.play(u)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, int64(o.filled), int64(o.length), o.peak, o.refused)
	}
}

// play makes one burst.
func (s *server) play(u burst) (o outcome, err error) {
	began := time.Now()
	for i := range u.clients {
		sleepUntil(began.Add(u.filling * time.Duration(i) / time.Duration(u.clients)))
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return o, err
		}
		s.clients = append(s.clients, fd)
		abort(fd)
		if err := unix.Connect(fd, s.at); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return o, fmt.Errorf("connect: %w", err)
		}
	}
	o.filled = time.Since(began)
	sleepUntil(began.Add(u.all))
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return o, fmt.Errorf("TCP_INFO: %w", err)
	}
	o.peak = int(info.Unacked)
	// On loopback a handshake is over when connect(2) returns. Who was turned away
	// would try again only after a second.
	for _, fd := range s.clients {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return o, fmt.Errorf("TCP_INFO: %w", err)
		}
		if info.State != established {
			o.refused++
		}
	}
	return o, s.drain(began, &o)
}

// established is TCP_ESTABLISHED.
const established = 1

// drain accepts all, which ends the burst, and closes both ends.
func (s *server) drain(began time.Time, o *outcome) error {
	var accepted []int
	for {
		fd, _, err := unix.Accept4(s.fd, unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		accepted = append(accepted, fd)
	}
	o.length = time.Since(began)
	for _, fd := range append(accepted, s.clients...) {
		unix.Close(fd)
	}
	s.clients = s.clients[:0]
	return nil
}

// sleepUntil sleeps in the kernel: the runtime's timers may be a millisecond late.
func sleepUntil(t time.Time) {
	for left := time.Until(t); left > 0; left = time.Until(t) {
		ts := unix.NsecToTimespec(int64(left))
		unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil) //nolint:errcheck // it looks again
	}
}
