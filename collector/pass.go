// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
	listeners int                              // of it, in all namespaces
	work      Work

	hostSys *tcpq.Sysctls   // the host's values, for namespaces that have none of their own
	known   map[uint64]bool // inodes of the namespaces visited
	kept    map[tcpq.NetnsID][]Known
	lines   map[tcpq.NetnsID]string
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
		p.collector.forgetStray(ns) // ended since it was found: ordinary
		return
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

// read reads one namespace. Listeners come before counters: what a listener
// discarded is then in the counters, too.
func (p *pass) read(n *tcpq.Namespace, in host.Inside) {
	was := p.before[n.ID]
	lookedUp := p.lookUpListeners(n, in)
	if !lookedUp {
		p.readListeners(n, in)
	}
	p.readCounters(n, in)
	if lookedUp && asksForDump(n, was) { // who knows what listens there now
		p.readListeners(n, in)
		p.readCounters(n, in)
	}
	if was == nil || p.does(Sysctls) {
		p.readSysctls(n, in)
	} else {
		n.Sysctls = was.Sysctls
	}
	p.readSynQueues(n, in)
}

// asksForDump reports whether packets were refused since, so that it matters which
// listeners there are.
func asksForDump(n, was *tcpq.Namespace) bool {
	moved := n.Counters.Since(&was.Counters)
	return moved.Value(tcpq.ListenDrops) > 0 || moved.Value(tcpq.ListenOverflows) > 0 ||
		moved.Value(tcpq.TCPReqQFullDrop) > 0 || moved.Value(tcpq.TCPReqQFullDoCookies) > 0 ||
		moved.Value(tcpq.SyncookiesSent) > 0
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
	p.readVitals()
	p.collector.known, p.collector.lines = p.kept, p.lines
	s.Errors = joinErrors(s.Errors)
	p.collector.opts.Log.Debug("read the host", "namespaces", len(s.Namespaces), "work", int(p.work),
		"syn_walked", s.Coverage.SynWalked, "errors", len(s.Errors), "took", time.Since(p.began))
	slices.SortFunc(s.Namespaces, func(a, b tcpq.Namespace) int {
		return cmp.Or(cmp.Compare(hostFirst(&a), hostFirst(&b)), cmp.Compare(a.ID.Inode, b.ID.Inode), cmp.Compare(a.ID.Cookie, b.ID.Cookie))
	})
	return s
}

// hostFirst ranks the host's namespace before all others.
func hostFirst(n *tcpq.Namespace) int {
	if n.Host {
		return 0
	}
	return 1
}
