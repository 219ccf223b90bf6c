// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/qtune/qtune/test/vm/guest"
)

// modules are the kernel modules that tests need, in the order in which they are
// loaded: a module after those it depends on. One that a kernel does not have is
// left out; it may be built in, or not there yet.
var modules = []string{"inet_diag", "tcp_diag", "mptcp_diag", "veth"}

// places are the directories of a host that tests or the kernel expect.
var places = []string{
	"dev", "mnt", "proc", "root", "run", "sys", "tmp", "usr/local/bin", "var/log",
}

// writeInitramfs writes the initial file system for a kernel.
func writeInitramfs(ctx context.Context, file, kernelDir string, p programs, b *binaries) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	c := newCpio(f)
	for _, d := range places {
		c.directory(d)
	}
	if err := c.modules(kernelDir); err != nil {
		return err
	}
	if err := c.programs(ctx, p, map[string]string{"sh": "dash", "ip": "ip", "ss": "ss"}); err != nil {
		return err
	}
	c.copy("init", b.init)
	c.copy("bin/qtune", b.qtune)
	for _, s := range b.suites {
		c.copy(s.guestFile(), s.file)
		c.directory(s.guestDir())
	}
	for _, dir := range b.testdata {
		c.tree(filepath.Join("src", dir), dir)
	}
	steps, err := json.Marshal(b.steps())
	if err != nil {
		return err
	}
	c.file(guest.StepsFile, steps)
	return errors.Join(c.close(), f.Close())
}

// modules adds the modules that this kernel has.
func (c *cpio) modules(kernelDir string) error {
	found := map[string]string{}
	err := filepath.WalkDir(kernelDir, func(file string, _ fs.DirEntry, err error) error {
		name, compressed, ok := strings.Cut(filepath.Base(file), ".ko")
		if ok && (compressed == "" || compressed == ".xz" || compressed == ".zst") {
			found[strings.ReplaceAll(name, "-", "_")] = file
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, name := range modules {
		if file := found[name]; file != "" {
			c.copy(fmt.Sprintf("%s/%02d-%s", guest.ModulesDir, i, filepath.Base(file)), file)
		}
	}
	return nil
}

// programs adds programs of Debian, by their names in the guest, and their
// libraries.
func (c *cpio) programs(ctx context.Context, p programs, names map[string]string) error {
	c.copy(loader, string(p)+loader)
	added := map[string]bool{}
	for name, debian := range names {
		c.copy("bin/"+name, string(p)+"/bin/"+debian)
		libraries, err := p.libraries(ctx, "/bin/"+debian)
		if err != nil {
			return err
		}
		for _, lib := range libraries {
			if base := filepath.Base(lib); !added[base] {
				added[base] = true
				c.copy("lib/x86_64-linux-gnu/"+base, lib)
			}
		}
	}
	return nil
}
