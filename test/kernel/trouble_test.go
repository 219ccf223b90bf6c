// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// nobody is a user without rights.
const nobody = 65534

// TestKernelChurn lets processes and namespaces vanish while they are looked at.
func TestKernelChurn(t *testing.T) {
	lab.NeedRoot(t)
	socket := lab.Socket{Addr: "0.0.0.0", Port: 8080, Backlog: 7}
	for _, args := range [][]string{
		{"--for", "0", "--deep"},
		{"--for", "0", "--syn", "all"},
		{"--for", "200ms", "--syn", "all"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			stays := lab.NewNamespace(t)
			here := stays.Listen(socket)
			stays.Mount(filepath.Join(t.TempDir(), "stays"))
			for range 6 {
				run := lab.Go(t, append(args, "-o", "json")...)
				for run.Running() {
					pod := lab.Start(t, lab.Process{NewNet: true, Listen: []lab.Socket{socket}})
					short := lab.NewNamespace(t)
					short.Listen(socket).Close()
					pod.Kill()
					short.Release()
				}
				in := run.Inspection()
				if len(in.Errors) > 0 {
					t.Errorf("errors = %v: what ends is ordinary", in.Errors)
				}
				if all := listenersOf(in, stays); len(all) != 1 || all[0].Inode != here.Inode {
					t.Errorf("listeners of the namespace that stays = %+v, want one", all)
				}
			}
		})
	}
}

