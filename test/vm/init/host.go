// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/test/vm/guest"
)

// mountAll mounts what a host has mounted: of cgroups, v2 alone.
func mountAll() (problems []error) {
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"tmpfs", "/run"},
		{"tmpfs", "/tmp"},
		{"cgroup2", "/sys/fs/cgroup"},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			problems = append(problems, fmt.Errorf("mount %s: %w", m.dir, err))
		}
	}
	if err := os.Chmod("/tmp", 0o777|os.ModeSticky); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// setUp loads the modules and makes the machine one that tests can use.
func setUp() (problems []error) {
	modules, _ := filepath.Glob(guest.ModulesDir + "/*") // sorted
	for _, file := range modules {
		if err := load(file); err != nil {
			problems = append(problems, fmt.Errorf("load %s: %w", filepath.Base(file), err))
		}
	}
	const files = 1 << 20
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}); err != nil {
		problems = append(problems, os.NewSyscallError("setrlimit", err))
	}
	if err := unix.Sethostname([]byte("vm")); err != nil {
		problems = append(problems, os.NewSyscallError("sethostname", err))
	}
	if err := host.LoopbackUp(); err != nil {
		problems = append(problems, fmt.Errorf("set lo up: %w", err))
	}
	return problems
}

// load loads a module. Debian compresses them from 6.12 on, and there the kernel
// decompresses them itself (5.17+, CONFIG_MODULE_DECOMPRESS).
func load(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if filepath.Ext(file) != ".ko" {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(f.Fd()), "", flags); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
