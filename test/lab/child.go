// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// childVariable makes the test binary a child process of the laboratory.
const childVariable = "QTUNE_LAB_CHILD"

// A Process says what a child process is to do. It does it in the order of the
// fields, tells that it is ready, and stays until it is killed.
type Process struct {
	// Namespaces it begins in: new ones, or those of the caller.
	NewNet, NewUser, NewMount bool

	Cgroup string // path below the v2 mount, which it joins
	Comm   []byte // the name it gives itself; any bytes

	Mounts      []Mount // namespaces it mounts where only it sees them: needs NewMount
	HideProcess bool    // mounts /proc with hidepid=2: needs NewMount

	UID    int // the user it becomes; 0 stays root
	Listen []Socket
	Files  uint64 // RLIMIT_NOFILE it gives itself; 0 leaves it
	Plain  bool   // its executable does not tell that Go made it

	Exec []string // a program it becomes, instead of staying
}

// A Mount is a number of network namespaces, each with the same listener, that
// are mounted in a directory under the names 0, 1, 2, ...
type Mount struct {
	Dir    string
	Count  int
	Listen []Socket
}

// A Child is a child process that runs.
type Child struct {
	PID       int
	Listeners []*Held

	t       testing.TB
	cmd     *exec.Cmd
	orders  *json.Encoder
	reports *json.Decoder
}

