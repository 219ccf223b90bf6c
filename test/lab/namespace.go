// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// A Namespace is a network namespace made for a test. Until the test ends or
// [Namespace.Release], a descriptor of this process keeps it.
type Namespace struct {
	Inode  uint64
	Cookie uint64 // SO_NETNS_COOKIE; 0 before Linux 5.14

	t       testing.TB
	file    *os.File
	clients []int
}

// NewNamespace makes a network namespace whose lo is up.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	live, err := host.NewLive("/")
	must(t, "read this host", err)
	ns, err := live.NewNamespace()
	must(t, "make a namespace", err)
	n := &Namespace{Inode: ns.Inode, Cookie: ns.Cookie, t: t, file: ns.File()}
	t.Cleanup(n.Release)
	return n
}

// NamespaceOf returns the network namespace of a process.
func NamespaceOf(t testing.TB, pid int) *Namespace {
	t.Helper()
	n := &Namespace{t: t}
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	must(t, "open the namespace of a process", err)
	n.file = f
	n.Do(n.identify)
	t.Cleanup(n.Release)
	return n
}

func (n *Namespace) identify() {
	var st unix.Stat_t
	must(n.t, "fstat a namespace", unix.Fstat(int(n.file.Fd()), &st))
	n.Inode = st.Ino
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(n.t, "socket", err)
	defer unix.Close(fd)
	n.Cookie, _ = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE) // 5.14+
}

// Release lets the namespace go; what else holds it may keep it.
func (n *Namespace) Release() { n.file.Close() }

// Path returns a file that opens the namespace while this process holds it.
func (n *Namespace) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// Do runs f on a thread inside the namespace.
func (n *Namespace) Do(f func()) {
	n.t.Helper()
	onThread(n.t, func() {
		must(n.t, "setns", unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET))
		f()
	})
}

// Run runs a program inside the namespace and returns what it wrote.
func (n *Namespace) Run(name string, args ...string) string {
	n.t.Helper()
	var out []byte
	n.Do(func() {
		var err error
		out, err = exec.CommandContext(n.t.Context(), name, args...).CombinedOutput()
		if err != nil {
			n.t.Fatalf("lab: %s %s: %v: %s", name, strings.Join(args, " "), err, out)
		}
	})
	return string(out)
}

// SetSysctl sets a sysctl of the namespace.
func (n *Namespace) SetSysctl(name, value string) {
	n.t.Helper()
	n.Do(func() { must(n.t, "sysctl", os.WriteFile(sysctlFile(name), []byte(value), 0)) })
}

// Sysctl returns the text of a sysctl of the namespace; ok is false when it has
// no such file.
func (n *Namespace) Sysctl(name string) (text string, ok bool) {
	n.t.Helper()
	n.Do(func() {
		b, err := os.ReadFile(sysctlFile(name))
		must(n.t, "sysctl", ignoreGone(err))
		text, ok = strings.TrimSpace(string(b)), err == nil
	})
	return text, ok
}

func sysctlFile(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

// Counters returns what netstat and snmp show of the namespace, by the name of
// the counter alone: TcpExt and Tcp have no name in common that matters here.
func (n *Namespace) Counters() map[string]uint64 {
	n.t.Helper()
	counters := map[string]uint64{}
	n.Do(func() {
		for _, file := range []string{"netstat", "snmp"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + file)
			must(n.t, "read counters", err)
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			for i := 0; i+1 < len(lines); i += 2 {
				names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
				if names[0] != "TcpExt:" && names[0] != "Tcp:" {
					continue
				}
				for j := 1; j < len(names); j++ {
					counters[names[j]], _ = strconv.ParseUint(values[j], 10, 64) // MaxConn is -1
				}
			}
		}
	})
	return counters
}

// HalfOpen returns how many peers of the namespace are in state SYN_RECV, as
// /proc/net/tcp and tcp6 have it.
func (n *Namespace) HalfOpen() int {
	n.t.Helper()
	count := 0
	n.Do(func() {
		for _, file := range []string{"tcp", "tcp6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + file)
			must(n.t, "read sockets", ignoreGone(err))
			for line := range strings.Lines(string(b)) {
				if f := strings.Fields(line); len(f) > 3 && f[3] == "03" {
					count++
				}
			}
		}
	})
	return count
}

// Occupy lets one thread of this process, not its main one, stay in the
// namespace until the test ends.
func (n *Namespace) Occupy() {
	n.t.Helper()
	inside, leave := make(chan struct{}), make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		n.Do(func() {
			close(inside)
			<-leave
		})
	}()
	<-inside
	n.t.Cleanup(func() {
		close(leave)
		<-gone
	})
}

// InodeOf returns the number of the namespace that a file opens.
func InodeOf(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// Mount binds the namespace to a file, as ip-netns(8) does, in the mount
// namespace the test runs in, until unmount is called or the test ends.
func (n *Namespace) Mount(path string) (unmount func()) {
	n.t.Helper()
	must(n.t, "make a mount point", os.WriteFile(path, nil, 0o600))
	must(n.t, "mount a namespace", unix.Mount(n.Path(), path, "", unix.MS_BIND, ""))
	unmount = sync.OnceFunc(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			n.t.Errorf("lab: unmount %q: %v", path, err)
		}
	})
	n.t.Cleanup(unmount)
	return unmount
}
