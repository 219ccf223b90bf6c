// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// wishes reads the values that were asked for by name, of no namespace yet.
func (p *planning) wishes() ([]tuner.Wish, error) {
	var all []tuner.Wish
	for _, arg := range p.Args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usageError("%q: want KEY=VALUE, such as %s=8192", arg, tcpq.Somaxconn)
		}
		key, ok := settableNamed(name)
		if !ok {
			return nil, usageError("%s: qtune changes only %v; sysctl(8) sets any other", name, tuner.Settable())
		}
		to, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, usageError("%s: %q is no whole number", name, text)
		}
		all = append(all, tuner.Wish{Key: key, To: to})
	}
	for _, text := range p.Listeners {
		at := strings.LastIndexByte(text, '=')
		name, number := text[:max(at, 0)], text[at+1:]
		addr, device, err := parseListener(name)
		to, numberErr := strconv.ParseUint(number, 10, 31)
		if err != nil || numberErr != nil {
			return nil, usageError("--listener %s: want ADDR:PORT=N, such as 0.0.0.0:80=4096 or [::]:80=4096", text)
		}
		all = append(all, tuner.Wish{Listener: tcpq.ListenerName(addr.Addr().String(), addr.Addr().Is6(), device, addr.Port()), To: int64(to)})
	}
	return all, nil
}

// parseListener reads ADDR[%DEV]:PORT, as tcpq.ListenerName writes it. To netip a
// device is the zone of an IPv6 address, and no part of an IPv4 one.
func parseListener(name string) (addr netip.AddrPort, device string, err error) {
	if before, rest, found := strings.Cut(name, "%"); found {
		if end := strings.IndexAny(rest, "]:"); end > 0 { // no device has one in its name
			name, device = before+rest[end:], rest[:end]
		}
	}
	addr, err = netip.ParseAddrPort(name)
	return addr, device, err
}

func settableNamed(name string) (tcpq.Sysctl, bool) {
	for _, s := range tuner.Settable() {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// place finds the namespaces in which the wishes are meant.
func (p *planning) place(in *inspection.Inspection, wishes []tuner.Wish) ([]tuner.Wish, error) {
	var placed []tuner.Wish
	for _, w := range wishes {
		all := p.placesOf(in, &w)
		switch {
		case len(all) == 0 && w.Listener != "":
			return nil, usageError("--listener: nobody listens on %s there (qtune inspect shows who does)", w.Listener)
		case len(all) == 0:
			return nil, usageError("%s: no network namespace has what was asked for", w.Key)
		case len(all) > 1 && w.Listener != "":
			names := in.NetnsNames()
			var where []string
			for _, inode := range all {
				where = append(where, names[inode])
			}
			return nil, usageError("--listener: %s is listened on in %s: say which by --netns", w.Listener, strings.Join(where, ", "))
		}
		for _, inode := range all {
			w.Netns = inode
			placed = append(placed, w)
		}
	}
	return placed, nil
}

// placesOf returns the namespaces that a wish is meant for.
func (p *planning) placesOf(in *inspection.Inspection, w *tuner.Wish) (all []uint64) {
	hostOnly := w.Listener == "" && !p.netnsGiven && p.Filter == filter{} // as sysctl(8) has it
	for i := range in.Namespaces {
		n := &in.Namespaces[i]
		if hostOnly && !n.Host {
			continue
		}
		if w.Listener == "" && p.Filter == (filter{}) || p.listens(in, n.Inode, w.Listener) {
			all = append(all, n.Inode)
		}
	}
	return all
}

// listens reports whether a listener of a namespace is wanted and has this name,
// or any when it is empty.
func (p *planning) listens(in *inspection.Inspection, netns uint64, name string) bool {
	for i := range in.Listeners {
		if l := &in.Listeners[i]; l.Netns == netns && p.Filter.wants(l) && (name == "" || l.Name() == name) {
			return true
		}
	}
	return false
}