// TestKernelFIFO puts a FIFO where a namespace is expected, as any user can who
// has a user namespace: opening it waits for somebody who writes, and qtune must
// not.
func TestKernelFIFO(t *testing.T) {
	lab.NeedRoot(t)
	const enough = 5 * time.Second
	mkfifo := func(t *testing.T, path string) {
		t.Helper()
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // wake whoever waits
			f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0)
			if err != nil {
				t.Error(err)
			}
			f.Close()
			unix.Close(fd)
		})
	}
	t.Run("as --netns", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "blue")
		mkfifo(t, path)
		run := lab.Go(t, "--for", "0", "--netns", path)
		if !lab.Within(enough, func() bool { return !run.Running() }) {
			t.Fatal("qtune waits for somebody who writes into the FIFO")
		}
		if code := run.Wait(); code != 1 {
			t.Errorf("exit %d, want 1: %s", code, run.Stderr.String())
		}
	})
	t.Run("mounted over a namespace", func(t *testing.T) {
		dir := t.TempDir()
		blue, fifo := filepath.Join(dir, "blue"), filepath.Join(dir, "fifo")
		n := lab.NewNamespace(t)
		n.Mount(blue)
		n.Release()
		mkfifo(t, fifo)
		if err := unix.Mount(fifo, blue, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(blue, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		run := lab.Go(t, "--for", "0")
		if !lab.Within(enough, func() bool { return !run.Running() }) {
			t.Fatal("qtune waits for somebody who writes into the FIFO")
		}
		if code := run.Wait(); code != 0 {
			t.Errorf("exit %d: %s", code, run.Stderr.String())
		}
	})
}

// TestKernelOpensNamespacesOnly mounts another file over a namespace, as any user
// can who has a user namespace: qtune must not open it, for it might be a
// watchdog.
func TestKernelOpensNamespacesOnly(t *testing.T) {
	lab.NeedRoot(t)
	dir := t.TempDir()
	blue, other := filepath.Join(dir, "blue"), filepath.Join(dir, "other")
	n := lab.NewNamespace(t)
	n.Mount(blue)
	n.Release()
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(other, blue, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(blue, unix.MNT_DETACH) //nolint:errcheck // the folder could not be removed
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, other, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--for", "0"}, {"--for", "100ms", "--deep"}} {
		in := lab.Inspect(t, args...)
		// Nothing but listns(2), Linux 6.19 and later, leads there; then it leads inside.
		if s := n.In(in); s != nil && s.Sysctls["net.core.somaxconn"] == 0 {
			t.Errorf("namespace = %+v, want none or all of it", s)
		}
		if len(in.Errors) > 0 {
			t.Errorf("errors = %v: that a mount is covered is ordinary", in.Errors)
		}
		var event [4096]byte
		if k, err := unix.Read(watch, event[:]); k > 0 || !errors.Is(err, unix.EAGAIN) {
			t.Errorf("qtune %q opened a file that is no namespace", args)
		}
	}
}

// TestKernelNotRoot looks at a namespace as nobody.
func TestKernelNotRoot(t *testing.T) {
	lab.NeedRoot(t)
	lab.Binary(t)
	n := lab.NewNamespace(t)
	roots := n.Listen(lab.Socket{Addr: "0.0.0.0", Port: 80, Backlog: 5})
	own := n.Start(lab.Process{UID: nobody, Listen: []lab.Socket{{Addr: "::", Port: 8080, Backlog: 7}}})
	check := func(t *testing.T, in *inspection.Inspection, sentences ...string) {
		t.Helper()
		if s := n.In(in); s == nil || s.Sysctls["net.core.somaxconn"] == 0 || s.Cookie != netnsCookie(n) {
			t.Errorf("own namespace = %+v", s)
		}
		all := listenersOf(in, n)
		if len(all) != 2 {
			t.Fatalf("%d listeners, want 2", len(all))
		}
		for _, l := range all {
			switch l.Inode {
			case roots.Inode:
				if l.Owner == nil || l.Owner.PID != 0 || l.Owner.Unfound != "not-permitted" || l.Owner.UID != 0 {
					t.Errorf("owner of root's = %+v, want user 0 and that nobody may see it", l.Owner)
				}
			case own.Listeners[0].Inode:
				if l.Owner == nil || l.Owner.PID != own.PID || l.Owner.UID != nobody {
					t.Errorf("owner of nobody's = %+v, want process %d", l.Owner, own.PID)
				}
			default:
				t.Errorf("listener %+v: nobody made it", l)
			}
		}
		for _, s := range sentences {
			if !says(in, s) {
				t.Errorf("not searched = %q, want %q to be told", in.Coverage.NotSearched, s)
			}
		}
	}
	for _, span := range []string{"0", "200ms"} {
		t.Run("another user, for "+span, func(t *testing.T) {
			var in *inspection.Inspection
			n.Do(func() { in = lab.GoAs(t, nobody, "-o", "json", "--for", span).Inspection() })
			check(t, in, "CAP_SYS_PTRACE")
		})
	}
	t.Run("another user under hidepid", func(t *testing.T) {
		var in *inspection.Inspection
		n.Do(func() {
			in = lab.GoIn(t, lab.Process{NewMount: true, HideProcess: true, UID: nobody}, "-o", "json", "--for", "0").Inspection()
		})
		check(t, in, "hidepid")
	})
	t.Run("root under hidepid sees all", func(t *testing.T) {
		in := lab.GoIn(t, lab.Process{NewMount: true, HideProcess: true}, "-o", "json", "--for", "0").Inspection()
		if all := listenersOf(in, n); len(all) != 2 || says(in, "hidepid") {
			t.Errorf("%d listeners, not searched %q: want 2, and no word of hidepid", len(all), in.Coverage.NotSearched)
		}
	})
	t.Run("a table for another user", func(t *testing.T) {
		var run *lab.Run
		n.Do(func() {
			run = lab.GoAs(t, nobody, "--for", "0")
			if code := run.Wait(); code != 0 {
				t.Errorf("exit %d: %s", code, run.Stderr.String())
			}
		})
		if out := run.Stdout.String() + run.Stderr.String(); !strings.Contains(out, "CAP_SYS") {
			t.Errorf("output = %q, want the missing capability", out)
		}
	})
	t.Run("another's namespace by its path", func(t *testing.T) {
		other := lab.Start(t, lab.Process{NewNet: true})
		run := lab.GoAs(t, nobody, "--for", "0", "--netns", fmt.Sprintf("/proc/%d/ns/net", other.PID))
		if code := run.Wait(); code != 12 {
			t.Errorf("exit %d, want 12: %s", code, run.Stderr.String())
		}
	})
}

// TestKernelHostileNames has processes, programs, devices and mounts whose names
// would do something to a terminal.
func TestKernelHostileNames(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ip")
	const comm, device = "a\n\x1b[2Jb\xff", "\x1b[31m\x07c"
	dir := t.TempDir()
	n := lab.NewNamespace(t)
	n.NewWire(device)
	n.Mount(filepath.Join(dir, "d\n\x1b]0;e\x07\xfe"))
	c := lab.StartAs(t, filepath.Join(dir, "f\n\x1b[1m\u202eg\xfd"), lab.Process{
		NewNet: true, Comm: []byte(comm), Listen: []lab.Socket{{Addr: "::", Port: 8080, Backlog: 7}},
	})
	n.Listen(lab.Socket{Addr: "0.0.0.0", Port: 8081, Backlog: 7, Device: device})
	for _, output := range []string{"table", "wide", "json", "yaml"} {
		t.Run(output, func(t *testing.T) {
			run := lab.Go(t, "--for", "0", "-o", output)
			if code := run.Wait(); code != 0 {
				t.Fatalf("exit %d: %s", code, run.Stderr.String())
			}
			out := run.Stdout.String()
			if !strings.Contains(out, "8080") || !strings.Contains(out, "8081") {
				t.Errorf("output = %q, want both listeners", out)
			}
			for _, text := range []string{out, run.Stderr.String()} {
				if !utf8.ValidString(text) {
					t.Errorf("output = %q, want UTF-8", text)
				}
				if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("output has %q", text[i:min(len(text), i+20)])
				}
			}
			if !strings.Contains(out, `a\n\x1b[2Jb`) && !strings.Contains(out, `a\\n\\x1b[2Jb`) {
				t.Errorf("output = %q, want the name of process %d, escaped", out, c.PID)
			}
		})
	}
}

