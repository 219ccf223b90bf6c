// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Vitals are what /proc and the cgroups tell of how a process is doing, as
// counts since its start.
type Vitals struct {
	At      time.Time // when it was read
	Start   uint64    // ticks after boot: who has the number of another that ended has another start
	Stopped bool      // by a signal or a debugger

	Descriptors     int // open
	DescriptorLimit int // RLIMIT_NOFILE, soft; 0 when unknown

	Frozen bool                // its cgroup, or one above it
	Quotas map[string]QuotaUse // by the folder of the cgroup: its own and those above it

	// Threads are the first maxThreads by number; none where the kernel keeps
	// no times of threads.
	Threads     map[int]ThreadTime
	MoreThreads bool // than those
}

// A QuotaUse is how often a cgroup with a CPU quota used it up.
type QuotaUse struct {
	Periods   uint64 // that began with work to do
	Throttled uint64 // of them, those in which the quota was used up
}

// Sub returns what u counted since was.
func (u QuotaUse) Sub(was QuotaUse) QuotaUse {
	return QuotaUse{u.Periods - min(u.Periods, was.Periods), u.Throttled - min(u.Throttled, was.Throttled)}
}

// A ThreadTime is for how many nanoseconds a thread has run, and has waited for a
// CPU that was busy with others.
type ThreadTime struct {
	Ran, Waited uint64
}

// maxThreads bounds how many threads of a process are looked at.
const maxThreads = 256

// Vitals reads how a process is doing; what may not be seen is left out.
func (l *Live) Vitals(pid int) (Vitals, error) {
	v := Vitals{At: time.Now()}
	var buf [maxProcessFile]byte
	dir := l.path("proc/" + strconv.Itoa(pid))
	stat, err := readFile(dir+"/stat", buf[:])
	if err != nil {
		return v, err
	}
	if _, v.Start, err = parseStat(stat); err != nil {
		return v, fmt.Errorf("read %s/stat: %w", dir, err)
	}
	v.Stopped = isStopped(stat)
	if limits, err := readFile(dir+"/limits", buf[:]); err == nil {
		v.DescriptorLimit = parseDescriptorLimit(limits)
	}
	v.Descriptors = countDescriptors(dir + "/fd")
	if cgroup, err := readFile(dir+"/cgroup", buf[:]); err == nil {
		l.cgroupVitals(bytes.Clone(cgroup), &v)
	}
	v.Threads, v.MoreThreads = threadTimes(dir + "/task")
	return v, nil
}

// threadTimes reads the times of a process's threads, and whether it has more.
// Every process has run before it can be looked at, so where no thread did, the
// kernel does not count (CONFIG_SCHED_INFO).
func threadTimes(dir string) (times map[int]ThreadTime, more bool) {
	tasks, err := os.Open(dir)
	if err != nil {
		return nil, false
	}
	defer tasks.Close()
	names, _ := tasks.Readdirnames(maxThreads) // what could be read
	times = make(map[int]ThreadTime, len(names))
	counts := false
	var buf [128]byte
	for _, name := range names {
		tid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if sched, err := readFile(dir+"/"+name+"/schedstat", buf[:]); err == nil {
			times[tid] = parseSchedstat(sched)
			counts = counts || times[tid].Ran > 0
		}
	}
	if !counts {
		return nil, false
	}
	return times, len(names) == maxThreads
}

// countDescriptors counts open descriptors. Since Linux 6.2 the folder says how
// many by its size; before, it is 0.
func countDescriptors(dir string) int {
	if st, err := os.Stat(dir); err == nil && st.Size() > 0 {
		return int(st.Size())
	}
	d, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer d.Close()
	n := 0
	for {
		names, err := d.Readdirnames(1024)
		n += len(names)
		if err != nil {
			return n
		}
	}
}

// isStopped reports whether /proc/PID/stat shows state T or t.
func isStopped(stat []byte) bool {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(fields) > 0 && (fields[0][0] == 'T' || fields[0][0] == 't')
}

// parseDescriptorLimit reads the soft RLIMIT_NOFILE from /proc/PID/limits, 0 when
// it is not there or unlimited.
func parseDescriptorLimit(limits []byte) int {
	for line := range bytes.Lines(limits) {
		if rest, ok := bytes.CutPrefix(line, []byte("Max open files")); ok {
			if f := bytes.Fields(rest); len(f) > 0 {
				n, _ := strconv.Atoi(string(f[0]))
				return n
			}
		}
	}
	return 0
}

// parseSchedstat reads /proc/PID/task/TID/schedstat.
func parseSchedstat(b []byte) (t ThreadTime) {
	f := bytes.Fields(b)
	if len(f) >= 2 {
		t.Ran, _ = strconv.ParseUint(string(f[0]), 10, 64)
		t.Waited, _ = strconv.ParseUint(string(f[1]), 10, 64)
	}
	return t
}

// cgroupVitals reads freezer and CPU quota of the cgroups a process is in. A
// quota or a freezer of an outer cgroup holds for the inner ones.
func (l *Live) cgroupVitals(cgroup []byte, v *Vitals) {
	for line := range bytes.Lines(cgroup) {
		_, rest, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok || strings.Contains(path, "..") {
			continue // it lies outside what can be seen from here
		}
		switch controllers {
		case "":
			if root := l.cgroupRoot(); root != "" {
				l.cgroupUp(root, path, v)
			}
		default:
			for c := range strings.SplitSeq(controllers, ",") {
				if c == "freezer" || c == "cpu" {
					l.cgroupUp(l.path("sys/fs/cgroup/"+controllers), path, v)
				}
			}
		}
	}
}

// cgroupUp reads a cgroup and those above it.
func (l *Live) cgroupUp(mount, path string, v *Vitals) {
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		at := filepath.Join(mount, dir)
		var buf [4096]byte
		if b, err := readFile(at+"/cgroup.events", buf[:]); err == nil && fieldOf(b, "frozen") == 1 {
			v.Frozen = true
		}
		if b, err := readFile(at+"/freezer.state", buf[:]); err == nil && bytes.HasPrefix(b, []byte("FROZEN")) {
			v.Frozen = true
		}
		if b, err := readFile(at+"/cpu.stat", buf[:]); err == nil {
			if use := (QuotaUse{fieldOf(b, "nr_periods"), fieldOf(b, "nr_throttled")}); use.Periods > 0 {
				if v.Quotas == nil {
					v.Quotas = map[string]QuotaUse{}
				}
				v.Quotas[at] = use
			}
		}
		if dir == "/" || dir == "." {
			return
		}
	}
}

// fieldOf reads a number from lines of NAME NUMBER, 0 when it is not there.
func fieldOf(b []byte, name string) uint64 {
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == name {
			n, _ := strconv.ParseUint(string(f[1]), 10, 64)
			return n
		}
	}
	return 0
}
