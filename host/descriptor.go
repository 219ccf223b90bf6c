// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Descriptor is an open file of a process that matters here: a socket, or a
// handle on a network namespace.
type Descriptor struct {
	FD    int
	Netns bool   // "net:[Inode]"; otherwise "socket:[Inode]"
	Inode uint64 // a number of sockfs or of nsfs
}

// Descriptors hands the socket and namespace descriptors of a process to each,
// until that says it has seen enough. Some systems let root list them but not
// look behind them: that is not permitted, too.
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
