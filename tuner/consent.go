// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"fmt"
	"path"

	"github.com/qtune/qtune/inspection"
)

// covered reports whether anything in the namespace may be changed on advice, and
// why when it may not. A person without a policy file decides himself.
func (d *draft) covered(s *space) (ok bool, why string) {
	if d.Person && d.Policy.Hash == "" {
		return true, ""
	}
	return d.Policy.Covers(s.place)
}

// excluded reports whether the program is left alone. Who renamed itself is still
// known by its file.
func (d *draft) excluded(o *inspection.Owner) bool {
	return o != nil && (d.Policy.Excluded(o.Comm) || o.Exe != "" && d.Policy.Excluded(path.Base(o.Exe)))
}

// mayResize returns why a running listener is not resized, nil when it may be.
//
// Who is excluded stays so when a person names the listener: a second listen(2) on
// one of these puts at risk how the host is reached or run.
func (d *draft) mayResize(a *ask) *Refusal {
	if a.kind != KindListen {
		return nil
	}
	o := a.listener.Owner
	switch {
	case o != nil && len(o.PIDs) == 0 && o.Unfound == "not-permitted":
		return a.refusal(NotPermitted, "who holds this listener may not be seen: CAP_DAC_READ_SEARCH shows the descriptors of other users' processes, CAP_SYS_PTRACE those of processes with more rights")
	case o == nil || len(o.PIDs) == 0:
		return a.refusal(Unsupported, "no process is known that holds this listener"+unfound(o))
	case d.excluded(o):
		r := a.refusal(Excluded, fmt.Sprintf("%s is never resized while it runs, not even by name", o.Comm))
		r.WaysOut = []string{"the program's own setting, and a restart"}
		return r
	case d.Person && a.named: // naming it is consent
		return nil
	case !d.LiveResize:
		r := a.refusal(NoConsent, "nobody allowed that the running listener is resized: it keeps its limit until its program calls listen(2) again")
		r.WaysOut = []string{"--live-resize", "the program's own setting, and a restart"}
		return r
	case d.Person:
		return nil
	}
	if ok, why := d.Policy.MayResize(a.space.place, o.Comm); !ok {
		r := a.refusal(NoConsent, "the policy does not let the running listener be resized: "+why)
		r.WaysOut = []string{"spec.liveResize.namespaces of the policy", "the program's own setting, and a restart"}
		return r
	}
	return nil
}

func unfound(o *inspection.Owner) string {
	if o == nil || o.Unfound == "" {
		return ""
	}
	return " (" + o.Unfound + ")"
}

// together returns the listeners that are resized with one: all members of its
// reuse-port group, itself among them.
func (s *space) together(l *inspection.Listener) []*inspection.Listener {
	if l.SynQueue.Members < 2 {
		return []*inspection.Listener{l}
	}
	var all []*inspection.Listener
	for _, m := range s.listeners {
		if m.Name() == l.Name() && m.Family == l.Family {
			all = append(all, m)
		}
	}
	return all
}

// mayResizeAll returns why a group is not resized: all of it or none.
func (d *draft) mayResizeAll(s *space, members []*inspection.Listener, to int64, named bool) *Refusal {
	first := members[0]
	for _, m := range members {
		a := listenAsk(s, m, to, named)
		if r := d.mayResize(&a); r != nil {
			return r
		}
		if m.AcceptQueue.Limit != first.AcceptQueue.Limit {
			return a.refusal(Unsupported, fmt.Sprintf("the members of the reuse-port group have different limits, %d and %d: all are resized or none",
				first.AcceptQueue.Limit, m.AcceptQueue.Limit))
		}
	}
	if known := first.SynQueue.Members; known > len(members) {
		a := listenAsk(s, first, to, named)
		return a.refusal(Unsupported, fmt.Sprintf("the reuse-port group has %d members, of which %d are known: all are resized or none", known, len(members)))
	}
	return nil
}
