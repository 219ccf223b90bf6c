// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/qtune/qtune/host"
)

// A fakeKernel has namespaces in memory. It refuses what the kernel and host refuse,
// and it cuts a limit down to somaxconn as the kernel does.
type fakeKernel struct {
	cookies uint64 // given out so far
	spaces  []*fakeSpace
}

type fakeSpace struct {
	inode, cookie uint64
	readOnly      bool // its files may be read, and sockets seen, but not changed
	sysctls       map[string]int64
	listener      fakeListener
}

type fakeListener struct {
	inode  uint32
	cookie uint64
	limit  int64
}

func (k *fakeKernel) next() uint64 {
	k.cookies++
	return k.cookies
}

// replace puts a new namespace in the place of another, under the same number.
func (k *fakeKernel) replace(i int) {
	k.spaces[i] = &fakeSpace{
		inode: uint64(1000 + i), cookie: k.next(),
		sysctls: map[string]int64{somaxconn: 128, synBacklog: 256, syncookies: 1},
	}
	k.restart(i)
}

// restart gives a namespace another listener.
func (k *fakeKernel) restart(i int) {
	s := k.spaces[i]
	cookie := k.next()
	s.listener = fakeListener{inode: uint32(cookie), cookie: cookie, limit: min(64, s.sysctls[somaxconn])}
}

func (k *fakeKernel) visit(ctx context.Context, all []Scope, look func(int, place, error)) error {
	for i := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s, err := k.find(&all[i])
		look(i, s, err)
	}
	return nil
}

func (k *fakeKernel) find(scope *Scope) (*fakeSpace, error) {
	for _, s := range k.spaces {
		if s.inode == scope.Netns && cookieText(s.cookie) == scope.Cookie {
			return s, nil
		}
	}
	return nil, fmt.Errorf("net:[%d]: %w", scope.Netns, host.ErrGone)
}

func (s *fakeSpace) read(step *Step) (int64, error) {
	if step.Kind == KindListen {
		if step.Listener.Cookie != cookieText(s.listener.cookie) {
			return 0, host.ErrGone
		}
		return s.listener.limit, nil
	}
	return s.sysctls[step.Key], nil
}

func (s *fakeSpace) group(step *Step) (map[string]int64, error) {
	limit, err := s.read(step)
	return map[string]int64{step.Listener.Cookie: limit}, err
}

func (s *fakeSpace) write(step *Step, from, to int64) error {
	v, err := s.read(step)
	switch {
	case err != nil:
		return err
	case v != from:
		return &host.ChangedError{Have: v, Planned: from}
	case s.readOnly:
		return host.ErrPermission
	case step.Kind == KindListen:
		s.listener.limit = min(to, s.sysctls[somaxconn])
	default:
		s.sysctls[step.Key] = to
	}
	return nil
}

func (s *fakeSpace) may(*Step) error {
	if s.readOnly {
		return host.ErrPermission
	}
	return nil
}

// A playground is what the property test plays with: namespaces with a listener each.
type playground interface {
	kernel() kernel
	step(space int, key string, from, to int64) Step // key "" is the listener
	value(space int, key string) int64
	foreign(space int, key string, v int64)
	restart(space int)
	replace(space int)
	readOnly(space int, yes bool) bool // false: this world cannot
}

// fakeWorld is one of memory alone.
type fakeWorld struct{ k *fakeKernel }

func newFakeWorld() fakeWorld {
	w := fakeWorld{&fakeKernel{spaces: make([]*fakeSpace, spaces)}}
	for i := range w.k.spaces {
		w.k.replace(i)
	}
	return w
}

func (w fakeWorld) kernel() kernel { return w.k }

func (w fakeWorld) step(space int, key string, from, to int64) Step {
	s := w.k.spaces[space]
	step := Step{Kind: KindSysctl, Scope: Scope{Netns: s.inode, Cookie: cookieText(s.cookie), Name: strconv.Itoa(space)}, Key: key, From: from, To: to}
	if key == "" {
		step.Kind = KindListen
		step.Listener = &Socket{Address: "0.0.0.0", Port: 80, Protocol: "tcp", Inode: s.listener.inode, Cookie: cookieText(s.listener.cookie)}
	}
	return step
}

func (w fakeWorld) value(space int, key string) int64 {
	if key == "" {
		return w.k.spaces[space].listener.limit
	}
	return w.k.spaces[space].sysctls[key]
}

func (w fakeWorld) foreign(space int, key string, v int64) {
	s := w.k.spaces[space]
	if key == "" {
		s.listener.limit = min(v, s.sysctls[somaxconn])
		return
	}
	s.sysctls[key] = v
}

func (w fakeWorld) restart(space int) { w.k.restart(space) }
func (w fakeWorld) replace(space int) { w.k.replace(space) }

func (w fakeWorld) readOnly(space int, yes bool) bool {
	w.k.spaces[space].readOnly = yes
	return true
}

// realWorld has real namespaces and servers.
type realWorld struct {
	k     kernel
	boxes []*box
}

func newRealWorld(t *testing.T) *realWorld {
	t.Helper()
	w := &realWorld{k: newTuner(t, testOptions(t)).kernel}
	for range spaces {
		w.boxes = append(w.boxes, newBox(t))
	}
	return w
}

// reset gives every value back that a new world has: to make one takes longer.
func (w *realWorld) reset() {
	for space := range w.boxes {
		for _, v := range []struct {
			key string
			to  int64
		}{{somaxconn, 128}, {synBacklog, 256}, {syncookies, 1}, {"", 64}} {
			w.foreign(space, v.key, v.to)
		}
	}
}

func (w *realWorld) kernel() kernel { return w.k }

func (w *realWorld) step(space int, key string, from, to int64) Step {
	if key == "" {
		return w.boxes[space].listen(from, to)
	}
	return w.boxes[space].sysctl(key, from, to)
}

func (w *realWorld) value(space int, key string) int64 {
	s := w.step(space, key, 0, 0)
	return w.boxes[space].live(&s)
}

func (w *realWorld) foreign(space int, key string, v int64) {
	b := w.boxes[space]
	if key != "" {
		b.foreign(&Step{Kind: KindSysctl, Key: key}, v)
		return
	}
	s := b.listen(0, 0)
	b.foreign(&s, min(v, b.value(somaxconn)))
}

func (w *realWorld) restart(space int) { w.boxes[space].restart() }

func (w *realWorld) replace(space int) {
	old := w.boxes[space]
	old.end()
	w.boxes[space] = newBox(old.t)
}

func (*realWorld) readOnly(int, bool) bool { return false }

// refusingKernel is one that lets everything be read and nothing be written.
type refusingKernel struct{ kernel }

func (k *refusingKernel) visit(ctx context.Context, all []Scope, look func(int, place, error)) error {
	return k.kernel.visit(ctx, all, func(i int, p place, err error) { look(i, refusingPlace{p}, err) })
}

type refusingPlace struct{ place }

func (refusingPlace) write(*Step, int64, int64) error { return host.ErrPermission }
