// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"fmt"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// check looks at the host and says why a plan may not be applied. It asks as the
// loop does: nobody's consent is taken from the plan itself.
func (s *Server) check(ctx context.Context, now Now, p *Plan, ceiling *policy.Policy) error {
	if ceiling.Mode != policy.Enforce {
		return fmt.Errorf("%w: the ceiling %s does not say mode: enforce", ErrRail, ceiling.Revision())
	}
	if err := s.checkRate(now, ceiling); err != nil {
		return err
	}
	snapshot, err := collector.New(s.live, collector.Options{Syn: collector.SynNever, Log: s.opts.Log}).Snapshot(ctx, nil)
	if err != nil {
		return fmt.Errorf("look at the host: %w", err)
	}
	memory, err := s.live.Memory()
	if err != nil { // a rail says what then cannot be done
		s.opts.Log.Warn("how much memory there is for queues is not known", "error", err)
	}
	planner := Planner{
		Inspection: inspection.From(snapshot, nil, advisor.Report{}),
		Policy:     ceiling, Memory: memory, BootID: now.BootID, LiveResize: true, // where the ceiling says so
	}
	refused := planner.Check(p)
	switch {
	case len(refused) == 0:
		return nil
	case refused[0].Code == NotFound:
		if why := hidden(snapshot, refused[0].Scope.Netns); why != nil {
			return fmt.Errorf("%w: net:[%d] or what is in it was not found: %w", host.ErrPermission, refused[0].Scope.Netns, why)
		}
		return fmt.Errorf("%w: %s", ErrStale, refused[0].Message)
	case refused[0].Code == NotPermitted:
		return fmt.Errorf("%w: %s", host.ErrPermission, refused[0].Message)
	}
	return fmt.Errorf("%w: %s: %s", ErrRail, refused[0].name(), refused[0].Message)
}

// hidden says why a namespace may be there that was not found, nil when there is no
// reason: who lacks a capability is to be told so, and not that the plan is stale.
func hidden(s *tcpq.Snapshot, netns uint64) error {
	for i := range s.Namespaces {
		if n := &s.Namespaces[i]; n.ID.Inode == netns {
			return n.Denied
		}
	}
	if c := &s.Coverage; c.ProcessesDenied > 0 && !c.Listns {
		return fmt.Errorf("%d of %d processes may not be looked into, which needs CAP_SYS_PTRACE", c.ProcessesDenied, c.Processes)
	}
	return nil
}

// name returns the rail of a refusal, or what else refused.
func (r *Refusal) name() string {
	if r.Rail != "" {
		return r.Rail
	}
	return r.Code
}

// checkRate refuses more changes in an hour than the ceiling allows.
func (s *Server) checkRate(now Now, ceiling *policy.Policy) error {
	all, err := s.tuner.history()
	if err != nil {
		return err
	}
	recent := 0
	for _, tx := range all {
		if tx.BootID == now.BootID && now.Boot-tx.Created.Boot < time.Hour && tx.State != Failed {
			recent++
		}
	}
	if recent >= ceiling.MaxPerHour {
		return fmt.Errorf("%w: maxPerHour: %d changes within an hour, and the ceiling allows %d", ErrRail, recent, ceiling.MaxPerHour)
	}
	return nil
}
