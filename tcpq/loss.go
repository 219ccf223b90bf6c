// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

// Causes say why the namespace refused packets while this listener lost some.
// Those of another listener that lost some at the same time are among them.
type Causes struct {
	AcceptFull uint64 // ListenOverflows
	SynFull    uint64 // TCPReqQFullDrop
	Other      uint64 // the 3/4 rule; or no route, no memory, a security module
}

// quiet reports whether nothing was refused and nothing discarded.
func (n *NamespaceDelta) quiet() bool {
	return n.Counters.Value(ListenDrops) == 0 && n.Discards == 0 && n.Gone == 0
}

// Refused bounds how many packets of a listener the kernel refused. Packets,
// not connections: a client that tries again counts again.
type Refused struct {
	Min, Max uint64
}

// An interval is a run of slots between two quiet ones, as one listener and its
// namespace saw it. It is judged as a whole: a packet refused while a sample was
// being taken is in the counters of one slot and in the discards of the next.
type interval struct {
	drops      uint64 // ListenDrops
	overflows  uint64 // of them, ListenOverflows
	synFull    uint64 // and TCPReqQFullDrop
	mine, all  uint64 // discards, of the listener and of all in the namespace
	worst      uint64 // most discards of the listener in one slot, or within a second of it
	acceptSeen bool   // a sample showed its accept queue full
	synSeen    bool   // or its SYN queue
	gone       bool   // a listener went, and nobody knows what it discarded
}

// add adds a slot.
func (i *interval) add(ns *NamespaceDelta, l *ListenerDelta) {
	i.drops += ns.Counters.Value(ListenDrops)
	i.overflows += ns.Counters.Value(ListenOverflows)
	i.synFull += ns.Counters.Value(TCPReqQFullDrop)
	i.mine += uint64(l.Discards)
	i.worst = max(i.worst, uint64(l.worst()))
	i.all += ns.Discards
	i.acceptSeen = i.acceptSeen || l.AcceptFull
	i.synSeen = i.synSeen || l.SynFull
	i.gone = i.gone || ns.Gone > 0
}

// refused attributes the ListenDrops of an interval to the listener.
//
// Discards alone are no loss: scans and health checks raise them on an innocent
// listener. It lost something only if the namespace refused something, it
// discarded something, and a sample saw it full or nobody else discarded
// anything. Then at most what it discarded was refused, and at least what the
// others cannot have taken.
func (i *interval) refused() Refused {
	others := i.all - i.mine
	full := i.acceptSeen || i.synSeen
	if i.drops == 0 || i.mine == 0 || !full && (others > 0 || i.gone) {
		return Refused{}
	}
	r := Refused{Min: i.drops - min(i.drops, others), Max: min(i.drops, i.mine)}
	if i.gone {
		r.Min = 0
	}
	r.Min = min(r.Min, r.Max) // drops counted since the last sample are nobody's yet
	return r
}

// A Tally adds up, over any time, how many packets of one listener the kernel
// refused at most. It never goes backwards.
type Tally struct {
	run     interval
	ended   uint64 // in the runs before
	running uint64 // most that was ever said of this one
}

// Add adds a slot.
func (t *Tally) Add(ns *NamespaceDelta, l *ListenerDelta) {
	if ns.quiet() {
		*t = Tally{ended: t.Max()}
		return
	}
	t.run.add(ns, l)
	t.running = max(t.running, t.run.refused().Max)
}

// Max returns the sum.
func (t *Tally) Max() uint64 { return t.ended + t.running }

// causes says why packets were refused in an interval. While a sample showed one
// of the listener's queues full, what the other kind of queue refused is another
// listener's.
func (i *interval) causes() Causes {
	c := Causes{AcceptFull: i.overflows, SynFull: i.synFull}
	c.Other = i.drops - min(i.drops, c.AcceptFull+c.SynFull)
	switch {
	case i.acceptSeen && !i.synSeen && c.AcceptFull > 0:
		return Causes{AcceptFull: c.AcceptFull}
	case i.synSeen && !i.acceptSeen && c.SynFull+c.Other > 0:
		c.AcceptFull = 0
	}
	return c
}

func (c *Causes) add(more Causes) {
	c.AcceptFull += more.AcceptFull
	c.SynFull += more.SynFull
	c.Other += more.Other
}
