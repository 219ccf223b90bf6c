// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

// A hardship is what keeps a process from accepting, as far as /proc tells.
type hardship struct {
	stops    bool // it can accept nothing at all
	why      string
	evidence Evidence
	hint     Hint
}

// hardship returns the heaviest hardship of the processes that hold the listener,
// nil when none is known.
func (l *subject) hardship() *hardship {
	if l.l.Owner == nil {
		return nil
	}
	pids := l.l.Owner.PIDs
	var known []int // holders that were looked at; a master that does not accept itself is the oldest
	for i, pid := range pids {
		if _, ok := l.snapshot.Vitals[pid]; ok && (i > 0 || len(pids) == 1) {
			known = append(known, pid)
		}
	}
	for _, h := range hardships {
		suffering, worst := 0, 0
		for _, pid := range known {
			v := l.snapshot.Vitals[pid]
			if h.has(&v) {
				suffering++
				worst = pid
			}
		}
		if suffering == 0 || h.all && suffering < len(known) {
			continue
		}
		v := l.snapshot.Vitals[worst]
		return h.tell(worst, &v)
	}
	return nil
}

// nobodyRan reports whether no thread of any holder ran while it was watched.
func (l *subject) nobodyRan() bool {
	if l.l.Owner == nil || len(l.l.Owner.PIDs) == 0 {
		return false
	}
	for _, pid := range l.l.Owner.PIDs {
		if v, ok := l.snapshot.Vitals[pid]; !ok || v.Over == 0 || v.Ran {
			return false
		}
	}
	return true
}

// throttledShare and busyShare are where a quota or a single thread is taken for
// the reason why a program is too slow.
const (
	throttledShare = 0.5
	busyShare      = 0.8
)

// hardships are tried in this order.
var hardships = []struct {
	has  func(*tcpq.Vitals) bool
	all  bool // it must have every process that accepts
	tell func(pid int, v *tcpq.Vitals) *hardship
}{
	{
		has: func(v *tcpq.Vitals) bool { return v.Frozen }, all: true,
		tell: func(pid int, _ *tcpq.Vitals) *hardship {
			return &hardship{
				stops:    true,
				why:      fmt.Sprintf("The cgroup of process %d is frozen: its container was paused.", pid),
				evidence: Evidence{"cgroup frozen", 1, "", fmt.Sprintf("cgroup of process %d", pid)},
				hint:     Hint{Setting: "thaw the cgroup: unpause the container", Example: "docker unpause CONTAINER", TakesEffect: Now, Verified: true},
			}
		},
	},
	{
		has: func(v *tcpq.Vitals) bool { return v.Stopped }, all: true,
		tell: func(pid int, _ *tcpq.Vitals) *hardship {
			return &hardship{
				stops:    true,
				why:      fmt.Sprintf("Process %d is stopped, by a signal or a debugger.", pid),
				evidence: Evidence{"process stopped", 1, "", fmt.Sprintf("/proc/%d/stat", pid)},
				hint:     Hint{Setting: "let the process go on", Example: fmt.Sprintf("kill -CONT %d", pid), TakesEffect: Now, Verified: true},
			}
		},
	},
	{
		has: func(v *tcpq.Vitals) bool { return v.DescriptorLimit > 0 && v.Descriptors >= v.DescriptorLimit }, all: true,
		tell: func(pid int, v *tcpq.Vitals) *hardship {
			return &hardship{
				stops:    true,
				why:      fmt.Sprintf("Process %d has %d descriptors open and RLIMIT_NOFILE is %d: accept(2) gives EMFILE.", pid, v.Descriptors, v.DescriptorLimit),
				evidence: Evidence{"open descriptors of RLIMIT_NOFILE", float64(v.Descriptors), "descriptors", fmt.Sprintf("/proc/%d/fd, /proc/%d/limits", pid, pid)},
				hint: Hint{
					Setting:     "LimitNOFILE= of the systemd unit, or ulimit -n of whoever starts it",
					Example:     fmt.Sprintf("LimitNOFILE=%d", max(4096, 4*v.DescriptorLimit)),
					TakesEffect: Restart, Verified: true,
					Note: fmt.Sprintf("Until then: prlimit --pid %d --nofile=%d. Descriptors that leak use up any limit.", pid, max(4096, 4*v.DescriptorLimit)),
				},
			}
		},
	},
	{
		has: func(v *tcpq.Vitals) bool {
			return v.Periods > 0 && float64(v.Throttled) >= throttledShare*float64(v.Periods)
		},
		tell: func(pid int, v *tcpq.Vitals) *hardship {
			share := 100 * float64(v.Throttled) / float64(v.Periods)
			return &hardship{
				why:      fmt.Sprintf("The CPU quota of process %d was used up in %.0f %% of the periods.", pid, share),
				evidence: Evidence{"CPU periods throttled", round(share), "%", fmt.Sprintf("cpu.stat of the cgroup of process %d", pid)},
				hint:     Hint{Setting: "the CPU quota of the cgroup: cpu.max, CPUQuota= of the unit, limits.cpu of the pod", TakesEffect: Now, Verified: true},
			}
		},
	},
	{
		has: func(v *tcpq.Vitals) bool { return v.Busiest >= busyShare },
		tell: func(pid int, v *tcpq.Vitals) *hardship {
			which := "One thread"
			if v.Threads == 1 {
				which = "The only thread"
			}
			return &hardship{
				why:      fmt.Sprintf("%s of process %d ran, or waited for a CPU, %.0f %% of the time.", which, pid, 100*v.Busiest),
				evidence: Evidence{"the busiest thread ran or waited for a CPU", round(100 * v.Busiest), "%", fmt.Sprintf("/proc/%d/task", pid)},
				hint:     Hint{Setting: "more threads or processes that accept, or less work in the one that does", TakesEffect: Restart, Verified: true},
			}
		},
	},
}
