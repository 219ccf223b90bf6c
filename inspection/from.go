// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/tcpq"
)

// From makes the Inspection of a Snapshot, the Window that ends with it, which may
// be nil, and what was found in them.
func From(s *tcpq.Snapshot, w *tcpq.Window, r advisor.Report) *Inspection {
	in := &Inspection{
		APIVersion: APIVersion, Kind: Kind,
		Time:       s.Time.UTC(),
		Window:     Window{Source: SourceNone},
		Host:       Host{Name: Text(s.Hostname), Kernel: Text(s.Kernel.Release)},
		Namespaces: make([]Namespace, 0, len(s.Namespaces)),
		Listeners:  make([]Listener, 0, countListeners(s)),
		Findings:   make([]Finding, 0, len(r.Findings)),
		Coverage:   coverageOf(&s.Coverage),
		Errors:     make([]Error, 0, len(s.Errors)),
	}
	if w != nil {
		in.Window = Window{Seconds: w.Duration().Seconds(), Source: SourceWatched}
	}
	for _, e := range s.Errors {
		in.Errors = append(in.Errors, Error{e.Netns, e.Stage, Text(e.Message)})
	}
	codes := map[*tcpq.Listener][]string{}
	for i := range r.Findings {
		f := &r.Findings[i]
		in.Findings = append(in.Findings, findingOf(f))
		codes[f.Listener] = append(codes[f.Listener], string(f.Code))
	}
	owners := map[*tcpq.Owner]*Owner{nil: nil}
	type asked struct { // what says who set a limit, within a namespace
		owner *tcpq.Owner
		limit uint32
	}
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		in.addNamespace(n, w)
		bounds := map[asked]string{} // thousands of listeners have few owners
		for j := range n.Listeners {
			l := &n.Listeners[j]
			owner, ok := owners[l.Owner]
			if !ok {
				owner = ownerOf(l.Owner)
				owners[l.Owner] = owner
			}
			out := listenerOf(n, l, w, owner)
			key := asked{l.Owner, l.Accept.Max}
			bound, ok := bounds[key]
			if !ok {
				bound = string(advisor.LimitBound(n, l))
				bounds[key] = bound
			}
			out.LimitBoundBy = bound
			out.Findings = append(out.Findings, codes[l]...)
			in.Listeners = append(in.Listeners, out)
		}
	}
	return in
}

func countListeners(s *tcpq.Snapshot) (n int) {
	for i := range s.Namespaces {
		n += len(s.Namespaces[i].Listeners)
	}
	return n
}

func (in *Inspection) addNamespace(n *tcpq.Namespace, w *tcpq.Window) {
	out := Namespace{
		Inode: n.ID.Inode, Host: n.Host, Name: Text(n.Name), PID: n.PID, Error: Text(n.Err),
		Sysctls: map[string]int64{}, Counters: map[string]uint64{},
	}
	if n.ID.Cookie != 0 {
		out.Cookie = hexCookie(n.ID.Cookie)
	}
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		if value, ok := n.Sysctls.Get(s); ok {
			out.Sysctls[s.String()] = value
			if n.Sysctls.HostWide(s) {
				out.HostWideSysctls = append(out.HostWideSysctls, s.String())
			}
		}
	}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		if count, ok := n.Counters.Get(c); ok {
			out.Counters[c.String()] = count
		}
	}
	if n.SynWalked {
		out.UnattributedSyn = &n.UnattributedSyn
	}
	if w != nil {
		in.addMoved(&out, n, w)
	}
	in.Namespaces = append(in.Namespaces, out)
}

// addMoved notes what moved in the window and, where the listen queues are
// innocent, what else did.
func (in *Inspection) addMoved(out *Namespace, n *tcpq.Namespace, w *tcpq.Window) {
	moved, ok := w.Counters(n.ID)
	if !ok {
		return
	}
	drops, known := moved.Get(tcpq.ListenDrops)
	out.Moved = map[string]uint64{}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		count := moved.Value(c)
		if count == 0 {
			continue
		}
		out.Moved[c.String()] = count
		if meaning := c.Info().Elsewhere; meaning != "" && known && drops == 0 {
			in.Elsewhere = append(in.Elsewhere, Elsewhere{n.ID.Inode, c.String(), count, meaning})
		}
	}
}

