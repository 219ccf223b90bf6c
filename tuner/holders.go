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

// witnesses reports whether the process that was in a namespace is there still.
func (k *liveKernel) witnesses(s *Scope, found *host.Found) bool {
	if s.PID == 0 {
		return false
	}
	there := slices.ContainsFunc(found.Processes, func(p host.Process) bool { return p.PID == s.PID && p.Netns == s.Netns })
	started, err := k.live.StartedTicks(s.PID)
	return there && err == nil && started == s.PIDStarted
}
