// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// Witness returns when a process was started, in clock ticks after boot, and the
// number of its network namespace. Before namespaces had cookies that is what
// tells one from its successor: a process that was there before is there still.
func (l *Live) Witness(pid int) (started, netns uint64, err error) {
	var buf [maxProcessFile]byte
	dir := l.path("proc/" + strconv.Itoa(pid))
	stat, err := readFile(dir+"/stat", buf[:])
	if err != nil {
		return 0, 0, err
	}
	if _, started, err = parseStat(stat); err != nil {
		return 0, 0, fmt.Errorf("read %s/stat: %w", dir, err)
	}
	link, err := os.Readlink(dir + "/ns/net")
	if err != nil {
		return 0, 0, meaning(err)
	}
	_, netns, err = parseLink([]byte(link))
	return started, netns, err
}

// Holders returns the processes that hold a socket, as far as they may be seen.
func (l *Live) Holders(ctx context.Context, socket uint32) (pids []int, err error) {
	all, err := l.Processes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		//nolint:errcheck // it may not be seen, or ended
		l.Descriptors(p.PID, func(d Descriptor) bool {
			if d.Netns || d.Inode != uint64(socket) {
				return true
			}
			pids = append(pids, p.PID)
			return false
		})
	}
	return pids, nil
}
