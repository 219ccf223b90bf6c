// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// lived starts a process in a network namespace of its own and finds that.
func lived(t *testing.T, l *Live) *Namespace {
	t.Helper()
	p := exec.CommandContext(t.Context(), "/proc/self/exe")
	p.Env = append(os.Environ(), holdVar+"=1")
	p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Skipf("no namespaces can be made here: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		p.Wait() //nolint:errcheck // how it ends says nothing
	})
	found, err := l.Namespaces(t.Context(), Search{PID: p.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	return found.Namespaces[0]
}

// descriptors returns the sockets and namespaces this process has open.
func descriptors(t *testing.T, l *Live) (all []Descriptor) {
	t.Helper()
	err := l.Descriptors(os.Getpid(), func(d Descriptor) bool {
		all = append(all, d)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func liveHost(t testing.TB) *Live {
	t.Helper()
	l, err := NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestKernelStay proves that visits of a Visitor are on one thread that is not the
// main one, that it is at home in between, and that nothing keeps a namespace
// alive which was visited.
func TestKernelStay(t *testing.T) {
	l := liveHost(t)
	ns := lived(t, l)
	before := map[uint64]bool{}
	for _, d := range descriptors(t, l) {
		before[d.Inode] = true
	}
	home, err := l.ownNetns()
	if err != nil {
		t.Fatal(err)
	}
	thread := 0
	err = l.Stay(func(v *Visitor) error {
		thread = unix.Gettid()
		for range 3 { // first by its file, then by its process
			visited := false
			err := v.Visit(t.Context(), []*Namespace{ns}, func(_ *Namespace, _ Inside, err error) {
				visited = err == nil
				if there, err := l.ownNetns(); there != ns.Inode || unix.Gettid() != thread {
					t.Errorf("thread %d looks at net:[%d], %v, want %d and net:[%d]", unix.Gettid(), there, err, thread, ns.Inode)
				}
			})
			if here, e := l.ownNetns(); err != nil || e != nil || !visited || here != home {
				t.Errorf("Visit = %v, visited %t, then in net:[%d], want net:[%d]", err, visited, here, home)
			}
		}
		for _, d := range descriptors(t, l) {
			if d.Netns && d.Inode != home || !d.Netns && !before[d.Inode] {
				t.Errorf("after the visits %v is open", d)
			}
		}
		return nil
	})
	if err != nil || thread == os.Getpid() {
		t.Errorf("Stay = %v on thread %d, want another than the main one", err, thread)
	}
	if !eventually(func() bool { return unix.Tgkill(os.Getpid(), thread, 0) != nil }) {
		t.Error("the thread did not end with Stay")
	}
}

// TestKernelYield proves that a Visitor that gives its thread away goes on visiting
// from whichever it comes to, and leaves none in a namespace.
func TestKernelYield(t *testing.T) {
	l := liveHost(t)
	ns := lived(t, l)
	home, err := l.ownNetns()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 2 * runtime.GOMAXPROCS(0) { // who want the thread
		go func() {
			for ctx.Err() == nil {
				runtime.Gosched()
			}
		}()
	}
	threads := map[int]bool{}
	err = l.Stay(func(v *Visitor) error {
		for range 10_000 {
			there := uint64(0)
			err := v.Visit(ctx, []*Namespace{ns}, func(*Namespace, Inside, error) { there, _ = l.ownNetns() })
			if here, e := l.ownNetns(); err != nil || e != nil || there != ns.Inode || here != home {
				return fmt.Errorf("visit = %w, saw net:[%d], then in net:[%d], %w, want %d and %d", err, there, here, e, ns.Inode, home)
			}
			threads[unix.Gettid()] = true
			if len(threads) > 1 {
				return nil
			}
			if err := v.Yield(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || threads[os.Getpid()] {
		t.Errorf("Stay = %v on threads %v, want none of them the main one", err, threads)
	}
	if len(threads) < 2 && runtime.GOMAXPROCS(0) > 1 {
		t.Errorf("it never came to another thread than %v", threads)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("threads of this process = %v, %v", tasks, err)
	}
	for _, task := range tasks {
		var st unix.Stat_t
		if err := unix.Stat(task, &st); err == nil && st.Ino == ns.Inode { // it may have ended
			t.Errorf("%s was left in net:[%d]", task, st.Ino)
		}
	}
}

// TestKernelVisitOfASuccessor proves that a process which has the number of one
// that ended leads to no other namespace.
func TestKernelVisitOfASuccessor(t *testing.T) {
	l := liveHost(t)
	ns := lived(t, l)
	other := lived(t, l)
	see := func(ns *Namespace) (err error) {
		if e := l.Visit(t.Context(), []*Namespace{ns}, func(_ *Namespace, _ Inside, e error) { err = e }); e != nil {
			t.Error(e)
		}
		return err
	}
	if err := see(ns); err != nil {
		t.Fatal(err)
	}
	if ns.Cookie == 0 {
		t.Skip("this kernel gives namespaces no cookies")
	}
	ns.PID = other.PID // as if it were reused
	var there uint64
	err := l.Visit(t.Context(), []*Namespace{ns}, func(*Namespace, Inside, error) { there, _ = l.ownNetns() })
	if err != nil || there != ns.Inode {
		t.Errorf("visited net:[%d], %v, want net:[%d] by its file", there, err, ns.Inode)
	}
	ns.doors = nil
	if err := see(ns); !errors.Is(err, ErrGone) {
		t.Errorf("visit without any other way = %v, want %v", err, ErrGone)
	}
}

// TestKernelRecall proves that a namespace which is found again is entered through its
// process at once, but not when another had its number before.
func TestKernelRecall(t *testing.T) {
	l := liveHost(t)
	first := lived(t, l)
	see := func(ns *Namespace) (err error) {
		if e := l.Visit(t.Context(), []*Namespace{ns}, func(_ *Namespace, _ Inside, e error) { err = e }); e != nil {
			t.Error(e)
		}
		return err
	}
	if err := see(first); err != nil {
		t.Fatal(err)
	}
	if first.Cookie == 0 {
		t.Skip("this kernel gives namespaces no cookies")
	}
	tests := []struct {
		name    string
		visited []*Namespace
		file    bool // the way by its file is open, too
		want    error
	}{
		{"it was never visited", nil, false, ErrGone},
		{"it was visited", []*Namespace{first}, false, nil},
		{"another had its number", []*Namespace{{Inode: first.Inode, Cookie: first.Cookie + 1}}, false, ErrGone},
		{"another had its number, and its file leads there", []*Namespace{{Inode: first.Inode, Cookie: first.Cookie + 1}}, true, nil},
		{"another number was visited", []*Namespace{{Inode: first.Inode + 1, Cookie: first.Cookie}}, false, ErrGone},
		{"it was found twice without a visit", []*Namespace{{Inode: first.Inode, before: first.Cookie}}, false, nil},
	}
	for _, tt := range tests {
		found, err := l.Namespaces(t.Context(), Search{PID: first.PID})
		if err != nil {
			t.Fatal(err)
		}
		found.Recall(tt.visited)
		ns := found.Namespaces[0]
		if !tt.file {
			ns.doors = nil
		}
		err = see(ns)
		if !errors.Is(err, tt.want) || err == nil && ns.Cookie != first.Cookie {
			t.Errorf("%s: visit = %v, then cookie %x, want %v, %x", tt.name, err, ns.Cookie, tt.want, first.Cookie)
		}
	}
}

// TestStayReturnsTheError proves that what f returns comes back.
func TestStayReturnsTheError(t *testing.T) {
	want := errors.New("enough")
	if err := liveHost(t).Stay(func(*Visitor) error { return want }); !errors.Is(err, want) {
		t.Errorf("Stay = %v, want %v", err, want)
	}
}
