// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/test/lab"
)

// installed are the files of a package and their modes; pages of the manual, of
// which there is one for each command, are one line.
var installed = []string{
	"-rw-r--r-- etc/default/qtune",
	"-rw-r--r-- lib/systemd/system/qtune.service",
	"-rw-r--r-- usr/share/doc/qtune/CHANGELOG.md.gz",
	"-rw-r--r-- usr/share/doc/qtune/changelog.gz",
	"-rw-r--r-- usr/share/doc/qtune/copyright",
	"-rw-r--r-- usr/share/lintian/overrides/qtune",
	"-rw-r--r-- usr/share/man/man1/*.1.gz",
	"-rwxr-xr-x usr/bin/qtune",
}

// filesOf lists the files below root as installed does.
func filesOf(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root+"/")
		if dir, file := filepath.Split(name); strings.HasSuffix(dir, "/man1/") {
			_, ending, _ := strings.Cut(file, ".")
			name = dir + "*." + ending
		}
		if line := fmt.Sprintf("%v %s", info.Mode(), name); !slices.Contains(all, line) {
			all = append(all, line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// TestPackage builds the package and looks at what it installs.
func TestPackage(t *testing.T) {
	run(t, "make", "-s", "-C", "../..", "all")
	builds := []string{t.TempDir(), t.TempDir()}
	for _, out := range builds {
		run(t, "sh", "-c", `cd ../.. && deploy/debian/build v1.2.3-rc1-4-gabcdef0 "$0"`, out)
	}
	const name = "qtune_1.2.3~rc1+4+gabcdef0_"
	found, err := filepath.Glob(filepath.Join(builds[0], name+"*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v: want one package, %s*.deb", found, err, name)
	}
	run(t, "cmp", found[0], filepath.Join(builds[1], filepath.Base(found[0]))) // the same bytes each time

	root := t.TempDir()
	run(t, "dpkg-deb", "-R", found[0], root)
	if conffiles, _ := os.ReadFile(filepath.Join(root, "DEBIAN/conffiles")); string(conffiles) != "/etc/default/qtune\n" {
		t.Errorf("conffiles = %q, want /etc/default/qtune alone", conffiles)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		run(t, "sh", "-n", filepath.Join(root, "DEBIAN", script))
	}
	if err := os.RemoveAll(filepath.Join(root, "DEBIAN")); err != nil {
		t.Fatal(err)
	}
	if got := filesOf(t, root); !slices.Equal(got, installed) {
		t.Errorf("the package installs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(installed, "\n"))
	}
	verifyUnit(t, root, "lib/systemd/system/qtune.service")
}

// verifyUnit has systemd read a unit below a root, beside the targets and the program
// that it names.
func verifyUnit(t *testing.T, root, unit string) {
	t.Helper()
	for _, target := range []string{"basic", "multi-user", "network", "shutdown", "sysinit"} {
		run(t, "install", "-D", "-m", "0644", "-t", filepath.Join(root, "lib/systemd/system"), "/lib/systemd/system/"+target+".target")
	}
	run(t, "install", "-D", "-t", filepath.Join(root, "bin"), "/bin/kill")
	if said := run(t, "systemd-analyze", "verify", "--man=no", "--root="+root, filepath.Join(root, unit)); said != "" {
		t.Errorf("systemd-analyze verify says: %s", said)
	}
}

// TestInstall installs into a root of its own, twice: the options that an
// administrator has set are kept.
func TestInstall(t *testing.T) {
	root := t.TempDir()
	run(t, "make", "-s", "-C", "../..", "all")
	install := func() { run(t, "make", "-s", "-C", "../..", "install", "DESTDIR="+root) }
	install()
	options := filepath.Join(root, "etc/default/qtune")
	if err := os.WriteFile(options, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	install()
	if got, _ := os.ReadFile(options); string(got) != "mine" {
		t.Errorf("the options are %q after a second install, want those that were set", got)
	}
	want := []string{
		"-rw-r--r--", "etc/default/qtune",
		"-rw-r--r--", "usr/local/lib/systemd/system/qtune.service",
		"-rw-r--r--", "usr/local/share/man/man1/*.1",
		"-rwxr-xr-x", "usr/local/bin/qtune",
	}
	if got := strings.Fields(strings.Join(filesOf(t, root), " ")); !slices.Equal(got, want) {
		t.Errorf("make install installs %q, want %q", got, want)
	}
	verifyUnit(t, root, "usr/local/lib/systemd/system/qtune.service")
}

// TestUnitsOfBothHalves has systemd read the tuner's unit, and the agent's with what
// makes it ask.
func TestUnitsOfBothHalves(t *testing.T) {
	root := t.TempDir()
	const units = "etc/systemd/system/"
	for from, to := range map[string]string{
		"qtune.service": units + "qtune.service", "qtune-tuner.service": units + "qtune-tuner.service", "enforce.conf": units + "qtune.service.d/enforce.conf",
	} {
		run(t, "install", "-D", "-m", "0644", "../../deploy/systemd/"+from, filepath.Join(root, to))
	}
	run(t, "install", "-D", lab.Binary(t), filepath.Join(root, "usr/bin/qtune"))
	verifyUnit(t, root, units+"qtune-tuner.service")
	verifyUnit(t, root, units+"qtune.service")
}
