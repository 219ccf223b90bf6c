// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A lock is held by one tuner of the host at a time, and ends with its process at
// the latest. Its file says who that is, for people only.
type lock struct{ file *os.File }

// take takes the lock or says who has it.
func take(path string) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the lock's folder: %w", forRoot(err))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", forRoot(err))
	}
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s has %s; it holds it for the moment of a change", ErrBusy, holder(f), path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	l := &lock{file: f}
	if err := l.sign(); err != nil {
		l.release()
		return nil, fmt.Errorf("write who holds %s: %w", path, err)
	}
	return l, nil
}

// lockEvery is how often who waits tries again.
const lockEvery = 20 * time.Millisecond

// await takes the lock, and waits so long at most when another has it.
func await(ctx context.Context, path string, patience time.Duration) (*lock, error) {
	l, err := take(path)
	if patience == 0 || !errors.Is(err, ErrBusy) {
		return l, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for errors.Is(err, ErrBusy) {
		select {
		case <-tick.C:
			l, err = take(path)
		case <-ctx.Done():
			return nil, err // says who has it
		}
	}
	return l, err
}

// flock makes the system call until no signal interrupts it.
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// sign writes who holds the lock.
func (l *lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder says who holds a lock, as far as its file tells.
func holder(f io.ReaderAt) string {
	var buf [32]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(buf[:n])))
	if err != nil {
		return "a process that did not say which"
	}
	return "process " + strconv.Itoa(pid)
}

// release gives the lock back. To close the file is not enough: while this process
// starts another one, that has the file, too.
func (l *lock) release() {
	flock(l.file, unix.LOCK_UN) //nolint:errcheck // of a lock that is held
	l.file.Close()
}
