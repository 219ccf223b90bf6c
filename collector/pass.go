// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// maxAttempts is how often a dump that was interrupted is made again.
const maxAttempts = 3

// A pass makes one Snapshot.
type pass struct {
	collector *Collector
	snapshot  *tcpq.Snapshot
	began     time.Time
	before    map[tcpq.NetnsID]*tcpq.Namespace // of the Snapshot before, nil when there is none
	full      bool                             // sysctls and MPTCP marks too; otherwise a sample

	hostSys *tcpq.Sysctls   // the host's values, for namespaces that have none of their own
	known   map[uint64]bool // inodes of the namespaces visited
}

// run visits the namespaces and reads what changes.
func (p *pass) run(ctx context.Context, all []*host.Namespace) error {
	if p.known == nil {
		p.known = make(map[uint64]bool, len(all))
	}
	visited := 0
	err := p.collector.host.Visit(ctx, all, func(ns *host.Namespace, in host.Inside, err error) {
		visited++
		p.known[ns.Inode] = true
		if visited%64 == 0 {
			p.collector.opts.Progress("reading namespaces", visited, len(all))
		}
		p.look(ns, in, err)
	})
	if err != nil {
		return fmt.Errorf("visit network namespaces: %w", err)
	}
	return nil
}

// look reads one namespace.
func (p *pass) look(ns *host.Namespace, in host.Inside, err error) {
	if errors.Is(err, host.ErrGone) || errors.Is(err, host.ErrAbsent) {
		return // ended since it was found: ordinary
	}
	n := tcpq.Namespace{
		ID:   tcpq.NetnsID{Inode: ns.Inode, Cookie: ns.Cookie},
		Host: ns.Host, Name: ns.Name, PID: ns.PID,
	}
	if err != nil {
		n.Denied = explainEnter(err)
		p.fail(&n, "enter", n.Denied)
	} else {
		p.read(&n, in)
	}
	p.snapshot.Namespaces = append(p.snapshot.Namespaces, n)
}

// read reads what changes and, in a full pass, what hardly does. Listeners come
// before counters: what a listener discarded is then in the counters, too.
func (p *pass) read(n *tcpq.Namespace, in host.Inside) {
	p.readListeners(n, in)
	p.readCounters(n, in)
	if was := p.before[n.ID]; was != nil && !p.full {
		n.Sysctls = was.Sysctls
	} else {
		p.readSysctls(n, in)
	}
	p.readSynQueues(n, in)
}

// explainEnter says what is missing when a namespace could not be entered.
func explainEnter(err error) error {
	if errors.Is(err, host.ErrPermission) {
		return fmt.Errorf("entering is %w: it needs CAP_SYS_ADMIN, and CAP_SYS_PTRACE for another user's", host.ErrPermission)
	}
	return err
}

// fail notes that something in a namespace could not be read.
func (p *pass) fail(n *tcpq.Namespace, stage string, err error) {
	if n.Err == "" {
		n.Err = err.Error()
	}
	p.snapshot.Errors = append(p.snapshot.Errors, tcpq.Error{Netns: n.ID.Inode, Stage: stage, Message: err.Error()})
}

// finish puts everything in order and hands the Snapshot over.
func (p *pass) finish() *tcpq.Snapshot {
	s := p.snapshot
	p.fillHostWide()
	s.Errors = joinErrors(s.Errors)
	p.collector.opts.Log.Debug("read the host", "namespaces", len(s.Namespaces), "full", p.full,
		"syn_walked", s.Coverage.SynWalked, "errors", len(s.Errors), "took", time.Since(p.began))
	slices.SortFunc(s.Namespaces, func(a, b tcpq.Namespace) int {
		return cmp.Or(boolCompare(b.Host, a.Host), cmp.Compare(a.ID.Inode, b.ID.Inode), cmp.Compare(a.ID.Cookie, b.ID.Cookie))
	})
	return s
}

// maxAlike is how often an error may stand in the list before it becomes one line.
const maxAlike = 3

// joinErrors makes one line of an error that many namespaces have.
func joinErrors(all []tcpq.Error) []tcpq.Error {
	type kind struct {
		stage, message string
		netns          bool // it concerns a namespace
	}
	alike := map[kind]int{}
	for _, e := range all {
		alike[kind{e.Stage, e.Message, e.Netns != 0}]++
	}
	joined := all[:0]
	for _, e := range all {
		k := kind{e.Stage, e.Message, e.Netns != 0}
		n := alike[k]
		if n == 0 {
			continue // the line stands already
		}
		if n > maxAlike {
			what := "times"
			if k.netns {
				what = "network namespaces"
			}
			e = tcpq.Error{Stage: e.Stage, Message: fmt.Sprintf("%d %s: %s", n, what, e.Message)}
			alike[k] = 0
		}
		joined = append(joined, e)
	}
	return joined
}

// boolCompare puts false before true.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// dumpSockets makes one dump and leaves it in the collector's dump; it is made
// again when it was interrupted, and what there is stays when that does not help.
func (p *pass) dumpSockets(in host.Inside, name host.DumpName, ext uint8, state uint8) error {
	c := p.collector
	var err error
	for range maxAttempts {
		c.seq++
		c.dump.Reset(c.seq)
		err = in.Dump(name, inetdiag.Request(c.seq, ext, state), c.dump.Add)
		if !errors.Is(err, inetdiag.ErrInterrupted) && !errors.Is(err, unix.ENOBUFS) {
			break
		}
	}
	return explainDump(err)
}

