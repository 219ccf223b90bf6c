// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import (
	"github.com/qtune/qtune/advisor"
)

func findingOf(f *advisor.Finding) Finding {
	out := Finding{
		Code: string(f.Code), Severity: string(f.Severity), Netns: f.Namespace.ID.Inode,
		Title: f.Title, Why: Text(f.Why),
		Evidence: make([]Evidence, 0, len(f.Evidence)),
		Limit:    f.Limit,
		Changes:  make([]Change, 0, len(f.Changes)),
		Hints:    make([]Hint, 0, len(f.Hints)),
	}
	if l := f.Listener; l != nil {
		out.Listener = &FindingListener{
			Netns: f.Namespace.ID.Inode, Address: l.Addr.String(), Device: Text(l.Device), Port: l.Port,
			Inode: l.Inode, Cookie: hexCookie(l.Cookie),
		}
	}
	for _, e := range f.Evidence {
		out.Evidence = append(out.Evidence, Evidence{e.Name, e.Value, e.Unit, e.Source})
	}
	for _, c := range f.Changes {
		out.Changes = append(out.Changes, Change{f.Namespace.ID.Inode, c.Key.String(), c.From, c.To, c.EffectiveNow})
	}
	for _, h := range f.Hints {
		out.Hints = append(out.Hints, Hint{h.Program, h.Setting, Text(h.Example), string(h.TakesEffect), h.Verified, h.Note})
	}
	return out
}
