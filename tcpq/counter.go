// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

// A Counter is one of the kernel's counters of a namespace: the index of its
// row in the table.
type Counter uint8

// The counters qtune reads, in the order of the table.
const (
	AttemptFails Counter = iota
	ConntrackDrop
	EmbryonicRsts
	ListenDrops
	ListenOverflows
	OutRsts
	PassiveOpens
	PFMemallocDrop
	RetransSegs
	SoftnetDropped
	SyncookiesFailed
	SyncookiesRecv
	SyncookiesSent
	TCPAbortOnMemory
	TCPBacklogDrop
	TCPDeferAcceptDrop
	TCPFastOpenListenOverflow
	TCPMemoryPressures
	TCPMigrateReqFailure
	TCPMigrateReqSuccess
	TCPRcvQDrop
	TCPReqQFullDoCookies
	TCPReqQFullDrop
	TCPSynRetrans
	TCPTimeouts

	NumCounters = iota
)

// A CounterInfo is a row of the counter table.
type CounterInfo struct {
	Name  string // the kernel's spelling
	Group string // where it stands: a line of netstat or snmp, nf_conntrack, softnet
	Help  string // one sentence: when it moves

	// Elsewhere, when not empty, says that a movement means trouble which
	// is not a listen queue, and where to look.
	Elsewhere string
}

// counters is the table; one row is one counter. Sorted by name.
var counters = [NumCounters]CounterInfo{
	AttemptFails:              {"AttemptFails", "Tcp", "Handshakes that ended before they were complete.", ""},
	ConntrackDrop:             {"ConntrackDrop", "nf_conntrack", "Packets dropped because the connection tracking table was full.", "conntrack: its table is full (net.netfilter.nf_conntrack_max)"},
	EmbryonicRsts:             {"EmbryonicRsts", "TcpExt", "Half-open peers ended by an RST, theirs or ours.", ""},
	ListenDrops:               {"ListenDrops", "TcpExt", "SYNs and final ACKs refused, for any reason; retries count again.", ""},
	ListenOverflows:           {"ListenOverflows", "TcpExt", "SYNs and final ACKs refused because an accept queue was full.", ""},
	OutRsts:                   {"OutRsts", "Tcp", "RST segments sent.", "resets sent: nobody listened on that port, or a program closed with unread data"},
	PassiveOpens:              {"PassiveOpens", "Tcp", "Connections that entered an accept queue.", ""},
	PFMemallocDrop:            {"PFMemallocDrop", "TcpExt", "Packets dropped because only emergency memory was left.", "memory: the kernel had only its emergency reserve left"},
	RetransSegs:               {"RetransSegs", "Tcp", "Segments sent again, SYN-ACKs included.", ""},
	SoftnetDropped:            {"SoftnetDropped", "softnet", "Packets of the whole host dropped before any protocol saw them; read in the host's namespace only.", "a CPU's packet queue was full (net.core.netdev_max_backlog)"},
	SyncookiesFailed:          {"SyncookiesFailed", "TcpExt", "ACKs that carried no valid cookie while cookies were in use.", ""},
	SyncookiesRecv:            {"SyncookiesRecv", "TcpExt", "ACKs with a valid cookie, counted before the accept queue is looked at.", ""},
	SyncookiesSent:            {"SyncookiesSent", "TcpExt", "SYNs answered by cookie.", ""},
	TCPAbortOnMemory:          {"TCPAbortOnMemory", "TcpExt", "Connections ended because TCP was out of memory.", "memory: net.ipv4.tcp_mem is exhausted"},
	TCPBacklogDrop:            {"TCPBacklogDrop", "TcpExt", "Packets of connections dropped while the program held the socket.", "busy connections: the per-socket packet backlog, not the listener's"},
	TCPDeferAcceptDrop:        {"TCPDeferAcceptDrop", "TcpExt", "Bare ACKs ignored because the listener waits for data; normal.", ""},
	TCPFastOpenListenOverflow: {"TCPFastOpenListenOverflow", "TcpExt", "Fast Open queue full; the peer falls back to a normal handshake.", ""},
	TCPMemoryPressures:        {"TCPMemoryPressures", "TcpExt", "Times TCP came under memory pressure.", "memory: TCP came under pressure (net.ipv4.tcp_mem)"},
	TCPMigrateReqFailure:      {"TCPMigrateReqFailure", "TcpExt", "Queue entries lost when a reuse-port member closed.", ""},
	TCPMigrateReqSuccess:      {"TCPMigrateReqSuccess", "TcpExt", "Queue entries moved when a reuse-port member closed.", ""},
	TCPRcvQDrop:               {"TCPRcvQDrop", "TcpExt", "Packets of connections dropped because the receive queue was full.", "busy connections: a receive queue was full"},
	TCPReqQFullDoCookies:      {"TCPReqQFullDoCookies", "TcpExt", "SYNs that met a full SYN queue and were to be answered by cookie.", ""},
	TCPReqQFullDrop:           {"TCPReqQFullDrop", "TcpExt", "SYNs refused because a SYN queue was full and cookies are off.", ""},
	TCPSynRetrans:             {"TCPSynRetrans", "TcpExt", "SYNs and SYN-ACKs sent again.", ""},
	TCPTimeouts:               {"TCPTimeouts", "TcpExt", "Retransmission timers that fired, SYN-ACKs included.", ""},
}

// CounterNamed returns the counter of that name on that line.
func CounterNamed(group, name string) (Counter, bool) {
	c, ok := counterByName[[2]string{group, name}]
	return c, ok
}

// HasCounters reports whether any counter of the table stands in that group.
func HasCounters(group string) bool { return counterGroups[group] }

var counterGroups = func() map[string]bool {
	m := map[string]bool{}
	for _, info := range counters {
		m[info.Group] = true
	}
	return m
}()

var counterByName = func() map[[2]string]Counter {
	m := make(map[[2]string]Counter, NumCounters)
	for c, info := range counters {
		m[[2]string{info.Group, info.Name}] = Counter(c)
	}
	return m
}()

// Info returns the row of c.
func (c Counter) Info() CounterInfo { return counters[c] }

// String returns the kernel's spelling.
func (c Counter) String() string { return counters[c].Name }

// Counters are the counts of one namespace since it was made. The zero value
// knows none.
type Counters struct {
	values [NumCounters]uint64
	known  uint64
}

// Get returns the count of c; ok is false when the kernel did not show it.
func (t *Counters) Get(c Counter) (count uint64, ok bool) {
	return t.values[c], t.known&(1<<c) != 0
}

// Value returns the count of c, 0 when it is unknown.
func (t *Counters) Value(c Counter) uint64 { return t.values[c] }

// Set stores a count.
func (t *Counters) Set(c Counter, count uint64) {
	t.values[c] = count
	t.known |= 1 << c
}

// Since returns how far each counter moved from earlier to t. The kernel adds
// up its CPUs without a lock, so a sum can step back by a few: that is 0 here.
func (t *Counters) Since(earlier *Counters) Counters {
	var d Counters
	for c := range t.values {
		now, ok := t.Get(Counter(c))
		before, had := earlier.Get(Counter(c))
		if !ok || !had {
			continue
		}
		d.Set(Counter(c), now-min(now, before))
	}
	return d
}

// Add adds what moved in d; a counter is known in the sum when it is known in
// either.
func (t *Counters) Add(d *Counters) {
	for c, n := range d.values {
		t.values[c] += n
	}
	t.known |= d.known
}
