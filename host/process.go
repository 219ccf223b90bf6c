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
	"path/filepath"
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
	if err != nil {
		return 0, err
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

// A Descriptor is an open file of a process that matters here: a socket, or a
// handle on a network namespace.
type Descriptor struct {
	FD    int
	Netns bool   // "net:[Inode]"; otherwise "socket:[Inode]"
	Inode uint64 // a number of sockfs or of nsfs
}

// Descriptors hands the socket and namespace descriptors of a process to each,
// until that says it has seen enough. Some systems let root list them but not look behind them: that is not
// permitted, too.
func (l *Live) Descriptors(pid int, each func(Descriptor) (more bool)) error {
	dir, err := os.Open(l.path("proc/" + strconv.Itoa(pid) + "/fd"))
	if err != nil {
		return meaning(err)
	}
	defer dir.Close()
	var link [64]byte
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			n, err := unix.Readlinkat(int(dir.Fd()), name, link[:])
			if errors.Is(err, fs.ErrPermission) {
				return meaning(err)
			}
			if err != nil {
				continue // closed meanwhile
			}
			netns := bytes.HasPrefix(link[:n], []byte("net:["))
			if !netns && !bytes.HasPrefix(link[:n], []byte("socket:[")) {
				continue
			}
			fd, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			if _, inode, err := parseLink(link[:n]); err == nil && !each(Descriptor{FD: fd, Netns: netns, Inode: inode}) {
				return nil
			}
		}
		if err != nil { // io.EOF, or the process ended
			return nil
		}
	}
}

// PodLogs reads the names of the pods from the kubelet's log folders:
// pods/NAMESPACE_NAME_UID/CONTAINER and containers/POD_NAMESPACE_NAME-ID.log.
func (l *Live) PodLogs() []PodLog {
	folders, err := os.ReadDir(l.path("var/log/pods"))
	if err != nil {
		return nil // no kubelet here
	}
	logs, _ := filepath.Glob(l.path("var/log/containers/*.log"))
	var pods []PodLog
	for _, folder := range folders {
		pod, ok := parsePodFolder(folder.Name())
		if !ok {
			continue
		}
		if inside, err := os.ReadDir(l.path("var/log/pods/" + folder.Name())); err == nil && len(inside) == 1 {
			pod.Containers[""] = inside[0].Name()
		}
		for _, log := range logs {
			if id, name, ok := pod.parseContainerLog(filepath.Base(log)); ok {
				pod.Containers[id] = name
			}
		}
		pods = append(pods, pod)
	}
	return pods
}

// parsePodFolder reads "NAMESPACE_NAME_UID"; none of the three may hold "_".
func parsePodFolder(s string) (PodLog, bool) {
	part := strings.Split(s, "_")
	if len(part) != 3 {
		return PodLog{}, false
	}
	return PodLog{Namespace: part[0], Name: part[1], UID: part[2], Containers: map[string]string{}}, true
}

// parseContainerLog reads "POD_NAMESPACE_CONTAINER-ID.log" when it is p's.
func (p *PodLog) parseContainerLog(s string) (id, name string, ok bool) {
	rest, ok := strings.CutPrefix(s, p.Name+"_"+p.Namespace+"_")
	if !ok {
		return "", "", false
	}
	rest = strings.TrimSuffix(rest, ".log")
	dash := strings.LastIndexByte(rest, '-')
	if dash < 0 {
		return "", "", false
	}
	return rest[dash+1:], rest[:dash], true
}

// String returns "FD KIND:[NUMBER]", as a recording has it.
func (d Descriptor) String() string {
	kind := "socket"
	if d.Netns {
		kind = "net"
	}
	return fmt.Sprintf("%d %s:[%d]", d.FD, kind, d.Inode)
}

// parseDescriptor reads what String wrote.
func parseDescriptor(s string) (Descriptor, error) {
	number, link, _ := strings.Cut(s, " ")
	fd, err := strconv.Atoi(number)
	if err != nil {
		return Descriptor{}, fmt.Errorf("descriptor %q: %w", s, err)
	}
	kind, inode, err := parseLink([]byte(link))
	return Descriptor{FD: fd, Netns: kind == "net", Inode: inode}, err
}
