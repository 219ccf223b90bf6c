// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"strconv"
	"strings"
)

// An SSListener is a line of `ss -ltnme`: what another program than ours reads
// of a listener.
type SSListener struct {
	RecvQ, SendQ uint32
	Address      string // without brackets; "*" is a dual-stack wildcard
	Device       string
	Port         uint16
	Inode        uint32
	UID          uint32
	Cookie       uint64
	Cgroup       string
	HasV6Only    bool // the listener is an IPv6 one
	V6Only       bool
	Drops        uint32
	HasDrops     bool
	Line         string
}

// SS runs ss in the namespace and returns its listeners by socket cookie.
func (n *Namespace) SS() map[uint64]SSListener {
	n.t.Helper()
	NeedProgram(n.t, "ss")
	all := map[uint64]SSListener{}
	for line := range strings.Lines(n.Run("ss", "-ltnmeOH")) {
		l, err := parseSS(strings.TrimSpace(line))
		must(n.t, "read "+strconv.Quote(line), err)
		all[l.Cookie] = l
	}
	return all
}

func parseSS(line string) (SSListener, error) {
	l := SSListener{Line: line}
	f := strings.Fields(line)
	if len(f) < 5 {
		return l, strconv.ErrSyntax
	}
	var err error
	number := func(s string, base int) uint64 {
		v, e := strconv.ParseUint(s, base, 64)
		if e != nil {
			err = e
		}
		return v
	}
	l.RecvQ, l.SendQ = uint32(number(f[1], 10)), uint32(number(f[2], 10))
	colon := strings.LastIndexByte(f[3], ':')
	if colon < 0 {
		return l, strconv.ErrSyntax
	}
	l.Port = uint16(number(f[3][colon+1:], 10))
	addr, device, _ := strings.Cut(f[3][:colon], "%")
	l.Address, l.Device = strings.Trim(addr, "[]"), device
	for _, field := range f[5:] {
		key, value, _ := strings.Cut(field, ":")
		switch key {
		case "ino":
			l.Inode = uint32(number(value, 10))
		case "uid":
			l.UID = uint32(number(value, 10))
		case "sk":
			l.Cookie = number(value, 16)
		case "cgroup":
			l.Cgroup = value
		case "v6only":
			l.HasV6Only, l.V6Only = true, value == "1"
		case "skmem":
			if _, drops, ok := strings.Cut(value, ",d"); ok {
				l.HasDrops, l.Drops = true, uint32(number(strings.TrimSuffix(drops, ")"), 10))
			}
		}
	}
	return l, err
}
