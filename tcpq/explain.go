// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import "fmt"

// A Setup is what decides the length of both queues of a listener.
type Setup struct {
	Kernel        Version
	Backlog       int32 // given to listen(2)
	Somaxconn     int64
	MaxSynBacklog int64
	Syncookies    int64
}

// An Explanation is what the kernel makes of a Setup, step by step.
type Explanation struct {
	Limit    uint32     // of the listener
	LimitBy  LimitBound // the number that is the smaller
	Capacity uint64     // of the accept queue
	Syn      uint32     // half-open peers it holds
	SynBy    SynBound

	// Unreachable says that nobody can connect: the SYN queue is full when it
	// is empty, and there are no cookies.
	Unreachable bool

	TextbookAccept int64 // min(backlog, somaxconn)
	TextbookSyn    int64 // min(backlog, somaxconn, tcp_max_syn_backlog)

	Steps []Step
}

// A Step is one sentence of an Explanation and the rule behind it.
type Step struct {
	Says string
	Rule Rule
}

// Explain computes both limits by the kernel's own rules.
func (s *Setup) Explain() Explanation {
	v := s.Kernel
	asked := int64(uint32(s.Backlog))
	e := Explanation{
		Limit:          AcceptLimit(v, s.Backlog, s.Somaxconn),
		LimitBy:        BoundApplication,
		TextbookAccept: min(int64(s.Backlog), s.Somaxconn),
	}
	e.TextbookSyn = min(e.TextbookAccept, s.MaxSynBacklog)
	if asked >= s.Somaxconn {
		e.LimitBy = BoundSomaxconn
	}
	e.Capacity = uint64(e.Limit) + 1
	e.Syn, e.SynBy = SynQueueMax(v, e.Limit, s.MaxSynBacklog, s.Syncookies)
	e.Unreachable = e.Syn == 0 && s.Syncookies == 0

	e.clampSteps(s)
	e.synSteps(s)
	return e
}

func (e *Explanation) step(r Rule, format string, args ...any) {
	e.Steps = append(e.Steps, Step{fmt.Sprintf(format, args...), r})
}

// clampSteps explain the limit and the accept queue.
func (e *Explanation) clampSteps(s *Setup) {
	switch {
	case s.Backlog < 0:
		e.step(BacklogIsClamped, "A backlog of %d is taken without its sign, so it is larger than any somaxconn: the limit is somaxconn, %d.", s.Backlog, s.Somaxconn)
	case int64(s.Backlog) > s.Somaxconn:
		e.step(BacklogIsClamped, "The backlog, %d, is cut down to somaxconn: the limit is %d.", s.Backlog, s.Somaxconn)
	case int64(s.Backlog) == s.Somaxconn:
		e.step(BacklogIsClamped, "Backlog and somaxconn are equal: the limit is %d.", s.Somaxconn)
	default:
		e.step(BacklogIsClamped, "The backlog, %d, is below somaxconn, %d: the limit is %d.", s.Backlog, s.Somaxconn, s.Backlog)
	}
	if clamped := min(int64(uint32(s.Backlog)), s.Somaxconn); s.Kernel.Has(LimitOf16Bits) && clamped != int64(e.Limit) {
		e.step(LimitOf16Bits, "Of %d only 16 bits are kept: the limit is %d.", clamped, e.Limit)
	}
	e.step(AcceptFullAboveLimit, "The accept queue is full when it is longer than %d: it holds %d.", e.Limit, e.Capacity)
	if s.Kernel.Has(AcceptFullSparesYoung) {
		e.step(AcceptFullSparesYoung, "When it is full, a SYN is still answered while at most one half-open peer is young.")
	}
}

