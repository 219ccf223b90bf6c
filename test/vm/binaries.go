// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"time"

	"github.com/qtune/qtune/test/vm/guest"
)

// suites are the packages whose tests run in the guests; one that is not written
// yet is left out.
var suites = []suite{
	{dir: "tcpq", limit: time.Minute},
	{dir: "collector/inetdiag", limit: time.Minute},
	{dir: "collector", limit: time.Minute},
	{dir: "host", limit: 2 * time.Minute},
	{dir: "sysctl", limit: time.Minute},
	{dir: "tuner", run: "TestKernel", limit: 3 * time.Minute}, // the others plan and play for long, and ask no kernel
	{dir: "selftest", limit: 3 * time.Minute},
	{dir: "test/kernel", limit: 5 * time.Minute},
	{dir: "test/hosts", limit: 2 * time.Minute},
}

// A suite is the compiled tests of a package.
type suite struct {
	dir   string
	run   string        // as in go test -run; none: all
	limit time.Duration // an emulated CPU is 10 to 30 times slower than this one
	file  string
}

func (s suite) name() string      { return path.Base(s.dir) }
func (s suite) guestFile() string { return "/tests/" + s.name() }
func (s suite) guestDir() string  { return "/src/" + s.dir }

// selftestStep is qtune's own proof of the kernel's rules; 60 s on a real CPU.
const (
	selftestStep  = "qtune selftest"
	selftestLimit = 5 * time.Minute
)

// binaries is what is built for the guests.
type binaries struct {
	qtune, init string
	hasSelftest bool // the command
	suites      []suite
	testdata    []string // folders
	run         string   // as in go test -run
}

// build builds everything into a folder.
func build(ctx context.Context, dir, run string) (*binaries, error) {
	b := &binaries{
		qtune: filepath.Join(dir, "qtune"), init: filepath.Join(dir, "init"), run: run,
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	if err := goTool(ctx, "build", "-ldflags=-s -w", "-o", b.qtune, "./cmd/qtune"); err != nil {
		return nil, err
	}
	if err := goTool(ctx, "build", "-ldflags=-s -w", "-o", b.init, "./test/vm/init"); err != nil {
		return nil, err
	}
	for _, s := range suites {
		if _, err := os.Stat(s.dir); err != nil {
			continue
		}
		s.file = filepath.Join(dir, s.name()+".test")
		if err := goTool(ctx, "test", "-c", "-ldflags=-s -w", "-o", s.file, "./"+s.dir); err != nil {
			return nil, err
		}
		b.suites = append(b.suites, s)
		if _, err := os.Stat(filepath.Join(s.dir, "testdata")); err == nil {
			b.testdata = append(b.testdata, filepath.Join(s.dir, "testdata"))
		}
	}
	// Help on a command that is not there is help on qtune.
	help, err := exec.CommandContext(ctx, b.qtune, "selftest", "--help").Output()
	b.hasSelftest = err == nil && bytes.Contains(help, []byte("qtune selftest"))
	return b, nil
}

func goTool(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// steps are what a guest is to run. Each limit is longer than that of the tests
// themselves, which say where they hang.
func (b *binaries) steps() []guest.Step {
	const grace = 10 * time.Second
	var all []guest.Step
	for _, s := range b.suites {
		argv := []string{s.guestFile(), "-test.v", "-test.timeout=" + s.limit.String()}
		if run := cmp.Or(b.run, s.run); run != "" {
			argv = append(argv, "-test.run="+run)
		}
		all = append(all, guest.Step{Name: s.name(), Argv: argv, Dir: s.guestDir(), Limit: s.limit + grace})
	}
	if b.hasSelftest && b.run == "" {
		all = append(all, guest.Step{Name: selftestStep, Argv: []string{"/bin/qtune", "selftest"}, Dir: "/", Limit: selftestLimit})
	}
	return all
}
