// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"fmt"
	"slices"

	"github.com/qtune/qtune/host"
)

// holders returns the processes that hold a socket, as far as they may be seen.
func (k *liveKernel) holders(ctx context.Context, inode uint32) (pids []int, err error) {
	all, err := k.live.Processes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		//nolint:errcheck // what may not be seen, or has ended, does not help
		k.live.Descriptors(p.PID, func(d host.Descriptor) bool {
			if d.Netns || d.Inode != uint64(inode) {
				return true
			}
			pids = append(pids, p.PID)
			return false
		})
	}
	return pids, nil
}

// testify makes sure that the process which was in a namespace is in it still.
func (k *liveKernel) testify(s *Scope, found *host.Found) error {
	if s.PIDStarted == 0 {
		return fmt.Errorf("net:[%d]: before Linux 5.14 only a process in it tells it from its successor, and the plan knows of none: it may be %w", s.Netns, host.ErrGone)
	}
	started, err := k.live.StartedTicks(s.PID)
	same := err == nil && started == s.PIDStarted
	if same && slices.ContainsFunc(found.Processes, func(p host.Process) bool { return p.PID == s.PID && p.Netns == s.Netns }) {
		return nil
	}
	c := &found.Coverage
	if c.OwnPIDNamespace || c.ProcessesHidden || same && slices.Contains(found.Processes, host.Process{PID: s.PID, Denied: true}) {
		return fmt.Errorf("net:[%d]: it has no cookie, and whether process %d is in it still may not be seen from here: %w (CAP_SYS_PTRACE)", s.Netns, s.PID, host.ErrPermission)
	}
	return fmt.Errorf("net:[%d]: it has no cookie, and process %d, its witness, is %w", s.Netns, s.PID, host.ErrGone)
}
