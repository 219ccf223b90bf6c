// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An archive is a state of apt(8) of our own: other suites than this machine's, and
// nothing installed. The machine's apt lends only its mirrors and proxies.
type archive struct {
	dir string
	out progress
}

// fresh is how long a list of packages is taken for the newest.
const fresh = 12 * time.Hour

const aptConfig = `Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "%[1]s/state";
Dir::State::status "/dev/null";
Dir::Cache "%[1]s/cache";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
# A suite that is no longer cared for keeps its last date.
Acquire::Check-Valid-Until "false";
`

// openArchive makes the state of some suites in a folder and reads their lists of
// packages when it has none that are fresh.
func openArchive(ctx context.Context, out progress, dir string, names ...string) (archive, error) {
	a := archive{dir, out}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return a, err
		}
	}
	var sources strings.Builder
	for _, name := range names {
		fmt.Fprintf(&sources, "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", mirror(ctx, name), name)
	}
	updated := filepath.Join(dir, "updated")
	st, err := os.Stat(updated)
	if old, _ := os.ReadFile(filepath.Join(dir, "sources.list")); err == nil && string(old) == sources.String() && time.Since(st.ModTime()) < fresh {
		return a, nil
	}
	for name, text := range map[string]string{"sources.list": sources.String(), "apt.conf": fmt.Sprintf(aptConfig, dir)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return a, err
		}
	}
	if _, err := a.apt(ctx, "apt-get", "-qq", "update"); err != nil {
		if st == nil {
			return a, err
		}
		out.say("the lists of %s are those of %s: %v", strings.Join(names, ", "), st.ModTime().Format(time.DateTime), err)
		return a, nil
	}
	return a, os.WriteFile(updated, nil, 0o644)
}

// mirror returns where this machine has a suite's archive from, or where Debian
// has it.
func mirror(ctx context.Context, name string) string {
	archive := "debian"
	if strings.HasSuffix(name, "-security") {
		archive = "debian-security"
	}
	// An error means that this machine has no sources.
	b, _ := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)").Output()
	for line := range strings.Lines(string(b)) {
		if u, err := url.Parse(strings.TrimSpace(line)); err == nil && strings.Trim(u.Path, "/") == archive {
			return u.String()
		}
	}
	return "http://deb.debian.org/" + archive
}

// apt runs a program of apt's in this state and returns what it wrote.
func (a archive) apt(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append([]string{"-c", filepath.Join(a.dir, "apt.conf")}, args...)...)
	cmd.Dir = filepath.Join(a.dir, "cache/archives")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(b), err
}

// newest returns the newest package whose name fits the pattern.
func (a archive) newest(ctx context.Context, pattern string) (string, error) {
	prefix, _, _ := strings.Cut(pattern, "*")
	names, err := a.apt(ctx, "apt-cache", "pkgnames", prefix)
	if err != nil {
		return "", err
	}
	found := newest(strings.Fields(names), pattern)
	if found == "" {
		return "", fmt.Errorf("no package %s in %s", pattern, filepath.Base(a.dir))
	}
	return found, nil
}

// parts returns a kernel's package and those others that its files are in: from
// Linux 7 on, the image and the modules have packages of their own.
func (a archive) parts(ctx context.Context, image string) ([]string, error) {
	text, err := a.apt(ctx, "apt-cache", "depends", image)
	if err != nil {
		return nil, err
	}
	all := []string{image}
	version := strings.TrimPrefix(image, "linux-image-")
	for line := range strings.Lines(text) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "Depends: ")
		if strings.HasPrefix(name, "linux-") && strings.HasSuffix(name, "-"+version) {
			all = append(all, name)
		}
	}
	return all, nil
}

// unpack downloads by an apt-get command and unpacks what came into a folder,
// which is there afterwards only if all went well; what is beside it is older and
// is removed. It says how much it was.
func (a archive) unpack(ctx context.Context, into string, command ...string) error {
	began := time.Now()
	archives := filepath.Join(a.dir, "cache/archives")
	// What an earlier run that was broken off has left.
	if err := errors.Join(os.RemoveAll(archives), os.MkdirAll(filepath.Join(archives, "partial"), 0o755)); err != nil {
		return err
	}
	if _, err := a.apt(ctx, "apt-get", append([]string{"-qq", "-y"}, command...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	unfinished := into + ".unfinished"
	if err := errors.Join(os.RemoveAll(filepath.Dir(into)), os.MkdirAll(unfinished, 0o755)); err != nil {
		return err
	}
	var size int64
	for _, deb := range debs {
		if st, err := os.Stat(deb); err == nil {
			size += st.Size()
		}
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, unfinished).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb -x %s: %w: %s", deb, err, out)
		}
		if err := os.Remove(deb); err != nil {
			return err
		}
	}
	a.out.say("%s: %d packages, %d MB, %.0f s", filepath.Base(into), len(debs), size>>20, time.Since(began).Seconds())
	return os.Rename(unfinished, into)
}

// fetchKernel returns the folder that holds a kernel and its modules, unpacked.
func fetchKernel(ctx context.Context, out progress, cache string, k kernel) (string, error) {
	a, err := openArchive(ctx, out, filepath.Join(cache, "apt", k.suite), k.suite)
	if err != nil {
		return "", err
	}
	image, err := a.newest(ctx, k.pattern)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "kernels", k.name, image)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	packages, err := a.parts(ctx, image)
	if err != nil {
		return "", err
	}
	return dir, a.unpack(ctx, dir, slices.Concat([]string{"download"}, packages)...)
}