func listenerOf(n *tcpq.Namespace, l *tcpq.Listener, w *tcpq.Window, owner *Owner) Listener {
	out := Listener{
		Netns: n.ID.Inode, Address: l.Addr.String(), Port: l.Port, Family: l.Family(), Protocol: "tcp",
		Device: Text(l.Device), Inode: l.Inode, Cookie: hexCookie(l.Cookie),
		AcceptQueue: AcceptQueue{Length: l.Accept.Len, Limit: l.Accept.Max, Capacity: l.Accept.Capacity()},
		SynQueue:    SynQueue{BoundBy: string(l.Syn.BoundBy), Members: l.Syn.Members},
		Owner:       owner,
		Findings:    []string{},
	}
	if l.MPTCP {
		out.Protocol = "mptcp"
	}
	if !l.Addr.Is4() {
		out.V6Only = &l.V6Only
	}
	if l.Syn.Counted {
		out.SynQueue.Length = &l.Syn.Len
	}
	if l.Syn.MaxKnown {
		out.SynQueue.Limit = &l.Syn.Max
	}
	if l.DiscardsKnown {
		out.Discards.Total = &l.Discards
	}
	if w == nil {
		return out
	}
	seen := w.Listener(tcpq.ListenerID{Netns: n.ID, Cookie: l.Cookie})
	if seen.Slots > 0 {
		peak := max(seen.Peak, l.Accept.Len)
		out.AcceptQueue.Peak = &peak
		if seen.RefusedKnown {
			out.Refused = &Refused{seen.Refused.Min, seen.Refused.Max}
		}
		if l.DiscardsKnown {
			out.Discards.Window = &seen.Discards
		}
	}
	return out
}

func ownerOf(o *tcpq.Owner) *Owner {
	out := &Owner{
		PIDs: o.PIDs, Comm: Text(o.Comm), Exe: Text(o.Exe), UID: o.UID, Unit: Text(o.Unit),
		Unfound: string(o.Unfound),
	}
	if len(o.PIDs) > 0 {
		out.PID = o.PIDs[0]
	}
	if c := o.Container; c.ID != "" {
		out.Container = &Container{Runtime: c.Runtime, ID: Text(c.ID), Name: Text(c.Name)}
	}
	if p := o.Pod; p.UID != "" {
		out.Pod = &Pod{Namespace: Text(p.Namespace), Name: Text(p.Name), UID: Text(p.UID), Container: Text(p.Container)}
	}
	return out
}

func hexCookie(c uint64) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, c))
}

// coverageOf says in sentences what was not searched, and why.
func coverageOf(c *tcpq.Coverage) Coverage {
	out := Coverage{NotSearched: []string{}, SynWalked: c.SynWalked, SynSkipped: c.SynQuiet + c.SynOverBudget}
	say := func(format string, args ...any) {
		out.NotSearched = append(out.NotSearched, fmt.Sprintf(format, args...))
	}
	if c.ProcessesHidden {
		say("processes of other users are hidden from /proc (hidepid): namespaces and owners may be missing")
	}
	if c.OwnPIDNamespace {
		say("whatever is outside this PID namespace (in a container: share the host's, hostPID in Kubernetes)")
	}
	if c.ProcessesDenied > 0 {
		say("%d of %d processes may not be looked into (CAP_SYS_PTRACE)", c.ProcessesDenied, c.Processes)
	}
	if c.DescriptorsDenied > 0 {
		say("the descriptors of %d of %d processes, and so whose sockets they are (CAP_DAC_READ_SEARCH)", c.DescriptorsDenied, c.Processes)
	}
	if c.MountsDenied > 0 {
		say("the mounts of %d mount namespaces could not be read", c.MountsDenied)
	}
	switch {
	case c.Processes == 0 || c.SocketsSearched: // one namespace was asked for, or all was searched
	case c.Listns:
		say("namespaces that only a socket holds (--deep)")
	default:
		if c.DescriptorsLeft > 0 {
			say("namespaces that only a descriptor holds, in %d of %d processes (--deep)", c.DescriptorsLeft, c.Processes)
		}
		say("namespaces that only a socket or a single thread holds (--deep)")
	}
	if c.SynOverBudget > 0 {
		say("SYN queues of %d namespaces: the time for counting them was used up (--syn all)", c.SynOverBudget)
	}
	return out
}

// Text makes a string from a hostile place safe to show: what is not printable,
// or not UTF-8, is escaped as in Go: \n, \x1b, \u202e.
func Text(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, "\\x%02x", s[i])
		case unprintable(r):
			quoted := fmt.Sprintf("%q", r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unprintable reports whether a rune may move a cursor or hide text.
// utf8.RuneError stands for a byte that is not UTF-8.
func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
