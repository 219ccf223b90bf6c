// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"strconv"
	"strings"
)

// A ProgramInfo is what tells which program a process runs.
type ProgramInfo struct {
	Argv   []string // at most 4 KiB of the command line; it may hold secrets
	Build  string   // the toolchain that made the executable, when the file tells: go, rust
	Handed int      // how many sockets it was handed when it was started (LISTEN_FDS): its descriptors from 3 on
}

// Program reads what tells which program a process runs; what may not be seen is
// left empty.
func (l *Live) Program(pid int) ProgramInfo {
	dir := l.path("proc/" + strconv.Itoa(pid))
	p := ProgramInfo{Argv: l.argv(pid)}
	if exe, err := os.Open(dir + "/exe"); err == nil {
		p.Build = buildOf(exe)
		exe.Close()
	}
	var buf [maxProcessFile]byte
	if environ, err := readFile(dir+"/environ", buf[:]); err == nil {
		var inner [maxProcessFile]byte
		status, _ := readFile(dir+"/status", inner[:])
		p.Handed = handedTo(environ, innerPID(status, pid))
	}
	return p
}

// buildOf returns the toolchain that made an executable: Go leaves its build
// information in a section of its own, rustc its name among the compilers'.
func buildOf(r io.ReaderAt) string {
	f, err := elf.NewFile(r)
	if err != nil {
		return ""
	}
	if f.Section(".go.buildinfo") != nil {
		return "go"
	}
	const enough = 4 << 10 // a few compilers' names
	comment := f.Section(".comment")
	if comment == nil || comment.Type == elf.SHT_NOBITS || comment.Flags&elf.SHF_COMPRESSED != 0 {
		return ""
	}
	b := make([]byte, min(comment.Size, enough))
	n, _ := comment.ReadAt(b, 0) // what could be read is enough
	if bytes.Contains(b[:n], []byte("rustc version")) {
		return "rust"
	}
	return ""
}

// handedTo returns how many sockets an environment says that the process of this
// number was handed: sd_listen_fds(3). A child of that process inherits the words,
// and not the number.
func handedTo(environ []byte, pid int) int {
	fds, owner := 0, 0
	for word := range bytes.SplitSeq(environ, []byte{0}) {
		key, value, _ := strings.Cut(string(word), "=")
		switch key {
		case "LISTEN_FDS":
			if n, err := strconv.Atoi(value); err == nil {
				fds = n
			}
		case "LISTEN_PID":
			owner, _ = strconv.Atoi(value)
		}
	}
	if owner != pid {
		return 0
	}
	return max(fds, 0)
}

// innerPID returns the number a process has in its own PID namespace.
func innerPID(status []byte, pid int) int {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("NSpid:")); ok {
			if all := bytes.Fields(rest); len(all) > 0 {
				if inner, err := strconv.Atoi(string(all[len(all)-1])); err == nil {
					return inner
				}
			}
		}
	}
	return pid
}
