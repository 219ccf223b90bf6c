// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// holdVar makes this test binary a process that does nothing but be.
const holdVar = "QTUNE_TEST_HOLD"

// The main thread cannot end: a test that left it in a namespace would keep the
// namespace. So the main goroutine takes it, and no other ever runs there.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if os.Getenv(holdVar) != "" {
		os.Stdin.Read(make([]byte, 1)) //nolint:errcheck // it returns when the test closes the pipe
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A testNetns is a new network namespace with the two usual holds on it.
type testNetns struct{ fd, sock int }

func newNetns(t *testing.T) testNetns {
	t.Helper()
	return inThread(t, func() (testNetns, error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return testNetns{}, err
		}
		return hereNetns()
	})
}

func hereNetns() (testNetns, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return testNetns{}, err
	}
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return testNetns{fd, sock}, err
}

// inThread calls f on a thread that ends with it.
func inThread(t *testing.T, f func() (testNetns, error)) testNetns {
	t.Helper()
	var ns testNetns
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		ns, err = f()
	}()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func netnsCookie(t *testing.T, sock int) uint64 {
	t.Helper()
	id, err := unix.GetsockoptUint64(sock, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func inodeNumber(t *testing.T, fd int) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// needListns skips the test where the kernel would not tell.
func needListns(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	if _, err := listNetns(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	var st unix.Stat_t
	const initialPIDNamespace = 0xEFFFFFFC // PROC_PID_INIT_INO
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil || st.Ino != initialPIDNamespace {
		t.Skip("not in the initial PID namespace")
	}
}

// eventually tries ok for a second: threads and namespaces end in their own time.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		if ok() {
			return true
		}
		<-tick.C
	}
	return false
}

func isListed(t *testing.T, id uint64) bool {
	t.Helper()
	ids, err := listNetns()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("listNetns() = %v, want ascending ids", ids)
	}
	return slices.Contains(ids, id)
}

func TestKernelListNetns(t *testing.T) {
	needListns(t)
	tests := []struct {
		name string
		hold func(*testing.T, testNetns) (release func()) // closes fd and sock or keeps them
		want bool
	}{
		{"held by a process", holdByProcess, true},
		{"held by an nsfs mount", holdByMount, true},
		{"held by a descriptor", holdByDescriptor, true},
		{"held by a socket only, not listed", holdBySocket, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ns := newNetns(t)
			id, inode := netnsCookie(t, ns.sock), inodeNumber(t, ns.fd)
			release := tt.hold(t, ns)

			if !eventually(func() bool { return isListed(t, id) == tt.want }) {
				t.Errorf("listed = %v, want %v", !tt.want, tt.want)
			}
			fd, err := openNetnsID(id)
			switch {
			case !tt.want:
				if !errors.Is(err, unix.ESTALE) {
					t.Errorf("openNetnsID(%d) = %v, want %v", id, err, unix.ESTALE)
				}
			case err != nil:
				t.Error(err)
			default:
				if got := inodeNumber(t, fd); got != inode {
					t.Errorf("openNetnsID(%d) opened net:[%d], want net:[%d]", id, got, inode)
				}
				unix.Close(fd)
			}

			release()
			gone := func() bool {
				fd, err := openNetnsID(id)
				if err == nil {
					unix.Close(fd)
				}
				return errors.Is(err, unix.ESTALE) && !isListed(t, id)
			}
			if !eventually(gone) {
				t.Errorf("namespace %d is still there after its end", id)
			}
		})
	}
}

// holdByProcess starts a process in the namespace.
func holdByProcess(t *testing.T, ns testNetns) func() {
	c := exec.Command("/proc/self/exe")
	c.Env = []string{holdVar + "=1"}
	end, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	inThread(t, func() (testNetns, error) {
		if err := unix.Setns(ns.fd, unix.CLONE_NEWNET); err != nil {
			return testNetns{}, err
		}
		return testNetns{}, c.Start()
	})
	unix.Close(ns.fd)
	unix.Close(ns.sock)
	return func() {
		end.Close()
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func holdByMount(t *testing.T, ns testNetns) func() {
	file := filepath.Join(t.TempDir(), "netns")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", ns.fd), file, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	unix.Close(ns.fd)
	unix.Close(ns.sock)
	return func() {
		if err := unix.Unmount(file, 0); err != nil {
			t.Error(err)
		}
	}
}

func holdByDescriptor(_ *testing.T, ns testNetns) func() {
	unix.Close(ns.sock)
	return func() { unix.Close(ns.fd) }
}

func holdBySocket(_ *testing.T, ns testNetns) func() {
	unix.Close(ns.fd)
	return func() { unix.Close(ns.sock) }
}

// A namespace that only a socket holds is listed for as long as SIOCGSKNS has it open.
func TestKernelListNetnsRevived(t *testing.T) {
	needListns(t)
	ns := newNetns(t)
	defer unix.Close(ns.sock)
	id := netnsCookie(t, ns.sock)
	unix.Close(ns.fd)
	if !eventually(func() bool { return !isListed(t, id) }) {
		t.Fatal("held by a socket only and listed")
	}
	fd, err := unix.IoctlRetInt(ns.sock, unix.SIOCGSKNS)
	if err != nil {
		t.Fatal(err)
	}
	if !isListed(t, id) {
		t.Error("opened through the socket and not listed")
	}
	unix.Close(fd)
	if !eventually(func() bool { return !isListed(t, id) }) {
		t.Error("closed again and listed")
	}
}

func TestKernelListNetnsOwn(t *testing.T) {
	needListns(t)
	own, err := hereNetns()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(own.fd)
	defer unix.Close(own.sock)
	id := netnsCookie(t, own.sock)
	if !isListed(t, id) {
		t.Errorf("the own namespace %d is not listed", id)
	}
	fd, err := openNetnsID(id)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got, want := inodeNumber(t, fd), inodeNumber(t, own.fd); got != want {
		t.Errorf("openNetnsID(%d) opened net:[%d], want net:[%d]", id, got, want)
	}
}

// More namespaces than the first buffer has room for.
func TestKernelListNetnsMany(t *testing.T) {
	needListns(t)
	var want []uint64
	for range netnsGuess + 1 {
		ns := newNetns(t)
		want = append(want, netnsCookie(t, ns.sock))
		unix.Close(ns.sock)
		defer unix.Close(ns.fd)
	}
	ids, err := listNetns()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range want {
		if !slices.Contains(ids, id) {
			t.Errorf("namespace %d is not among the %d listed", id, len(ids))
		}
	}
}

func TestKernelOpenNetnsIDUnknown(t *testing.T) {
	needListns(t)
	for _, id := range []uint64{0, 1 << 40} {
		if fd, err := openNetnsID(id); !errors.Is(err, unix.ESTALE) {
			t.Errorf("openNetnsID(%d) = %d, %v, want %v", id, fd, err, unix.ESTALE)
		}
	}
}