// TestKernelManyNamespaces looks at a thousand.
func TestKernelManyNamespaces(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a thousand namespaces take seconds")
	}
	lab.NeedRoot(t)
	const many = 1000
	c := lab.Start(t, lab.Process{NewMount: true, Mounts: []lab.Mount{{
		Dir: t.TempDir(), Count: many, Listen: []lab.Socket{{Addr: "0.0.0.0", Port: 8080, Backlog: 7}},
	}}})
	in := lab.Inspect(t, "--for", "0", "--syn", "all")
	owned := map[uint64]int{}
	for _, l := range in.Listeners {
		if l.Owner != nil && l.Owner.PID == c.PID {
			owned[l.Netns]++
		}
	}
	once := 0
	for _, n := range in.Namespaces {
		if owned[n.Inode] == 1 {
			once++
		}
	}
	if once != many || len(owned) != many {
		t.Errorf("%d namespaces with their listener, %d listeners' namespaces: want %d", once, len(owned), many)
	}
	if len(in.Errors) > 0 {
		t.Errorf("errors = %v", in.Errors)
	}
}

// TestKernelManyListeners looks at ten thousand in one namespace.
func TestKernelManyListeners(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ss")
	const many = 10000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < many+100 {
		t.Skipf("this process may have only %d descriptors", limit.Cur)
	}
	n := lab.NewNamespace(t)
	sockets := make([]lab.Socket, many)
	for i := range sockets {
		sockets[i] = lab.Socket{Addr: "127.0.0.1", Port: uint16(1 + i), Backlog: i % 100}
	}
	made := map[string]*lab.Listener{}
	for _, l := range n.ListenAll(sockets...) {
		made[cookieText(l.Cookie)] = l
	}
	in := lab.Inspect(t, "--for", "0", "--syn", "all", "--netns", n.Path())
	ss := n.SS()
	if len(in.Listeners) != many || len(ss) != many {
		t.Errorf("%d listeners, %d in ss, want %d", len(in.Listeners), len(ss), many)
	}
	for _, l := range in.Listeners {
		w := made[l.Cookie]
		if w == nil || l.Port != w.Port || l.Inode != w.Inode || int(l.AcceptQueue.Limit) != w.Backlog || l.Owner == nil || l.Owner.PID != self().pid {
			t.Fatalf("listener = %+v, want %+v", l, w)
		}
		delete(made, l.Cookie)
	}
}
