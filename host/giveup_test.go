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
	"testing"

	"golang.org/x/sys/unix"
)

// givenUp makes the test binary the process that gives up, and tries.
const givenUp = "QTUNE_TEST_GIVE_UP"

// TestKernelGiveUpChanging has a process of root's give up, and try everything.
func TestKernelGiveUpChanging(t *testing.T) {
	if dir := os.Getenv(givenUp); dir != "" {
		giveUp(t, dir)
		if !t.Failed() { // it cannot write what it covered any more, either
			os.Exit(0)
		}
		os.Exit(1)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: others may not do these things anyway")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.run=^TestKernelGiveUpChanging$")
	cmd.Env = append(os.Environ(), givenUp+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// giveUp tries on the thread that gives up, and on one that was there before.
func giveUp(t *testing.T, dir string) {
	t.Helper()
	there, gaveUp, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		close(there)
		<-gaveUp
		tryAll(t, "a thread of before", dir)
	}()
	<-there
	if err := GiveUpChanging(); err != nil {
		t.Fatal(err)
	}
	tryAll(t, "the same thread", dir)
	close(gaveUp)
	<-done
	if err := GiveUpChanging(); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func tryAll(t *testing.T, where, dir string) {
	t.Helper()
	file, parent := filepath.Join(dir, "file"), os.Getppid()
	opens := func(flags int) error {
		fd, err := unix.Open(file, flags|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	enters := func(which string, kind int) error {
		fd, err := unix.Open("/proc/self/ns/"+which, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open: %v", err) //nolint:errorlint // must not be taken for what is tried
		}
		defer unix.Close(fd)
		return unix.Setns(fd, kind)
	}
	fetches := func() error {
		pidfd, err := unix.PidfdOpen(parent, 0)
		if err != nil {
			return fmt.Errorf("pidfd_open: %v", err) //nolint:errorlint // as above
		}
		defer unix.Close(pidfd)
		_, err = unix.PidfdGetfd(pidfd, 0, 0)
		return err
	}
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"open a file for reading", opens(unix.O_RDONLY), nil},
		{"open a folder's path", opens(unix.O_PATH), nil},
		{"open it for writing", opens(unix.O_WRONLY), unix.EPERM},
		{"for both", opens(unix.O_RDWR), unix.EPERM},
		{"make one", opens(unix.O_CREAT), unix.EPERM},
		{"empty one", opens(unix.O_TRUNC), unix.EPERM},
		{"enter a network namespace", enters("net", unix.CLONE_NEWNET), nil},
		{"enter a mount namespace", enters("mnt", unix.CLONE_NEWNS), unix.EPERM},
		{"enter a namespace of any kind", enters("uts", 0), unix.EPERM},
		{"leave a mount namespace", unix.Unshare(unix.CLONE_NEWNS), unix.EPERM},
		{"fetch a descriptor", fetches(), unix.EPERM},
		{"send a signal", unix.Kill(parent, 0), unix.EPERM},
		{"send one to a thread", unix.Tgkill(parent, parent, 0), unix.EPERM},
		{"send one to itself", unix.Tgkill(os.Getpid(), unix.Gettid(), 0), nil},
		{"mount", unix.Mount("none", dir, "tmpfs", 0, ""), unix.EPERM},
		{"start a program", unix.Exec(file, []string{file}, nil), unix.EPERM},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s, %s: %v, want %v", where, tt.name, tt.err, tt.want)
		}
	}
}