// explainDump turns what the kernel answers without the module into a sentence.
func explainDump(err error) error {
	switch {
	case errors.Is(err, host.ErrAbsent): // a recording without it
		return err
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("this kernel shows no TCP sockets: load inet_diag and tcp_diag (modprobe tcp_diag), or the kernel lacks CONFIG_INET_TCP_DIAG: %w", err)
	case errors.Is(err, inetdiag.ErrInterrupted), errors.Is(err, unix.ENOBUFS):
		return fmt.Errorf("after %d attempts sockets may be missing: %w", maxAttempts, err)
	}
	return err
}

// readListeners reads the LISTEN sockets, sorted by cookie.
func (p *pass) readListeners(n *tcpq.Namespace, in host.Inside) {
	ext := inetdiag.ExtSkMemInfo
	if p.full {
		ext |= inetdiag.ExtInfo // for the MPTCP mark, which never changes
	}
	if err := p.dumpSockets(in, host.ListenDump, ext, inetdiag.Listen); err != nil {
		p.fail(n, "listen", err)
	}
	sockets := p.collector.dump.Sockets
	slices.SortFunc(sockets, func(a, b inetdiag.Socket) int { return cmp.Compare(a.Cookie, b.Cookie) })
	sockets = slices.CompactFunc(sockets, func(a, b inetdiag.Socket) bool { return a.Cookie == b.Cookie })
	n.Listeners = make([]tcpq.Listener, 0, len(sockets))
	devices := map[uint32]string{}
	for i := range sockets {
		s := &sockets[i]
		if s.State != inetdiag.Listen {
			continue
		}
		l := listenerOf(s)
		if s.Ifindex != 0 {
			l.Device = deviceName(in, devices, s.Ifindex)
		}
		n.Listeners = append(n.Listeners, l)
	}
	if was := p.before[n.ID]; was != nil {
		carryOver(was.Listeners, n.Listeners)
	}
}

// carryOver gives the listeners of now what was known of them before and does
// not change: the MPTCP mark and an owner that was found. Both are sorted by
// cookie.
func carryOver(was, now []tcpq.Listener) {
	for i := range now {
		for len(was) > 0 && was[0].Cookie < now[i].Cookie {
			was = was[1:]
		}
		if len(was) == 0 || was[0].Cookie != now[i].Cookie {
			continue
		}
		now[i].MPTCP = now[i].MPTCP || was[0].MPTCP
		if o := was[0].Owner; o != nil && o.Unfound == tcpq.Found {
			now[i].Owner = o
		}
	}
}

// listenerOf turns a socket of the dump into a Listener.
func listenerOf(s *inetdiag.Socket) tcpq.Listener {
	return tcpq.Listener{
		Addr: s.LocalAddr(), Port: s.Port, Ifindex: s.Ifindex,
		V6Only: s.Has(inetdiag.V6Only), MPTCP: s.Has(inetdiag.MPTCP), Transparent: s.Has(inetdiag.Transparent),
		Inode: s.Inode, Cookie: s.Cookie, UID: s.UID, Cgroup: s.Cgroup,
		Accept:   tcpq.Queue{Len: s.RQueue, Max: s.WQueue},
		Discards: s.Drops, DiscardsKnown: s.Has(inetdiag.HasDrops),
	}
}

// deviceName returns the name of an interface, its number when it has gone.
func deviceName(in host.Inside, known map[uint32]string, index uint32) string {
	name, ok := known[index]
	if !ok {
		var err error
		if name, err = in.Device(index); err != nil {
			name = strconv.FormatUint(uint64(index), 10)
		}
		known[index] = name
	}
	return name
}

// readCounters reads the files of the counter table.
func (p *pass) readCounters(n *tcpq.Namespace, in host.Inside) {
	for _, f := range counterFiles {
		if f.hostOnly && !n.Host {
			continue
		}
		content, err := in.Read(f.name)
		if err == nil {
			err = f.parse(&p.collector.counters, content, &n.Counters)
		}
		if err != nil && !(f.optional && errors.Is(err, host.ErrAbsent)) {
			p.fail(n, "counters", fmt.Errorf("%s: %w", f.name, err))
		}
	}
}

// readSysctls reads the sysctl table.
func (p *pass) readSysctls(n *tcpq.Namespace, in host.Inside) {
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		if s.HostWide(p.snapshot.Kernel) && !n.Host {
			continue // shown in the host's namespace only
		}
		text, err := in.Sysctl(s)
		if err == nil {
			var value int64
			if value, err = strconv.ParseInt(text, 10, 64); err == nil {
				n.Sysctls.Set(s, value)
				continue
			}
		}
		if !errors.Is(err, host.ErrAbsent) {
			p.fail(n, "sysctls", fmt.Errorf("%s: %w", s, err))
		} else if s == tcpq.Somaxconn {
			p.fail(n, "sysctls", fmt.Errorf("%s is hidden here: before Linux 6.6 a namespace of a child user namespace does not show it", s))
		}
	}
	if n.Host {
		p.hostSys = &n.Sysctls
	}
}

// fillHostWide gives namespaces the host's value of what this kernel has one of
// for all, marked so.
func (p *pass) fillHostWide() {
	if p.hostSys == nil {
		return
	}
	for i := range p.snapshot.Namespaces {
		n := &p.snapshot.Namespaces[i]
		for s := range tcpq.Sysctl(tcpq.NumSysctls) {
			value, ok := p.hostSys.Get(s)
			if ok && s.HostWide(p.snapshot.Kernel) {
				n.Sysctls.SetHostWide(s, value)
			}
		}
	}
}
