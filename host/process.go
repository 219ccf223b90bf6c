// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// userHZ is the unit of the start time in /proc/PID/stat, the same on every
// architecture Go runs on.
const userHZ = 100

// maxProcessFile holds the largest file that is read of a process: its cgroup
// has a path of up to 4 KiB for each of a dozen hierarchies.
const maxProcessFile = 64 << 10

// maxArgv bounds what is kept of a command line.
const maxArgv = 4 << 10

// Processes lists every process and the namespaces it is in.
func (l *Live) Processes(ctx context.Context) ([]Process, error) {
	dir, err := os.Open(l.path("proc"))
	if err != nil {
		return nil, meaning(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, meaning(err)
	}
	all := make([]Process, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		p := Process{PID: pid}
		p.Netns, err = nsInode(int(dir.Fd()), name+"/ns/net")
		switch {
		case err == nil:
			p.Mntns, _ = nsInode(int(dir.Fd()), name+"/ns/mnt")
		case errors.Is(err, fs.ErrPermission):
			p.Denied = true
		default: // gone meanwhile, or a zombie, which is in no namespace
			continue
		}
		all = append(all, p)
	}
	return all, nil
}

// nsInode reads N from a link to "net:[N]".
func nsInode(dirfd int, path string) (uint64, error) {
	var buf [64]byte
	n, err := unix.Readlinkat(dirfd, path, buf[:])
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, whyNoNetns()
	}
	_, inode, err := parseLink(buf[:n])
	return inode, err
}

// parseLink reads the kind and number of a magic link: "socket:[4711]".
func parseLink(b []byte) (kind string, inode uint64, err error) {
	i := bytes.IndexByte(b, ':')
	if i < 0 || len(b) < i+4 || b[i+1] != '[' || b[len(b)-1] != ']' {
		return "", 0, fmt.Errorf("link %q: not KIND:[NUMBER]", b)
	}
	inode, err = strconv.ParseUint(string(b[i+2:len(b)-1]), 10, 64)
	return string(b[:i]), inode, err
}

// Process reads what /proc tells of one process.
func (l *Live) Process(pid int) (ProcessInfo, error) {
	var p ProcessInfo
	var buf [maxProcessFile]byte
	dir := l.path("proc/" + strconv.Itoa(pid))
	stat, err := readFile(dir+"/stat", buf[:])
	if err != nil {
		return p, err
	}
	var ticks uint64
	if p.Comm, ticks, err = parseStat(stat); err != nil {
		return p, fmt.Errorf("read %s/stat: %w", dir, err)
	}
	p.Started = l.boot.Add(time.Duration(ticks) * (time.Second / userHZ))
	status, err := readFile(dir+"/status", buf[:])
	if err != nil {
		return p, err
	}
	if p.UID, err = parseUID(status); err != nil {
		return p, fmt.Errorf("read %s/status: %w", dir, err)
	}
	if cgroup, err := readFile(dir+"/cgroup", buf[:]); err == nil {
		p.Cgroup = bytes.Clone(cgroup)
	}
	p.Exe, _ = os.Readlink(dir + "/exe")
	return p, nil
}

// argv returns at most the first 4 KiB of a command line. It may hold secrets.
func (l *Live) argv(pid int) []string {
	f, err := os.Open(l.path("proc/" + strconv.Itoa(pid) + "/cmdline"))
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, maxArgv)
	n, err := f.Read(buf)
	if err != nil {
		return nil // a kernel thread has none
	}
	return strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
}

// parseStat reads the name and start time (in ticks since boot) of a process.
// The name stands in brackets and may hold brackets itself.
func parseStat(b []byte) (comm string, ticks uint64, err error) {
	open, shut := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || shut < open {
		return "", 0, errors.New("no name in brackets")
	}
	fields := bytes.Fields(b[shut+1:])
	const starttime = 22 - 3 // fields are counted from 1, and state is the third
	if len(fields) <= starttime {
		return "", 0, fmt.Errorf("%d fields after the name, need %d", len(fields), starttime+1)
	}
	ticks, err = strconv.ParseUint(string(fields[starttime]), 10, 64)
	return string(b[open+1 : shut]), ticks, err
}

// parseUID reads the effective user id from /proc/PID/status.
func parseUID(status []byte) (uint32, error) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("Uid:")); ok {
			if f := bytes.Fields(rest); len(f) >= 2 {
				uid, err := strconv.ParseUint(string(f[1]), 10, 32)
				return uint32(uid), err
			}
		}
	}
	return 0, errors.New("no line Uid")
}
