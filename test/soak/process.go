// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A process is one of a pod, from outside.
type process struct {
	pid   int
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader

	inode  uint64 // of its namespace
	cookie string
	ports  []int // it listens on, besides the first
}

// startProcess starts one in a namespace of its own, or in that of the calling
// thread. Nothing but [process.kill] ends it before this program does.
func startProcess(ownNamespace bool) (*process, error) {
	p := &process{cmd: exec.Command("/proc/self/exe", podCommand)} //nolint:noctx // ends with its standard input
	p.cmd.Stderr = os.Stderr
	if ownNamespace {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	p.pid, p.out = p.cmd.Process.Pid, bufio.NewReader(stdout)
	if _, err := fmt.Fscanln(p.out, &p.inode, &p.cookie); err != nil {
		p.kill()
		return nil, fmt.Errorf("a process did not begin: %w", err)
	}
	return p, nil
}

// tell has it do something and waits until that is done.
func (p *process) tell(what string, n int) error {
	if _, err := fmt.Fprintln(p.stdin, what, n); err != nil {
		return fmt.Errorf("tell a process to %s: %w", what, err)
	}
	var done string
	if _, err := fmt.Fscanln(p.out, &done); err != nil {
		return fmt.Errorf("a process did not %s: %w", what, err)
	}
	return nil
}

// kill ends it and waits until it has.
func (p *process) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	p.stdin.Close()
	p.cmd.Wait() //nolint:errcheck // it was killed
}

// inNamespace calls f on a thread that is in a namespace until f ends, and the
// thread with it.
func inNamespace(path string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- func() error {
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return &os.PathError{Op: "open", Path: path, Err: err}
			}
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
			if err != nil {
				return os.NewSyscallError("setns", err)
			}
			return f()
		}()
	}()
	return <-done
}

// runIP runs ip(8) in the namespace of the calling thread.
func runIP(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %q: %w: %s", args, err, out)
	}
	return nil
}
