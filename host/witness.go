// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
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
