// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"net/netip"
	"strconv"
	"time"
)

// A Listener is one TCP socket in state LISTEN.
type Listener struct {
	Addr    netip.Addr // the zero address of its family when bound to all
	Port    uint16
	Device  string // interface it is bound to (SO_BINDTODEVICE), or ""
	Ifindex uint32 // the number of Device, 0 for none

	V6Only      bool // IPV6_V6ONLY: no IPv4 peers on an IPv6 listener
	MPTCP       bool // the TCP half of an MPTCP listener
	Transparent bool // IP_TRANSPARENT: may own peers of foreign addresses

	Inode  uint32 // N of "socket:[N]" in /proc/PID/fd
	Cookie uint64 // SO_COOKIE of the (sub)socket: unique on the host until it reboots
	UID    uint32 // who made the socket
	Cgroup uint64 // id of the cgroup v2 the socket was made in; 0 when unknown

	Accept Queue
	Syn    SynQueue

	// Discards counts the packets the kernel discarded for this socket since
	// it was made (sk_drops). It is not loss: scans and half-open health
	// checks count too, and one refused final ACK counts twice. It wraps.
	Discards      uint32
	DiscardsKnown bool // false up to Linux 4.6, where the dump lacks it

	Owner *Owner // shared by the listeners of one process, never changed; nil when nobody looked
}

// Family returns "ipv4" or "ipv6". A dual-stack listener is ipv6.
func (l *Listener) Family() string {
	if l.Addr.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// Name returns ADDR[%DEV]:PORT.
func (l *Listener) Name() string {
	return ListenerName(l.Addr.String(), !l.Addr.Is4(), l.Device, l.Port)
}

// ListenerName returns ADDR[%DEV]:PORT, an IPv6 address in brackets.
func ListenerName(addr string, ipv6 bool, device string, port uint16) string {
	if device != "" {
		addr += "%" + device
	}
	if ipv6 {
		addr = "[" + addr + "]"
	}
	return addr + ":" + strconv.Itoa(int(port))
}

// An Owner is who holds a listener open.
type Owner struct {
	PIDs    []int     // processes that hold it, the oldest first; what follows is about that one
	Started time.Time // zero when unknown

	Comm string
	Exe  string
	UID  uint32
	Unit string // systemd unit

	// Argv is at most 4 KiB of the command line, to recognise the program by.
	// It may hold secrets and is never shown.
	Argv []string

	// Build is the toolchain that made Exe, when the file tells: go, rust.
	Build string

	// Inherited says that the process was handed this socket when it was
	// started (LISTEN_FDS), or that a service manager holds it, too: then
	// somebody else called listen(2).
	Inherited bool

	Container Container
	Pod       Pod

	Unfound Unfound // why PIDs is empty
}

// A Container is what runs the owner, as far as its cgroup path tells.
type Container struct {
	Runtime string // docker, containerd, cri-o, podman, ...; "" when the path does not say
	ID      string
	Name    string
}

// A Pod is the Kubernetes pod of the owner.
type Pod struct {
	Namespace, Name, UID, Container string
}

// Unfound says why no process was found that holds a listener.
type Unfound string

// Why no process was found.
const (
	Found        Unfound = ""              // one was found
	NotPermitted Unfound = "not-permitted" // some process could not be looked into
	KernelSocket Unfound = "kernel"        // a kernel service listens there
	NobodyHolds  Unfound = "no-process"    // all were searched: passed on, in io_uring, or gone
)
