// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

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
	if p.does(Owners) {
		ext |= inetdiag.ExtInfo // for the MPTCP mark, which never changes
	}
	err := p.collector.queues.dumpSockets(in, host.ListenDump, ext, inetdiag.Listen)
	p.collector.queues.settle(p.kept[n.ID], err == nil)
	if err != nil {
		p.fail(n, "listen", err)
	} else {
		n.Listed = true
	}
	sockets := p.collector.queues.dump.Sockets
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
// not change: the MPTCP mark and the owner. Both are sorted by
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
		now[i].Owner = was[0].Owner
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