// synSteps explain the SYN queue.
func (e *Explanation) synSteps(s *Setup) {
	v := s.Kernel
	if s.Syncookies == 2 && v.Has(SyncookiesAlwaysMode) {
		e.step(SyncookiesAlwaysMode, "tcp_syncookies is 2: every SYN is answered by cookie, and nothing is half-open.")
		return
	}
	full, _ := SynQueueMax(v, e.Limit, s.MaxSynBacklog, 1)
	switch {
	case v.Has(SynTableOfListen):
		e.step(SynTableOfListen, "listen(2) makes a table for half-open peers: the smaller of the limit, %d, and tcp_max_syn_backlog, %d, at least 8, then the next power of two: %d.", e.Limit, s.MaxSynBacklog, full)
	case v.Has(SynFullAboveLimit):
		e.step(SynFullAboveLimit, "The limit bounds the SYN queue, too, which is full when it is longer: it holds %d.", full)
	default:
		e.step(SynFullAboveLimit, "The limit bounds the SYN queue, too. This kernel calls it full at its limit: it holds %d.", full)
	}
	if s.Syncookies != 0 {
		if !v.Has(SynTableOfListen) {
			e.step(SynLimitIsListeners, "tcp_syncookies is %d: tcp_max_syn_backlog, %d, is not looked at.", s.Syncookies, s.MaxSynBacklog)
		}
		e.step(SyncookiesBeforeDrop, "Beyond %d half-open peers a SYN is answered by cookie and not stored, so nothing is lost until the accept queue is full.", e.Syn)
		return
	}
	if e.SynBy == SynBoundMaxSynBacklog && e.Syn < full {
		e.step(ThreeQuarters, "tcp_syncookies is 0: the last quarter of tcp_max_syn_backlog, %d, is kept for peers met before, so others are refused beyond %d.", s.MaxSynBacklog, e.Syn)
		if v.Has(ProvenPeersPass) {
			e.step(ProvenPeersPass, "A peer whose round-trip time is cached gets in until there are %d.", full)
		}
		return
	}
	e.step(ThreeQuarters, "tcp_syncookies is 0: three quarters of tcp_max_syn_backlog, %d, would be reached later, at %d.", s.MaxSynBacklog, max(0, s.MaxSynBacklog-(s.MaxSynBacklog>>2)+1))
	if e.Unreachable {
		e.step(SyncookiesBeforeDrop, "So the SYN queue is full when it is empty, and no SYN is answered: nobody can connect.")
		return
	}
	e.step(SyncookiesBeforeDrop, "Beyond %d half-open peers SYNs are refused.", e.Syn)
}

// An Effect is what a change of one number would do to a listener.
type Effect struct {
	Key      string // backlog, or the sysctl
	From, To int64
	Now      Explanation // what it does to a listener that exists
	Relisten Explanation // what it does once listen(2) is called again
}

// Effects returns what raising each number would do, to twice as much and to 128
// at least, and syncookies on or off.
func (s *Setup) Effects() []Effect {
	var all []Effect
	try := func(key string, from, to int64, live bool, change func(*Setup)) {
		if to == from {
			return
		}
		changed := *s
		change(&changed)
		e := Effect{Key: key, From: from, To: to, Now: s.Explain(), Relisten: changed.Explain()}
		if live {
			e.Now = changed.Explain()
			if s.Kernel.Has(SynTableOfListen) { // the table stays as listen(2) made it
				table, _ := synTable(e.Now.Limit, s.MaxSynBacklog)
				e.Now.Syn = min(e.Now.Syn, uint32(table))
			}
		}
		all = append(all, e)
	}
	const most = 1 << 20
	double := func(n int64) int64 { return max(n, min(max(2*n, 128), most)) }
	if s.Backlog >= 0 {
		try("backlog", int64(s.Backlog), double(int64(s.Backlog)), false, func(c *Setup) { c.Backlog = int32(double(int64(s.Backlog))) })
	}
	try(Somaxconn.String(), s.Somaxconn, double(s.Somaxconn), Somaxconn.Info().Live, func(c *Setup) { c.Somaxconn = double(s.Somaxconn) })
	try(TCPMaxSynBacklog.String(), s.MaxSynBacklog, double(s.MaxSynBacklog), TCPMaxSynBacklog.Info().Live, func(c *Setup) { c.MaxSynBacklog = double(s.MaxSynBacklog) })
	cookies := int64(1)
	if s.Syncookies == 1 {
		cookies = 0
	}
	try(TCPSyncookies.String(), s.Syncookies, cookies, TCPSyncookies.Info().Live, func(c *Setup) { c.Syncookies = cookies })
	return all
}

// Bytes a connection takes while it waits, on 6.18 [measured]. The data that a
// peer sends before it is accepted comes on top: up to tcp_rmem's default.
const (
	RequestBytes    = 320    // a half-open peer
	ConnectionBytes = 2368   // the socket of an IPv4 connection, beside its request
	ReceiveBytes    = 131072 // the default of tcp_rmem
)

// Memory returns how many bytes both queues take when they are full: idle, and
// when every peer has sent as much as it may.
func (e *Explanation) Memory() (idle, worst uint64) {
	idle = e.Capacity*(RequestBytes+ConnectionBytes) + uint64(e.Syn)*RequestBytes
	return idle, idle + e.Capacity*ReceiveBytes
}
