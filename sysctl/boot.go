// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sysctl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// bootDirs are the folders of sysctl.d(5): of files with the same name only the
// one in the first of them counts.
var bootDirs = [...]string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// procpsFile is what `sysctl --system` reads after all others. systemd-sysctl
// does not read it, unless a link in one of the folders leads there.
const procpsFile = "/etc/sysctl.conf"

// BootFiles are the files that set sysctls when a host boots. What follows of
// them was measured with systemd-sysctl 252 and procps 4.0.2; a test measures
// it again with those of its host.
type BootFiles struct {
	lines  []bootLine // in the order of the files
	procps []bootLine // of procpsFile
}

// A bootLine is an assignment, or an exclusion.
type bootLine struct {
	Setting
	path string // of the key below /proc/sys, perhaps with a glob in it
	glob bool
}

// A Setting is a line that sets a key at boot.
type Setting struct {
	File string // as the host sees it
	Line int

	// Value is what is written, as it stands there. It is empty for "-key"
	// without a value, which lets nobody before it set the key.
	Value string

	// ProcpsOnly says that systemd does not read the file. The line counts where
	// procps sets sysctls at boot, and whenever somebody runs sysctl --system.
	ProcpsOnly bool
}

// Boot reads the files below root, "/" for this host. What could not be read
// is missing from the result, and the error says what that was.
func Boot(root string) (*BootFiles, error) {
	top, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("read sysctl.d: %w", err)
	}
	defer top.Close()

	var errs []error
	where := map[string]string{} // path by name
	for _, dir := range bootDirs {
		names, err := list(top, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("read %s: %w", dir, err))
		}
		for _, name := range names {
			if bootName(name) && where[name] == "" {
				where[name] = path.Join(dir, name)
			}
		}
	}
	read := func(name string) []bootLine {
		text, err := content(top, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", name, err))
		}
		return parseBoot(name, text)
	}
	b := &BootFiles{}
	for _, name := range slices.Sorted(maps.Keys(where)) {
		b.lines = append(b.lines, read(where[name])...)
	}
	b.procps = read(procpsFile)
	for i := range b.procps {
		b.procps[i].ProcpsOnly = true
	}
	return b, errors.Join(errs...)
}

// bootName reports whether a file of this name is read. procps reads hidden
// ones, too; systemd does not.
func bootName(name string) bool {
	return strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".")
}

// Who returns the lines that set a key, in the order in which they do: the last
// one counts. Lines with a glob count only for keys that no line names.
func (b *BootFiles) Who(key string) []Setting {
	all := who(b.lines, key)
	for _, s := range who(slices.Concat(b.lines, b.procps), key) {
		if s.ProcpsOnly {
			all = append(all, s)
		}
	}
	return all
}

func who(lines []bootLine, key string) []Setting {
	var byName, byGlob []Setting
	named := false
	key = keyPath(key)
	for _, l := range lines {
		switch {
		case l.glob:
			if ok, _ := path.Match(l.path, key); ok {
				byGlob = append(byGlob, l.Setting)
			}
		case l.path == key && l.Value == "":
			byName, named = nil, true
		case l.path == key:
			byName, named = append(byName, l.Setting), true
		}
	}
	if named {
		return byName
	}
	return byGlob
}

// Shadows returns the lines that would have the last word over one that sets the
// key in /etc/sysctl.d/name, whether that file is there yet or not. A line with
// a glob never has.
func (b *BootFiles) Shadows(name, key string) []Setting {
	var all []Setting
	key = keyPath(key)
	for _, l := range slices.Concat(b.lines, b.procps) {
		if !l.glob && l.path == key && (l.ProcpsOnly || path.Base(l.File) > name) {
			all = append(all, l.Setting)
		}
	}
	return all
}

// parseBoot returns what the lines of a file set. A line goes to its end: there
// is neither a comment after a value nor a line that continues another.
func parseBoot(file string, text []byte) []bootLine {
	var lines []bootLine
	number := 0
	for line := range bytes.Lines(text) {
		number++
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' || s[0] == ';' {
			continue
		}
		key, value, assigns := strings.Cut(s, "=")
		// A dash lets the write fail. Without a value it excludes the key.
		key, dash := strings.CutPrefix(strings.TrimSpace(key), "-")
		if !assigns && !dash {
			continue // and systemd says so in its log
		}
		l := bootLine{
			Setting: Setting{File: file, Line: number, Value: strings.TrimSpace(value)},
			path:    keyPath(strings.TrimSpace(key)),
		}
		l.glob = strings.ContainsAny(l.path, "*?[")
		if l.glob {
			if !assigns {
				continue // only a key by its name can be excluded
			}
			l.path = strings.ReplaceAll(l.path, "[!", "[^") // as path.Match has it
		}
		lines = append(lines, l)
	}
	return lines
}

// keyPath returns the path of a key below /proc/sys. If the first separator is a
// dot, dots and slashes stand for each other.
func keyPath(key string) string {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		key = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, key)
	}
	return strings.TrimPrefix(path.Clean("/"+key), "/")
}

// inRoot opens a file or a folder below top. A host that is mounted elsewhere may
// hold links that begin with a slash: these stay in it, by openat2 (Linux 5.6).
func inRoot(top *os.File, name string, flags int) (*os.File, error) {
	flags |= unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK // a FIFO must not hold us up
	if top.Name() == "/" {
		return os.OpenFile(name, flags, 0)
	}
	fd, err := unix.Openat2(int(top.Fd()), name, &unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func list(top *os.File, dir string) ([]string, error) {
	f, err := inRoot(top, dir, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// content returns what a file holds. What is no file, as /dev/null and links to
// nowhere, holds nothing, and so hides those of the same name.
func content(top *os.File, name string) ([]byte, error) {
	f, err := inRoot(top, name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		return nil, fmt.Errorf("larger than %d bytes", most)
	}
	return text, err
}
