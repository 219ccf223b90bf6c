// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package host is the machine: all that enters a network namespace, opens a
// netlink socket or reads /proc, /sys and the kubelet's log folders; and all that
// changes a kernel ([Changeable]).
//
// [Live] is the machine qtune runs on, [Recording] one that was saved by a
// [Recorder], which wraps Live and keeps what is read through it. They have the
// same methods, so what reads a host cannot tell them apart. Only Live can be
// stayed in ([Live.Stay]): who samples is not recorded.
package host

import (
	"errors"
	"fmt"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// Ordinary ends of a read that a caller decides on.
var (
	ErrGone       = errors.New("gone")          // the process or namespace ended meanwhile
	ErrPermission = errors.New("not permitted") // a capability is missing
	ErrAbsent     = errors.New("not there")     // this kernel or namespace does not have it

	ErrChanged     = errors.New("changed meanwhile")  // a value or a socket is not what it was
	ErrUnsupported = errors.New("not supported here") // by this kernel, or by a filter around this process
)

// Info says which host it is.
type Info struct {
	Name       string
	Kernel     tcpq.Version
	KernelLine string // uname -v: where some distributions tell the patch level
	Time       time.Time
}

// A Search says which network namespaces are wanted.
type Search struct {
	Path  string // the one this file opens, e.g. /run/netns/blue
	Inode uint64 // the one of this number
	Name  string // the one of this name
	PID   int    // the one of this process
	Host  bool   // the host's alone
	Deep  bool   // look into every descriptor of every process and thread, too
}

// All reports whether no single namespace was asked for.
func (s Search) All() bool {
	return s.Path == "" && s.Inode == 0 && s.Name == "" && s.PID == 0 && !s.Host
}

// wants reports whether a namespace that was found is one that is wanted.
func (s Search) wants(ns *Namespace) bool {
	return (s.Inode == 0 || ns.Inode == s.Inode) && (s.Name == "" || ns.Name == s.Name)
}

// missing says so when a namespace was asked for and none was found.
func (s Search) missing(found []*Namespace) error {
	switch {
	case len(found) > 0:
		return nil
	case s.Inode != 0:
		return fmt.Errorf("net:[%d] is %w, or was not found (--deep searches everywhere)", s.Inode, ErrGone)
	case s.Name != "":
		return fmt.Errorf("no network namespace is named %q: %w", s.Name, ErrAbsent)
	}
	return nil
}

// A Process is one entry of /proc and the namespaces it is in.
type Process struct {
	PID    int
	Netns  uint64 // inode, 0 when it may not be seen
	Mntns  uint64
	Denied bool
}

// Found is what a search for namespaces gave.
type Found struct {
	Namespaces []*Namespace
	Processes  []Process // nil when the search did not need them
	Coverage   tcpq.Coverage
	Errors     []tcpq.Error
}

// A ProcessInfo is what /proc tells of one process.
type ProcessInfo struct {
	Comm    string
	Exe     string
	UID     uint32
	Cgroup  []byte // the content of /proc/PID/cgroup
	Started time.Time
}

// A File is a file of /proc/PID/net.
type File string

// The files that are read in a namespace.
const (
	Netstat   File = "netstat"
	Snmp      File = "snmp"
	Conntrack File = "stat/nf_conntrack"
	Softnet   File = "softnet_stat"
)

// An Inside is a network namespace while it is being visited. It is of no use
// once the visit is over.
type Inside interface {
	// Dump sends a sock_diag request, or several, and hands each datagram of the answer
	// to each, until that says it was the last. Name tells a recording which
	// dump it is.
	Dump(name DumpName, request []byte, each func(datagram []byte) (done bool, err error)) error

	// Read returns the whole content of a file, in memory that the next
	// Read uses again.
	Read(File) ([]byte, error)

	// Sysctl returns the text of a sysctl, without the newline.
	Sysctl(tcpq.Sysctl) (string, error)

	// Device returns the name of a network interface.
	Device(index uint32) (string, error)
}

// A DumpName tells the dumps of one visit apart.
type DumpName string

// The dumps.
const (
	ListenDump  DumpName = "listen"
	SynRecvDump DumpName = "synrecv"

	// Lookups ask for single sockets, which a recording does not have: there
	// they are absent.
	Lookups DumpName = "lookups"
)
