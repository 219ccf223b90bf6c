// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

// A Sysctl is one kernel setting that touches a listen queue: the index of its
// row in the table.
type Sysctl uint8

// The sysctls qtune reads, in the order of the table.
const (
	NetdevMaxBacklog Sysctl = iota
	Somaxconn
	TCPAbortOnOverflow
	TCPChildEhashEntries
	TCPFastopen
	TCPMaxSynBacklog
	TCPMigrateReq
	TCPSynackRetries
	TCPSyncookies

	NumSysctls = iota
)

// A SysctlInfo is a row of the sysctl table.
type SysctlInfo struct {
	Name string // as sysctl(8) spells it
	Help string // one sentence: what it does to a listen queue

	// PerNetns is the first kernel in which each namespace has its own
	// value: {4, 11}. Zero means never: one value for the whole host.
	// {2, 6} stands for "in every kernel that has it": stable kernels got
	// some later than the release that brought them.
	PerNetns [2]int

	// Live says that a running listener feels a change at once.
	Live bool
}

// sysctls is the table; one row is one sysctl. Sorted by name. The first
// kernels are those of the sources in which the key moved into struct net.
var sysctls = [NumSysctls]SysctlInfo{
	NetdevMaxBacklog:     {"net.core.netdev_max_backlog", "Packets a CPU queues before the protocol sees them; not a listen queue.", [2]int{}, true},
	Somaxconn:            {"net.core.somaxconn", "Upper bound of the backlog, read once inside listen(2).", [2]int{2, 6}, false},
	TCPAbortOnOverflow:   {"net.ipv4.tcp_abort_on_overflow", "Answer a final ACK that meets a full accept queue with RST.", [2]int{4, 15}, true},
	TCPChildEhashEntries: {"net.ipv4.tcp_child_ehash_entries", "Size of the established hash of namespaces made from this one; 0 shares the host's.", [2]int{2, 6}, false},
	TCPFastopen:          {"net.ipv4.tcp_fastopen", "Fast Open bits: 1 client, 2 server, 0x400 for every listener.", [2]int{4, 15}, false},
	TCPMaxSynBacklog:     {"net.ipv4.tcp_max_syn_backlog", "Bounds the SYN queue at three quarters of its value, and only without syncookies.", [2]int{4, 11}, true},
	TCPMigrateReq:        {"net.ipv4.tcp_migrate_req", "Move the queue of a closed reuse-port member to another member.", [2]int{2, 6}, true},
	TCPSynackRetries:     {"net.ipv4.tcp_synack_retries", "How often a SYN-ACK is repeated, and so how long a half-open peer stays.", [2]int{4, 6}, true},
	TCPSyncookies:        {"net.ipv4.tcp_syncookies", "Answer by cookie when the SYN queue is full (1), always (2) or never (0).", [2]int{4, 6}, true},
}

// Info returns the row of s.
func (s Sysctl) Info() SysctlInfo { return sysctls[s] }

// String returns the name as sysctl(8) spells it.
func (s Sysctl) String() string { return sysctls[s].Name }

// HostWide reports whether kernel v has one value of s for all namespaces.
func (s Sysctl) HostWide(v Version) bool {
	since := sysctls[s].PerNetns
	return since == [2]int{} || !v.AtLeast(since[0], since[1])
}

// Sysctls are the values of one namespace. The zero value knows none.
type Sysctls struct {
	values   [NumSysctls]int64
	known    uint32
	hostWide uint32
}

// Get returns the value of s; ok is false when it could not be read.
func (t *Sysctls) Get(s Sysctl) (value int64, ok bool) {
	return t.values[s], t.known&(1<<s) != 0
}

// HostWide reports whether the value of s is the whole host's.
func (t *Sysctls) HostWide(s Sysctl) bool { return t.hostWide&(1<<s) != 0 }

// Set stores a value that was read in the namespace itself.
func (t *Sysctls) Set(s Sysctl, value int64) {
	t.values[s] = value
	t.known |= 1 << s
}

// SetHostWide stores a value that holds for the whole host.
func (t *Sysctls) SetHostWide(s Sysctl, value int64) {
	t.Set(s, value)
	t.hostWide |= 1 << s
}
