// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// newsMost is how many findings a step tells of, and of how many that ended: a host on
// which everything fails is told by its metrics.
const newsMost = 100

// unreadAgain is how long something must have gone well to be told again when it
// cannot be read.
const unreadAgain = 10 * time.Minute

// News tells the log what was found that was not known a step before, and what
// ended; and once what cannot be seen.
type news struct {
	log    *slog.Logger
	known  map[headline]string  // what each finding said where it was
	unread map[string]time.Time // when something could not be read last, by stage
}

// A headline is what makes a finding the same one at the next step.
type headline struct {
	netns          uint64
	cookie         string
	code, severity string
}

// tell compares the findings with those of the step before.
func (n *news) tell(ctx context.Context, in *inspection.Inspection) {
	n.tellUnread(ctx, in)
	now := make(map[headline]string, len(in.Findings))
	begun, ended := 0, 0
	for i := range in.Findings {
		f := &in.Findings[i]
		h := headline{netns: f.Netns, code: f.Code, severity: f.Severity}
		where := ""
		if l := f.Listener; l != nil {
			h.cookie = l.Cookie
			where = l.Name()
		}
		now[h] = where
		if _, known := n.known[h]; known {
			continue
		}
		if begun++; begun > newsMost {
			continue
		}
		level := slog.LevelWarn
		if f.Severity == string(advisor.Info) {
			level = slog.LevelInfo
		}
		n.log.Log(ctx, level, "finding", "code", f.Code, "severity", f.Severity, "netns", f.Netns, "listener", where, "why", f.Why)
	}
	for h, where := range n.known {
		if _, still := now[h]; still {
			continue
		}
		if ended++; ended <= newsMost {
			n.log.InfoContext(ctx, "finding ended", "code", h.code, "severity", h.severity, "netns", h.netns, "listener", where)
		}
	}
	if begun > newsMost || ended > newsMost {
		n.log.WarnContext(ctx, "more findings, see the metrics", "begun", max(0, begun-newsMost), "ended", max(0, ended-newsMost))
	}
	n.known = now
}

// tellUnread tells at the first step where was not looked, and of each stage when it
// begins to fail: not of each namespace, and not at every step.
func (n *news) tellUnread(ctx context.Context, in *inspection.Inspection) {
	if n.unread == nil {
		n.unread = map[string]time.Time{}
		for _, what := range in.Coverage.NotSearched {
			n.log.InfoContext(ctx, "not searched", "what", what)
		}
	}
	for i := range in.Errors {
		e := &in.Errors[i]
		last, known := n.unread[e.Stage]
		if !known || in.Time.Sub(last) > unreadAgain {
			n.log.WarnContext(ctx, "cannot read", "stage", e.Stage, "netns", e.Netns, "error", e.Message)
		}
		n.unread[e.Stage] = in.Time
	}
}
