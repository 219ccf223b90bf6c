// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// podCommand makes this program a process of a pod.
const podCommand = "pod"

// The first listener of a pod: so many connections wait there before it turns
// others away.
const (
	mainPort    = 8080
	mainBacklog = 4
	mainFull    = mainBacklog + 1
)

// An inmate is the life of a process of a pod. It is told what to do, and answers
// with one line.
type inmate struct {
	listeners map[int]int // descriptors by port
	waiting   []int       // clients in the first listener's queue
}

// orders are what a process can be told, with a number.
var orders = map[string]func(*inmate, int) error{
	"listen": (*inmate).listen,
	"close":  (*inmate).close,
	"refuse": (*inmate).refuse,
}

// beAPod obeys until nobody can tell it anything.
func beAPod() error {
	p := &inmate{listeners: map[int]int{}}
	if err := host.LoopbackUp(); err != nil {
		return fmt.Errorf("switch on lo: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	unix.Close(fd)
	if err != nil {
		return fmt.Errorf("the cookie of a namespace (Linux 5.14 and later): %w", err)
	}
	fmt.Fprintf(os.Stdout, "%d %016x\n", st.Ino, cookie)
	in := bufio.NewReader(os.Stdin)
	for {
		var what string
		var n int
		if _, err := fmt.Fscanln(in, &what, &n); err != nil {
			return nil //nolint:nilerr // nobody is there any more
		}
		do := orders[what]
		if do == nil {
			return fmt.Errorf("told to %s", what)
		}
		if err := do(p, n); err != nil {
			return fmt.Errorf("%s %d: %w", what, n, err)
		}
		fmt.Fprintln(os.Stdout, "done")
	}
}

func address(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}
}

func (p *inmate) listen(port int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p.listeners[port] = fd
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, address(port)); err != nil {
		return err
	}
	return unix.Listen(fd, mainBacklog)
}

func (p *inmate) close(port int) error {
	fd := p.listeners[port]
	delete(p.listeners, port)
	return unix.Close(fd)
}

// refuse fills the queue of the first listener and lets so many more clients come,
// each of which the kernel turns away once.
func (p *inmate) refuse(n int) error {
	for len(p.waiting) < mainFull {
		fd, refused, err := connect()
		if err != nil {
			return err
		}
		if refused {
			return errors.New("a client was turned away before the queue was full")
		}
		p.waiting = append(p.waiting, fd)
	}
	for range n {
		fd, refused, err := connect()
		if err != nil {
			return err
		}
		unix.Close(fd) // before it tries again
		if !refused {
			return errors.New("a client got into a full queue")
		}
	}
	return nil
}

// established is TCP_ESTABLISHED.
const established = 1

// connect makes a client of the first listener. On loopback the handshake is over
// when connect(2) returns.
func connect() (fd int, refused bool, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	if err := unix.Connect(fd, address(mainPort)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return -1, false, fmt.Errorf("connect: %w", err)
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return -1, false, fmt.Errorf("TCP_INFO: %w", err)
	}
	return fd, info.State != established, nil
}
