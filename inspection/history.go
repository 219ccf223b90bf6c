// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import "github.com/qtune/qtune/tcpq"

// HistoryOf returns what a window shows of one listener of the Snapshot at its end;
// ok is false when that has no such listener.
func HistoryOf(s *tcpq.Snapshot, w *tcpq.Window, netns uint64, cookie string) (h *History, ok bool) {
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		if n.ID.Inode != netns {
			continue
		}
		for j := range n.Listeners {
			if l := &n.Listeners[j]; hexCookie(l.Cookie) == cookie {
				return historyOf(n, l, w), true
			}
		}
	}
	return nil, false
}

func historyOf(n *tcpq.Namespace, l *tcpq.Listener, w *tcpq.Window) *History {
	h := &History{
		APIVersion: APIVersion, Kind: KindHistory,
		Netns: n.ID.Inode, Cookie: hexCookie(l.Cookie), Limit: l.Accept.Max,
		Slots: make([]Slot, 0, len(w.Deltas)),
	}
	for _, d := range w.Deltas {
		ns := d.Namespaces[n.ID]
		if ns == nil {
			continue
		}
		ld := ns.Listeners[l.Cookie] // of a quiet one, the zero value
		h.Slots = append(h.Slots, Slot{
			Time: d.End.UTC(), Seconds: d.End.Sub(d.Start).Seconds(),
			Length: ld.To, Peak: ld.Longest(),
			Discards: uint64(ld.Discards),
			Refused:  min(uint64(ld.Discards), ns.Counters.Value(tcpq.ListenDrops)),
		})
	}
	return h
}
