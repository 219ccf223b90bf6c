// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package lab makes small networks for tests of the real kernel: namespaces,
// listeners, clients that stay, forged peers, child processes that hold
// listeners; and it runs the qtune binary among them.
//
// Nothing outside the namespaces it makes is touched, and all of it ends with
// the test. Helpers take a [testing.TB] and end the test when the kernel refuses
// what they need; what a machine may lack is skipped with the reason.
package lab

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long [Wait] waits for what must come.
const patience = 20 * time.Second

// NeedRoot skips the test unless it may make namespaces.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	unshared.once.Do(func() {
		onThread(t, func() { unshared.err = unix.Unshare(unix.CLONE_NEWNET) })
	})
	if unshared.err != nil {
		t.Skipf("root, but namespaces cannot be made here: %v", unshared.err)
	}
}

// unshared is whether namespaces can be made: one takes milliseconds to make and end.
var unshared struct {
	once sync.Once
	err  error
}

// NeedProgram skips the test unless all programs are installed.
func NeedProgram(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// emulatedVariable says that this machine's CPU is emulated.
const emulatedVariable = "QTUNE_EMULATED"

// Emulated reports whether this machine's CPU is emulated, 10 to 30 times slower than
// a real one.
func Emulated() bool { return os.Getenv(emulatedVariable) != "" }

// NeedRealTime skips the test where the CPU is emulated: there qtune is too slow to
// sample a load as often as it does elsewhere.
func NeedRealTime(t testing.TB) {
	t.Helper()
	if Emulated() {
		t.Skip("judges loads in real time, and this CPU is emulated")
	}
}

// machineVariable says that this machine is one of the tests' own, that ends with them.
const machineVariable = "QTUNE_MACHINE"

// NeedMachine skips the test unless it may do to this machine what no namespace keeps
// from others.
func NeedMachine(t testing.TB) {
	t.Helper()
	if os.Getenv(machineVariable) == "" {
		t.Skip("changes the whole machine: make vm runs it")
	}
}

// NeedMPTCP skips the test unless this kernel makes MPTCP sockets.
func NeedMPTCP(t testing.TB) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		t.Skipf("this kernel has no MPTCP: %v", err)
	}
	unix.Close(fd)
}

// Wait polls until ok says yes, and fails the test when it never does.
func Wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !Within(patience, ok) {
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
}

// Within polls until ok says yes or the time is over, and reports which.
func Within(d time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(d)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// must ends the test when something the laboratory itself needs fails.
func must(t testing.TB, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("lab: %s: %v", doing, err)
	}
}

// onThread runs f on a thread of its own, which ends with f: f may move it to
// other namespaces. When f ends the test, so does the caller.
func onThread(t testing.TB, f func()) {
	t.Helper()
	finished := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, but for the main thread
		if unix.Gettid() == unix.Getpid() {
			// /proc/PID shows the namespaces of the main thread: leave it.
			defer runtime.UnlockOSThread()
			onThread(t, f)
		} else {
			f()
		}
		finished = true
	}()
	<-done
	if !finished {
		t.FailNow()
	}
}

// ignoreGone turns the error of something that has ended into nil.
func ignoreGone(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
