// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// A holder is a process of ours that holds sockets until it is closed. It ends
// with this process, too: its standard input does.
type holder struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// listeners starts a process with n listeners in a namespace of its own. Its
// sockets carry the id of cgroup, unless that is "".
func (l *lab) listeners(n int, cgroup string) (*holder, error) {
	attr := netnsOfItsOwn
	if cgroup != "" {
		fd, err := unix.Open(cgroup, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: cgroup, Err: err}
		}
		defer unix.Close(fd)
		attr.UseCgroupFD, attr.CgroupFD = true, fd
	}
	return l.hold("listen", n, &attr)
}

// netnsOfItsOwn starts a process in a new network namespace.
var netnsOfItsOwn = syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}

// hold starts a fixture and waits until it is ready.
func (l *lab) hold(kind string, n int, attr *syscall.SysProcAttr) (*holder, error) {
	h, _, err := l.start(kind, n, attr)
	return h, err
}

// start is hold for a fixture that says more.
func (l *lab) start(kind string, n int, attr *syscall.SysProcAttr) (*holder, *bufio.Reader, error) {
	cmd := exec.CommandContext(l.ctx, "/proc/self/exe", "fixture", kind, strconv.Itoa(n))
	cmd.SysProcAttr = attr
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start a process with %d sockets: %w", n, err)
	}
	h := &holder{cmd, stdin}
	out := bufio.NewReader(stdout)
	if _, err := out.ReadString('\n'); err != nil {
		h.close()
		return nil, nil, fmt.Errorf("a process did not make its %d sockets", n)
	}
	return h, out, nil
}

func (h *holder) netns() string { return fmt.Sprintf("/proc/%d/ns/net", h.cmd.Process.Pid) }

// close ends the process and waits for its sockets to be gone.
func (h *holder) close() {
	h.stdin.Close()
	h.cmd.Wait() //nolint:errcheck // how it ends says nothing
}

func closeAll(all []*holder) {
	for _, h := range all {
		h.stdin.Close() // they end side by side
	}
	for _, h := range all {
		h.close()
	}
}

// newCgroup makes a cgroup v2, or returns "" where none can be made.
func newCgroup() string {
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(mount, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		if dir, err := os.MkdirTemp(mount, "qtune-bench-"); err == nil {
			return dir
		}
	}
	return ""
}

// descriptorsLeft is what a process needs besides its sockets.
const descriptorsLeft = 64

// connectionsEach returns how many connections one process can hold both ends of.
func connectionsEach() int {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 400
	}
	return int(min(r.Max, 20000)-descriptorsLeft) / 2
}

// fixture is the other half of hold: it makes the sockets, says so, and waits.
// It uses bare system calls, so that it holds nothing but what is asked for.
func fixture(args []string) {
	n, err := strconv.Atoi(args[1])
	if err == nil {
		switch args[0] {
		case "listen":
			err = listen(n)
		case "waiting":
			err = waiting(n)
		case "burst":
			if err = burstFixture(n); err == nil {
				return
			}
		case "connect":
			err = connect(n)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: fixture:", err)
		os.Exit(1)
	}
	unix.Write(1, []byte("ready\n")) //nolint:errcheck // nobody to tell
	unix.Read(0, make([]byte, 1))    //nolint:errcheck // the end is the end
}

// listen makes n listeners on loopback.
func listen(n int) error {
	if err := host.LoopbackUp(); err != nil {
		return fmt.Errorf("switch on lo: %w", err)
	}
	for i := range n {
		if _, err := listenOn(&unix.SockaddrInet4{Addr: [4]byte{127, 0, byte(i / 20000), 1}, Port: 10000 + i%20000}, 128); err != nil {
			return fmt.Errorf("listener %d: %w", i, err)
		}
	}
	return nil
}

// waiting makes n listeners with so short a limit that the two connections which
// wait at each fill it half.
func waiting(n int) error {
	if err := host.LoopbackUp(); err != nil {
		return fmt.Errorf("switch on lo: %w", err)
	}
	for i := range n {
		at := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 10000 + i}
		if _, err := listenOn(at, 4); err != nil {
			return fmt.Errorf("listener %d: %w", i, err)
		}
		for range 2 {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("listener %d: %w", i, err)
			}
			if err := unix.Connect(fd, at); err != nil {
				return fmt.Errorf("listener %d: connect: %w", i, err)
			}
		}
	}
	return nil
}

func listenOn(at unix.Sockaddr, backlog int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, at); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, backlog)
}

// connect makes n connections on loopback, between addresses that are this
// process's own, and leaves no listener.
func connect(n int) error {
	pid := os.Getpid() // at most 22 bits, and more than all others
	ours := func(net byte) [4]byte { return [4]byte{127, net + byte(pid>>16), byte(pid >> 8), byte(pid)} }
	server := &unix.SockaddrInet4{Addr: ours(128), Port: 1000}
	listener, err := listenOn(server, 128)
	if err != nil {
		return err
	}
	for i := range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		abort(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ours(64), Port: 2000 + i}); err != nil {
			return fmt.Errorf("connection %d: bind: %w", i, err)
		}
		if err := unix.Connect(fd, server); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		other, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			return fmt.Errorf("connection %d: accept: %w", i, err)
		}
		abort(other)
	}
	return unix.Close(listener)
}

// abort makes a socket vanish when it is closed, without TIME_WAIT.
func abort(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // only tidiness is lost
}
