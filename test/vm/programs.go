// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// programs is a folder with programs of Debian and everything they need, down to
// the C library, so that they run on any machine.
type programs string

const loader = "/lib64/ld-linux-x86-64.so.2"

// fetchPrograms fetches QEMU, and a few programs for the guests. The QEMU is that
// of bookworm-backports, 10: under bookworm's own, 7.2, Linux 6.12 crashes at
// random places.
func fetchPrograms(ctx context.Context, out progress, cache string) (programs, error) {
	packages := []string{"qemu-system-x86", "iproute2", "dash"}
	dir := filepath.Join(cache, "programs", strings.Join(packages, "+"))
	if _, err := os.Stat(dir); err == nil {
		return programs(dir), nil
	}
	a, err := openArchive(ctx, out, filepath.Join(cache, "apt", "programs"), "bookworm", "bookworm-backports")
	if err != nil {
		return "", err
	}
	install := []string{"install", "--download-only", "--target-release", "bookworm-backports"}
	return programs(dir), a.unpack(ctx, dir, slices.Concat(install, packages)...)
}

// command returns how to run a program of the folder here: by its own loader and
// with its own libraries.
func (p programs) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	var path []string
	for _, d := range []string{"lib", "usr/lib"} {
		path = append(path, filepath.Join(string(p), d, "x86_64-linux-gnu"))
	}
	return exec.CommandContext(ctx, string(p)+loader, append([]string{"--library-path", strings.Join(path, ":"), string(p) + name}, args...)...)
}

// qemu returns how to run QEMU.
func (p programs) qemu(ctx context.Context, args ...string) *exec.Cmd {
	firmware := []string{"-L", string(p) + "/usr/share/qemu", "-L", string(p) + "/usr/share/seabios"}
	return p.command(ctx, "/usr/bin/qemu-system-x86_64", append(firmware, args...)...)
}

// libraries returns the files of the libraries that a program needs, without the
// loader.
func (p programs) libraries(ctx context.Context, name string) ([]string, error) {
	cmd := p.command(ctx, name)
	cmd.Args = append([]string{cmd.Args[0], "--list"}, cmd.Args[1:]...)
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("libraries of %s: %w", name, err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		// libelf.so.1 => /somewhere/libelf.so.1 (0x00007f0fb262c000)
		if _, rest, ok := strings.Cut(line, " => "); ok {
			file, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if !strings.HasPrefix(filepath.Base(file), "ld-linux") {
				all = append(all, file)
			}
		}
	}
	return all, nil
}
