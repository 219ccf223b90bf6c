// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Visitor enters network namespaces from a thread of its own, and is of use to
// one goroutine only. Between two calls of Visit the thread is at home, in the
// namespace of this process, and nothing is open that keeps another alive.
type Visitor struct {
	live   *Live
	inside inside
	home   int  // a descriptor of the thread's first namespace, -1 until it leaves
	away   bool // the thread is in another
}

// Stay calls f on a thread that ends with it: for who visits again and again, as
// a new thread takes longer than a visit. [Visitor.Yield] may exchange the thread.
//
// The goroutine ends locked to the thread, and the runtime destroys that.
func (l *Live) Stay(f func(*Visitor) error) error {
	return inOwnThread(func() error {
		v := &Visitor{live: l, home: -1}
		v.inside.live = l
		v.inside.diag.buf = make([]byte, diagBuffer)
		defer v.end()
		return f(v)
	})
}

// Visit enters each namespace in turn and lets look read there; err says why a
// namespace could not be entered. Nothing stays open between two visits.
func (l *Live) Visit(ctx context.Context, all []*Namespace, look func(*Namespace, Inside, error)) error {
	return l.Stay(func(v *Visitor) error { return v.Visit(ctx, all, look) })
}

// Visit is [Live.Visit] on the thread of v.
func (v *Visitor) Visit(ctx context.Context, all []*Namespace, look func(*Namespace, Inside, error)) error {
	var err error
	for _, ns := range all {
		if err = ctx.Err(); err != nil {
			break
		}
		if err := v.arrive(ns); err != nil {
			look(ns, nil, err)
			continue
		}
		look(ns, &v.inside, nil)
		v.inside.leave()
	}
	return errors.Join(err, v.goHome())
}

// arrive enters ns and opens a socket there.
func (v *Visitor) arrive(ns *Namespace) error {
	if v.follow(ns) == nil && v.inside.arrive(ns, ns.known()) == nil {
		return nil
	}
	if err := v.enter(ns); err != nil {
		return err
	}
	return v.inside.arrive(ns, ns.Cookie)
}

// follow moves the thread to where a process is that was in ns when it was found.
// It takes 10 us where enter takes 24 [measured on 6.18, busy], but whether it led
// to ns only the cookie tells.
func (v *Visitor) follow(ns *Namespace) error {
	if ns.own || ns.known() == 0 || ns.PID == 0 {
		return ErrAbsent
	}
	pidfd, err := unix.PidfdOpen(ns.PID, 0)
	if err != nil {
		return err
	}
	return v.move(pidfd)
}

// enter moves the thread into ns.
func (v *Visitor) enter(ns *Namespace) error {
	if ns.own {
		return v.goHome()
	}
	fd, err := v.live.open(ns)
	if err != nil {
		return err
	}
	if err := v.move(fd); err != nil {
		return fmt.Errorf("enter net:[%d]: %w", ns.Inode, Needs("CAP_SYS_ADMIN", err))
	}
	return nil
}

// move moves the thread into the namespace behind a descriptor, and closes that.
func (v *Visitor) move(fd int) error {
	defer unix.Close(fd)
	if v.home < 0 {
		home, err := unix.Open(v.live.path("proc/thread-self/ns/net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open this thread's network namespace, to come back: %w", err)
		}
		v.home = home
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return err
	}
	v.away = true
	return nil
}

// goHome brings the thread back: a thread, too, keeps the namespace it is in.
func (v *Visitor) goHome() error {
	if !v.away {
		return nil
	}
	if err := unix.Setns(v.home, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("go back to this process's network namespace: %w", meaning(err))
	}
	v.away = false
	return nil
}

// Yield is [runtime.Gosched] between two visits. Gosched itself makes two other
// threads run before it comes back to a locked one; Yield gives the thread away, and
// goes on with it or with another. The program's main goroutine has to be locked to
// the main thread, that no visitor may have: /proc/self shows its namespaces.
func (v *Visitor) Yield() error {
	if v.away {
		runtime.Gosched()
		return nil
	}
	runtime.UnlockOSThread()
	runtime.Gosched()
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		return errors.New("visit namespaces: came to the main thread: main must call runtime.LockOSThread")
	}
	return nil
}

func (v *Visitor) end() {
	if v.home >= 0 {
		unix.Close(v.home)
	}
}

// onOwnThread runs f on a thread that ends with it, but never on the main one:
// that cannot end, and /proc/self shows its namespaces.
func onOwnThread(f func()) {
	runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() { // the main thread is locked: this runs elsewhere
		defer close(done)
		onOwnThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}
