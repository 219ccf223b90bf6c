// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"context"
	"log/slog"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// News tells the log what was found that was not known a step before, and what
// ended.
type news struct {
	log   *slog.Logger
	known map[headline]string // what each finding said where it was
}

// A headline is what makes a finding the same one at the next step.
type headline struct {
	netns          uint64
	cookie         string
	code, severity string
}

// tell compares the findings with those of the step before.
func (n *news) tell(ctx context.Context, in *inspection.Inspection) {
	now := make(map[headline]string, len(in.Findings))
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
		level := slog.LevelWarn
		if f.Severity == string(advisor.Info) {
			level = slog.LevelInfo
		}
		n.log.Log(ctx, level, "finding", "code", f.Code, "severity", f.Severity, "netns", f.Netns, "listener", where, "why", f.Why)
	}
	for h, where := range n.known {
		if _, still := now[h]; !still {
			n.log.InfoContext(ctx, "finding ended", "code", h.code, "severity", h.severity, "netns", h.netns, "listener", where)
		}
	}
	n.known = now
}
