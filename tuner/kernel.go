// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/sysctl"
)

// A kernel is where steps are done.
type kernel interface {
	// visit enters the namespace of each scope in turn and lets look work there;
	// err says why it could not be entered, host.ErrGone that there is none any
	// more.
	visit(ctx context.Context, all []Scope, look func(i int, p place, err error)) error
}

// A place is a namespace that is being visited.
type place interface {
	read(*Step) (int64, error)
	group(*Step) (map[string]int64, error) // limits of its listener's reuse-port group, by cookie
	write(s *Step, from, to int64) error   // host.ErrChanged when it is not from
	may(*Step) error                       // would write be allowed?
}

// liveKernel is that of this machine.
type liveKernel struct{ live *host.Live }

func (k *liveKernel) visit(ctx context.Context, all []Scope, look func(int, place, error)) error {
	found, err := k.find(ctx, all)
	if err != nil {
		return err
	}
	at := make(map[*host.Namespace]int, len(all))
	var there []*host.Namespace
	for i := range all {
		if found[i].err == nil {
			at[found[i].ns] = i
			there = append(there, found[i].ns)
		}
	}
	next := 0
	skip := func(to int) { // what cannot be visited has its turn, too
		for ; next < to; next++ {
			look(next, nil, found[next].err)
		}
	}
	err = k.live.Change(ctx, there, func(ns *host.Namespace, in host.Changeable, err error) {
		i := at[ns]
		skip(i)
		next++
		switch {
		case err == nil:
			look(i, &livePlace{ctx: ctx, kernel: k, in: in}, nil)
		case errors.Is(err, host.ErrGone):
			k.visitAgain(ctx, all[i], func(p place, err error) { look(i, p, err) })
		default:
			look(i, nil, err)
		}
	})
	if err == nil {
		skip(len(all))
	}
	return err
}

// visitAgain visits a namespace whose known ways in have ended. There may be others.
func (k *liveKernel) visitAgain(ctx context.Context, s Scope, look func(place, error)) {
	found, err := k.find(ctx, []Scope{s})
	if err == nil {
		err = found[0].err
	}
	if err != nil {
		look(nil, err)
		return
	}
	looked := false
	err = k.live.Change(ctx, []*host.Namespace{found[0].ns}, func(_ *host.Namespace, in host.Changeable, err error) {
		looked = true
		if err != nil {
			look(nil, err)
			return
		}
		look(&livePlace{ctx: ctx, kernel: k, in: in}, nil)
	})
	if !looked {
		look(nil, err)
	}
}

// livePlace is a namespace of this machine.
type livePlace struct {
	ctx       context.Context //nolint:containedctx // that of the visit
	kernel    *liveKernel
	in        host.Changeable
	listeners map[uint64]inetdiag.Socket // by cookie; nil: not known, or not any more
}

func (p *livePlace) read(s *Step) (int64, error) {
	if s.Kind == KindListen {
		l, err := p.listener(s)
		return int64(l.WQueue), err
	}
	key, err := sysctlOf(s.Key)
	if err != nil {
		return 0, err
	}
	return sysctl.Get(p.in, key)
}

func (p *livePlace) write(s *Step, from, to int64) error {
	if s.Kind == KindListen {
		return p.fetch(s, func(l *host.Socket) error { return p.in.Relisten(l, uint32(from), uint32(to)) })
	}
	key, err := sysctlOf(s.Key)
	if err != nil {
		return err
	}
	if to == s.From { // whoever set that may have had no bounds
		return sysctl.Restore(p.in, key, from, to)
	}
	return sysctl.Swap(p.in, key, from, to)
}

// fetch lets do work on the listener of a step, through whoever holds it.
func (p *livePlace) fetch(s *Step, do func(*host.Socket) error) error {
	socket, err := p.socket(s)
	if err != nil {
		return err
	}
	p.listeners = nil
	err = do(socket)
	if !errors.Is(err, host.ErrGone) && !errors.Is(err, host.ErrAbsent) {
		return err
	}
	// Those that held it are gone. It need not be: others may hold it now.
	if socket, err = p.socket(s); err != nil {
		return err
	}
	p.listeners = nil
	if socket.PIDs, err = p.kernel.holders(p.ctx, socket.Inode); err != nil {
		return err
	}
	if err = do(socket); errors.Is(err, host.ErrGone) || errors.Is(err, host.ErrAbsent) {
		return fmt.Errorf("listener %s is there, but who holds it was not found: %w", s.Listener.Name(), host.ErrPermission)
	}
	return err
}

// socket returns the listener of a step as host wants to know it.
func (p *livePlace) socket(s *Step) (*host.Socket, error) {
	l, err := p.listener(s)
	return &host.Socket{
		PIDs:   s.Listener.PIDs,
		Inode:  l.Inode,
		Cookie: l.Cookie,
		Addr:   l.LocalAddr(),
		Port:   l.Port,
		MPTCP:  l.Has(inetdiag.MPTCP),
	}, err
}

// listener finds the listener of a step. A program that was started again has
// another, under another cookie.
func (p *livePlace) listener(s *Step) (inetdiag.Socket, error) {
	_, cookie, err := s.Listener.parse()
	if err != nil {
		return inetdiag.Socket{}, err
	}
	for range 2 { // a dump is not of one instant: one may miss a socket
		if p.listeners == nil {
			if p.listeners, err = dump(p.in); err != nil {
				return inetdiag.Socket{}, fmt.Errorf("list the listeners of net:[%d]: %w", s.Scope.Netns, err)
			}
		}
		if l, ok := p.listeners[cookie]; ok {
			return l, nil
		}
		p.listeners = nil
	}
	return inetdiag.Socket{}, fmt.Errorf("listener %s: %w", s.Listener.Name(), host.ErrGone)
}

// group finds the members by what makes them one: all that bind(2) compares.
func (p *livePlace) group(s *Step) (map[string]int64, error) {
	l, err := p.listener(s)
	if err != nil {
		return nil, err
	}
	limits := map[string]int64{}
	for _, m := range p.listeners {
		if m.Family == l.Family && m.Addr == l.Addr && m.Port == l.Port && m.Ifindex == l.Ifindex && m.Has(inetdiag.V6Only) == l.Has(inetdiag.V6Only) {
			limits[fmt.Sprintf("%016x", m.Cookie)] = int64(m.WQueue)
		}
	}
	return limits, nil
}

// dump returns every listener of the namespace by its cookie.
func dump(in host.Inside) (map[uint64]inetdiag.Socket, error) {
	var q collector.Queues
	found, err := q.Listeners(in)
	if err != nil {
		return nil, err
	}
	all := make(map[uint64]inetdiag.Socket, len(found))
	for _, s := range found {
		all[s.Cookie] = s
	}
	return all, nil
}
