// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// A cpio writes an archive in the format of initial file systems: see
// Documentation/driver-api/early-userspace/buffer-format.rst, "newc".
type cpio struct {
	w     *bufio.Writer
	err   error // the first
	inode int
	made  map[string]bool // directories
}

func newCpio(w io.Writer) *cpio {
	return &cpio{w: bufio.NewWriter(w), made: map[string]bool{".": true}}
}

const (
	modeDirectory = 0o040755
	modeFile      = 0o100755 // every file may be run
)

// directory adds a directory, and those above it.
func (c *cpio) directory(name string) {
	if name = strings.TrimPrefix(name, "/"); !c.made[name] {
		c.made[name] = true
		c.directory(path.Dir(name))
		c.entry(name, modeDirectory, nil)
	}
}

// file adds a file, and the directories above it.
func (c *cpio) file(name string, content []byte) {
	name = strings.TrimPrefix(name, "/")
	c.directory(path.Dir(name))
	c.entry(name, modeFile, content)
}

// copy adds a file of this machine.
func (c *cpio) copy(name, from string) {
	b, err := os.ReadFile(from)
	if err != nil {
		c.fail(err)
		return
	}
	c.file(name, b)
}

// tree adds a directory of this machine with all that is in it.
func (c *cpio) tree(name, from string) {
	entries, err := os.ReadDir(from)
	c.fail(err)
	c.directory(name)
	for _, e := range entries {
		if e.IsDir() {
			c.tree(path.Join(name, e.Name()), path.Join(from, e.Name()))
		} else {
			c.copy(path.Join(name, e.Name()), path.Join(from, e.Name()))
		}
	}
}

// close ends the archive and returns the first error there was.
func (c *cpio) close() error {
	c.entry("TRAILER!!!", 0, nil)
	c.fail(c.w.Flush())
	return c.err
}

func (c *cpio) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *cpio) entry(name string, mode int, content []byte) {
	c.inode++
	var b strings.Builder
	b.WriteString("070701")
	for _, field := range []int{
		c.inode, mode, 0 /* uid */, 0 /* gid */, 1 /* links */, 0, /* mtime */
		len(content), 0, 0, 0, 0 /* devices */, len(name) + 1, 0, /* checksum */
	} {
		fmt.Fprintf(&b, "%08x", field)
	}
	b.WriteString(name + "\x00")
	b.WriteString(padding(b.Len()))
	_, err := c.w.WriteString(b.String())
	c.fail(err)
	_, err = c.w.Write(content)
	c.fail(err)
	_, err = c.w.WriteString(padding(len(content)))
	c.fail(err)
}

// padding fills up to a multiple of four.
func padding(n int) string { return "\x00\x00\x00"[:-n&3] }
