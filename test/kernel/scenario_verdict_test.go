// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// A verdict is a critical or warning finding that must come.
type verdict struct {
	code   string
	inode  uint32 // of the listener
	checks []check
}

// severities of the codes, as the design has them.
var severities = map[string][]string{
	"critical": {"accept-queue-overflow", "application-stuck", "syn-queue-full", "syn-backlog-three-quarters", "backlog-zero"},
	"warning": {
		"application-slow", "accept-queue-near-limit", "reuseport-imbalance", "syn-flood-suspected", "cookie-zombies",
		"fastopen-overflow", "backlog-truncated",
	},
	"info": {
		"limit-at-somaxconn", "limit-below-somaxconn", "namespace-at-defaults", "syncookies-sent", "syncookies-off",
		"syncookies-always", "abort-on-overflow", "deferred-accepts", "past-loss",
	},
}

// want says that this is found at the listener of that inode, and nothing worse
// than info elsewhere unless that is wanted, too.
func (p *play) want(code string, inode uint32, checks ...check) {
	p.verdicts = append(p.verdicts, verdict{code, inode, checks})
}

// info says which info findings must come.
func (p *play) info(codes ...string) { p.must = append(p.must, codes...) }

// allow says which info findings may come.
func (p *play) allow(codes ...string) { p.may = append(p.may, codes...) }

// judge compares the findings with what is wanted.
func (p *play) judge(in *inspection.Inspection) {
	t := p.t
	t.Helper()
	wanted := slices.Clone(p.verdicts)
	var infos []string
	var ours []inspection.Finding
	for _, f := range in.Findings {
		if f.Netns != p.ns.Inode && !slices.ContainsFunc(p.also, func(n *lab.Namespace) bool { return n.Inode == f.Netns }) {
			continue
		}
		ours = append(ours, f)
		checkForm(t, in, f)
		if f.Severity == "info" {
			infos = append(infos, f.Code)
			continue
		}
		i := slices.IndexFunc(wanted, func(v verdict) bool {
			return v.code == f.Code && f.Listener != nil && f.Listener.Inode == v.inode
		})
		if i < 0 {
			t.Errorf("found %s: nobody wants that", describe(f))
			continue
		}
		for _, c := range wanted[i].checks {
			c(t, f)
		}
		wanted = slices.Delete(wanted, i, i+1)
	}
	for _, v := range wanted {
		t.Errorf("not found: %s on listener %d", v.code, v.inode)
	}
	for _, code := range p.must {
		if !slices.Contains(infos, code) {
			t.Errorf("not found: %s (info)", code)
		}
	}
	for _, code := range infos {
		if !slices.Contains(p.must, code) && !slices.Contains(p.may, code) {
			t.Errorf("found %s (info): the scene has none", code)
		}
	}
	t.Log(account(in, p.ns.Inode, ours)) // shown when it failed
}

// checkForm wants of every finding what all must have.
func checkForm(t testing.TB, in *inspection.Inspection, f inspection.Finding) {
	t.Helper()
	if !slices.Contains(severities[f.Severity], f.Code) {
		t.Errorf("%s is %s, which the design has not", f.Code, f.Severity)
	}
	if f.Title == "" || f.Why == "" {
		t.Errorf("%s: title %q, why %q, want words", f.Code, f.Title, f.Why)
	}
	if f.Severity != "info" && len(f.Evidence) == 0 {
		t.Errorf("%s without evidence", f.Code)
	}
	for _, e := range f.Evidence {
		if e.Name == "" || e.Source == "" {
			t.Errorf("%s: evidence %+v, want a name and a source", f.Code, e)
		}
	}
	if strings.HasPrefix(f.Code, "application-") {
		noLongerQueue(t, f)
	}
	if f.Listener == nil {
		return
	}
	for _, l := range in.Listeners {
		if l.Netns == f.Listener.Netns && l.Inode == f.Listener.Inode {
			if l.Port != f.Listener.Port || l.Address != f.Listener.Address || !slices.Contains(l.Findings, f.Code) {
				t.Errorf("%s is about %+v, where the listener %s port %d has %v", f.Code, *f.Listener, l.Address, l.Port, l.Findings)
			}
			return
		}
	}
	t.Errorf("%s is about %+v, which is not there", f.Code, *f.Listener)
}

func evidenceText(f inspection.Finding) string {
	var all []string
	for _, e := range f.Evidence {
		all = append(all, fmt.Sprintf("%s = %g %s (%s)", e.Name, e.Value, e.Unit, e.Source))
	}
	return strings.Join(all, "; ")
}

func describe(f inspection.Finding) string {
	at := "the namespace"
	if f.Listener != nil {
		at = fmt.Sprintf("%s port %d, inode %d", f.Listener.Address, f.Listener.Port, f.Listener.Inode)
	}
	return fmt.Sprintf("%s (%s) on %s: %s", f.Code, f.Severity, at, f.Why)
}

// account says what happened in a play that failed.
func account(in *inspection.Inspection, netns uint64, ours []inspection.Finding) string {
	var b strings.Builder
	for _, n := range in.Namespaces {
		if n.Inode == netns {
			fmt.Fprintf(&b, "moved %v, unattributed %v\n", n.Moved, value(n.UnattributedSyn))
		}
	}
	for _, l := range in.Listeners {
		if l.Netns == netns {
			fmt.Fprintf(&b, "%s port %d inode %d: accept %d/%d peak %v, SYN %v/%v by %s, discards %v, refused %v\n",
				l.Address, l.Port, l.Inode, l.AcceptQueue.Length, l.AcceptQueue.Limit, value(l.AcceptQueue.Peak),
				value(l.SynQueue.Length), value(l.SynQueue.Limit), l.SynQueue.BoundBy, value(l.Discards.Window), value(l.Refused))
		}
	}
	for _, f := range ours {
		fmt.Fprintf(&b, "%s\n  evidence %s\n  changes %+v\n  hints %+v\n", describe(f), evidenceText(f), f.Changes, f.Hints)
	}
	return b.String()
}