// Main runs the tests of a package, or the child process this binary was started
// as. It belongs into the TestMain of every package that starts children.
func Main(m *testing.M) {
	if job := os.Getenv(childVariable); job != "" {
		if err := child(job); err != nil {
			fmt.Fprintln(os.Stderr, "lab: child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// /proc/PID shows the namespaces of the main thread: no goroutine that
	// enters others, ours or the product's, may ever run on it.
	runtime.LockOSThread()
	code := m.Run()
	removeBinary()
	removePlain()
	os.Exit(code)
}

// Start starts a child in the caller's namespaces and waits until it is ready.
func Start(t testing.TB, p Process) *Child {
	t.Helper()
	self := "/proc/self/exe"
	if p.Plain {
		self = plainSelf(t)
	}
	return start(t, exec.CommandContext(t.Context(), self), p)
}

// StartAs is [Start] of a copy of the test binary under a path of the caller's
// choice, for children with a remarkable /proc/PID/exe. A copy that is there
// already is used again.
func StartAs(t testing.TB, path string, p Process) *Child {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		self, err := os.ReadFile("/proc/self/exe")
		must(t, "read the test binary", err)
		must(t, "copy the test binary", os.WriteFile(path, self, 0o755))
	}
	return start(t, exec.CommandContext(t.Context(), path), p)
}

// Start starts a child inside the namespace and waits until it is ready.
func (n *Namespace) Start(p Process) *Child {
	n.t.Helper()
	var c *Child
	n.Do(func() { c = Start(n.t, p) })
	return c
}

func start(t testing.TB, cmd *exec.Cmd, p Process) *Child {
	t.Helper()
	cmd = command(t, cmd, p)
	stdin, err := cmd.StdinPipe() // ends when this process does, and the child with it
	must(t, "pipe", err)
	stdout, err := cmd.StdoutPipe()
	must(t, "pipe", err)
	must(t, "start a child", cmd.Start())
	c := &Child{PID: cmd.Process.Pid, t: t, cmd: cmd, orders: json.NewEncoder(stdin), reports: json.NewDecoder(stdout)}
	t.Cleanup(func() {
		c.Kill()
		stdin.Close()
	})
	if err := c.reports.Decode(&c.Listeners); err != nil {
		t.Fatalf("lab: a child was not ready: %v", err)
	}
	for i, h := range c.Listeners {
		h.child, h.index = c, i
	}
	return c
}

// command prepares the start of a child.
func command(t testing.TB, cmd *exec.Cmd, p Process) *exec.Cmd {
	t.Helper()
	job, err := json.Marshal(p)
	must(t, "marshal", err)
	cmd.Env = append(os.Environ(), childVariable+"="+string(job))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	for _, f := range []struct {
		wanted bool
		flag   uintptr
	}{{p.NewNet, unix.CLONE_NEWNET}, {p.NewUser, unix.CLONE_NEWUSER}, {p.NewMount, unix.CLONE_NEWNS}} {
		if f.wanted {
			cmd.SysProcAttr.Cloneflags |= f.flag
		}
	}
	if p.NewUser {
		root := []syscall.SysProcIDMap{{Size: 1}}
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = root, root
	}
	return cmd
}

// Kill ends the child and waits until it has.
func (c *Child) Kill() {
	if c.cmd.ProcessState == nil {
		must(c.t, "kill a child", ignoreGone(c.cmd.Process.Kill()))
		c.cmd.Wait() //nolint:errcheck // it was killed
	}
}

// child is the life of a child process.
func child(job string) error {
	os.Unsetenv(childVariable) //nolint:errcheck // it was set
	var p Process
	if err := json.Unmarshal([]byte(job), &p); err != nil {
		return err
	}
	if err := p.prepare(); err != nil {
		return err
	}
	if len(p.Exec) > 0 {
		return syscall.Exec(p.Exec[0], p.Exec, os.Environ())
	}
	held, err := listenAll(p.Listen)
	if err != nil {
		return err
	}
	if p.Files != 0 {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: p.Files, Max: p.Files}); err != nil {
			return os.NewSyscallError("set RLIMIT_NOFILE", err)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(held); err != nil {
		return err
	}
	return obey(held)
}

// prepare makes the process what it is to be.
func (p *Process) prepare() error {
	if p.NewMount {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return os.NewSyscallError("make mounts private", err)
		}
	}
	if p.NewNet {
		if err := host.LoopbackUp(); err != nil {
			return fmt.Errorf("set lo up: %w", err)
		}
	}
	if p.Cgroup != "" {
		if err := os.WriteFile(filepath.Join(cgroupMount(), p.Cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	if p.Comm != nil {
		if err := os.WriteFile("/proc/"+strconv.Itoa(os.Getpid())+"/comm", p.Comm, 0); err != nil {
			return err
		}
	}
	for _, m := range p.Mounts {
		if err := m.mount(); err != nil {
			return err
		}
	}
	if p.HideProcess {
		// A new mount has options of its own (5.8+); a remount would change
		// those of the host's.
		if err := unix.Mount("proc", "/proc", "proc", 0, "hidepid=2"); err != nil {
			return os.NewSyscallError("mount proc with hidepid", err)
		}
	}
	if p.UID != 0 {
		for _, err := range []error{syscall.Setgroups(nil), syscall.Setresgid(p.UID, p.UID, p.UID), syscall.Setresuid(p.UID, p.UID, p.UID)} {
			if err != nil {
				return os.NewSyscallError("become another user", err)
			}
		}
		// As after execve(2): the user may look into the process.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			return os.NewSyscallError("become dumpable", err)
		}
	}
	return nil
}

// mount makes the namespaces of m.
func (m *Mount) mount() error {
	if err := unix.Mount("lab", m.Dir, "tmpfs", 0, ""); err != nil {
		return os.NewSyscallError("mount a tmpfs", err)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is in another namespace
		done <- m.bindAll()
	}()
	return <-done
}

func (m *Mount) bindAll() error {
	for i := range m.Count {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if err := host.LoopbackUp(); err != nil {
			return err
		}
		if _, err := listenAll(m.Listen); err != nil {
			return err
		}
		path := filepath.Join(m.Dir, strconv.Itoa(i))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return os.NewSyscallError("mount a namespace", err)
		}
	}
	return nil
}

// listenAll opens listeners that stay open until the process ends.
func listenAll(all []Socket) ([]*Held, error) {
	held := []*Held{}
	for _, s := range all {
		fd, port, err := open(s)
		if err != nil {
			return nil, err
		}
		h := &Held{Socket: s, fd: fd}
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, os.NewSyscallError("make a listener non-blocking", err)
		}
		h.Port = port
		if h.Inode, h.Cookie, err = identity(fd); err != nil {
			return nil, err
		}
		held = append(held, h)
	}
	return held, nil
}
