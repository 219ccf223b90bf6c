// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sysctl

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/qtune/qtune/tcpq"
)

// A tree is files by path; "->TARGET" is a link, "DIR" a folder.
type tree map[string]string

// trees are what hosts may have, and what becomes of net.core.somaxconn at boot;
// "" when it stays what it was, "?" where we make no use of what procps does.
// TestKernelBoot asks the two programs themselves.
var trees = []struct {
	name    string
	files   tree
	systemd string
	procps  string
}{
	{"no file at all", tree{}, "", ""},
	{"/etc hides a file of the same name", tree{
		"etc/sysctl.d/60-a.conf": "net.core.somaxconn=1001\n", "run/sysctl.d/60-a.conf": "net.core.somaxconn=1002\n",
		"usr/local/lib/sysctl.d/60-a.conf": "net.core.somaxconn=1003\n", "usr/lib/sysctl.d/60-a.conf": "net.core.somaxconn=1004\n",
	}, "1001", "1001"},
	{"/run hides those below /usr", tree{
		"run/sysctl.d/60-a.conf": "net.core.somaxconn=1002\n", "usr/lib/sysctl.d/60-a.conf": "net.core.somaxconn=1004\n",
	}, "1002", "1002"},
	{"/usr/local/lib hides /usr/lib", tree{
		"usr/local/lib/sysctl.d/60-a.conf": "net.core.somaxconn=1003\n", "usr/lib/sysctl.d/60-a.conf": "net.core.somaxconn=1004\n",
	}, "1003", "1003"},
	{"the last name counts, in whatever folder", tree{
		"usr/lib/sysctl.d/70-z.conf": "net.core.somaxconn=1070\n", "etc/sysctl.d/60-a.conf": "net.core.somaxconn=1060\n",
	}, "1070", "1070"},
	{"names are sorted by their bytes", tree{
		"etc/sysctl.d/B.conf": "net.core.somaxconn=1002\n", "etc/sysctl.d/a.conf": "net.core.somaxconn=1001\n", "etc/sysctl.d/9.conf": "net.core.somaxconn=1009\n",
	}, "1001", "1001"},
	{"a link to /dev/null hides", tree{
		"etc/sysctl.d/70-z.conf": "->/dev/null", "usr/lib/sysctl.d/70-z.conf": "net.core.somaxconn=1070\n", "etc/sysctl.d/60-a.conf": "net.core.somaxconn=1060\n",
	}, "1060", "1060"},
	{"an empty file hides", tree{
		"etc/sysctl.d/70-z.conf": "", "usr/lib/sysctl.d/70-z.conf": "net.core.somaxconn=1070\n", "etc/sysctl.d/60-a.conf": "net.core.somaxconn=1060\n",
	}, "1060", "1060"},
	{"a link to nowhere hides", tree{"etc/sysctl.d/70-z.conf": "->nowhere", "usr/lib/sysctl.d/70-z.conf": "net.core.somaxconn=1070\n"}, "", ""},
	{"a folder hides", tree{"etc/sysctl.d/70-z.conf": "DIR", "usr/lib/sysctl.d/70-z.conf": "net.core.somaxconn=1070\n"}, "", ""},
	{"a file of another ending is not read", tree{"etc/sysctl.d/70-z": "net.core.somaxconn=1001\n", "etc/sysctl.d/a.conf~": "net.core.somaxconn=1001\n"}, "", ""},
	{"a hidden file is not read by systemd", tree{"etc/sysctl.d/.a.conf": "net.core.somaxconn=1001\n"}, "", "?"},
	{"procps reads sysctl.conf last", tree{
		"etc/sysctl.conf": "net.core.somaxconn=1111\n", "etc/sysctl.d/99-z.conf": "net.core.somaxconn=1060\n",
	}, "1060", "1111"},
	{"systemd reads sysctl.conf by a link", tree{
		"etc/sysctl.conf": "net.core.somaxconn=1111\n", "etc/sysctl.d/99-sysctl.conf": "->../sysctl.conf", "etc/sysctl.d/60-a.conf": "net.core.somaxconn=1060\n",
	}, "1111", "1111"},
	{"the last line of a file counts", tree{"etc/sysctl.d/a.conf": "net.core.somaxconn=1001\nnet.core.somaxconn=1002\n"}, "1002", "1002"},
	{"slashes and dots are the same", tree{"etc/sysctl.d/a.conf": "net.core.somaxconn=1001\n net/core/somaxconn = 1002 \n"}, "1002", "1002"},
	{"a slash in front is nothing", tree{"etc/sysctl.d/a.conf": "/net//core/somaxconn=1001"}, "1001", "?"},
	{"dots after a slash are dots", tree{"etc/sysctl.d/a.conf": "net/core.somaxconn=1001\n"}, "", ""},
	{"slashes after a dot are dots", tree{"etc/sysctl.d/a.conf": "net.core/somaxconn=1001\n"}, "", ""},
	{"a dash lets it fail", tree{"etc/sysctl.d/a.conf": "-net.core.somaxconn = 1001\n"}, "1001", "1001"},
	{"comments", tree{"etc/sysctl.d/a.conf": "# net.core.somaxconn=1001\n  ; net.core.somaxconn=1002\n\n"}, "", ""},
	{"a comment does not continue", tree{"etc/sysctl.d/a.conf": "# comment \\\nnet.core.somaxconn=1001\n"}, "1001", "1001"},
	{"without = it is nothing", tree{"etc/sysctl.d/a.conf": "net.core.somaxconn 1001\nnet.core.somaxconn\n"}, "", ""},
	{"a carriage return is nothing", tree{"etc/sysctl.d/a.conf": "net.core.somaxconn=1001\r\n"}, "1001", "1001"},
	{"a glob", tree{"etc/sysctl.d/a.conf": "net.*.somax*=1001\n"}, "1001", "1001"},
	{"a glob of a question mark and a class", tree{"etc/sysctl.d/a.conf": "net.core.somax[!x]on?=1001\n"}, "1001", "1001"},
	{"a star does not cross a dot", tree{"etc/sysctl.d/a.conf": "net*somaxconn=1001\n*=1002\n"}, "", ""},
	{"the last of two globs", tree{"etc/sysctl.d/a.conf": "net.*.somaxconn=1001\n", "etc/sysctl.d/b.conf": "net.core.som*=1002\n"}, "1002", "1002"},
	{"the last of the same glob", tree{"etc/sysctl.d/a.conf": "net.core.som*=1001\nnet.*.somaxconn=1002\nnet.core.som*=1003\n"}, "1003", "1003"},
	{"a name before a glob", tree{"etc/sysctl.d/a.conf": "net.core.somaxconn=1001\n", "etc/sysctl.d/b.conf": "net.core.som*=1002\n"}, "1001", "1001"},
	{"a key that is excluded from globs before", tree{"etc/sysctl.d/a.conf": "-net.core.somaxconn\nnet.core.som*=1001\n"}, "", ""},
	{"a key that is excluded from globs after", tree{"etc/sysctl.d/a.conf": "net.core.som*=1001\n-net.core.somaxconn\n"}, "", ""},
	{"a glob excludes nothing", tree{"etc/sysctl.d/a.conf": "net.core.som*=1001\n-net.core.soma*\n"}, "1001", "1001"},
	{"a key that is named after it was excluded", tree{"etc/sysctl.d/a.conf": "-net.core.somaxconn\nnet.core.somaxconn=1001\n"}, "1001", "1001"},
	{"a key that is excluded after it was named", tree{"etc/sysctl.d/a.conf": "net.core.somaxconn=1001\n-net.core.somaxconn\n"}, "", "?"},
	{"a later file wins over 60-qtune.conf", tree{
		"etc/sysctl.d/60-qtune.conf": "net.core.somaxconn=8192\n", "etc/sysctl.d/61-a.conf": "net.core.somaxconn=1061\n",
	}, "1061", "1061"},
	{"an earlier file and a later glob do not", tree{
		"etc/sysctl.d/60-qtune.conf": "net.core.somaxconn=8192\n", "etc/sysctl.d/60-a.conf": "net.core.somaxconn=1060\n", "etc/sysctl.d/99-z.conf": "net.core.som*=1099\n",
	}, "8192", "8192"},
	{"a later exclusion does, in systemd", tree{
		"etc/sysctl.d/60-qtune.conf": "net.core.somaxconn=8192\n", "etc/sysctl.d/61-a.conf": "-net.core.somaxconn\n",
	}, "", "?"},
}

// make writes the tree below a folder of its own.
func (files tree) make(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range bootDirs[:4] {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		name = filepath.Join(root, name)
		var err error
		if target, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(target, name)
		} else if text == "DIR" {
			err = os.Mkdir(name, 0o755)
		} else {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestWho(t *testing.T) {
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			b, err := Boot(tt.files.make(t))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, s := range b.Who(tcpq.Somaxconn.String()) {
				if !s.ProcpsOnly {
					got = s.Value
				}
			}
			if got != tt.systemd {
				t.Errorf("Who ends with %q, want %q", got, tt.systemd)
			}
		})
	}
}

func TestWhoInFull(t *testing.T) {
	root := tree{
		"etc/sysctl.conf":             "\n-net.core.somaxconn=3 # three\nnet.core.*=9\n",
		"etc/sysctl.d/99-sysctl.conf": "->/etc/sysctl.conf", // not the one of this host
		"usr/lib/sysctl.d/10-a.conf":  "net.core.somaxconn=1\n",
		"etc/sysctl.d/60-qtune.conf":  "net.core.somaxconn=60\n",
		"run/sysctl.d/70-b.conf":      "# two\n\nnet/core/somaxconn = 2\nnet.core.som* = 4\n",
	}.make(t)
	b, err := Boot(root)
	if err != nil {
		t.Fatal(err)
	}
	a := Setting{File: "/usr/lib/sysctl.d/10-a.conf", Line: 1, Value: "1"}
	ours := Setting{File: "/etc/sysctl.d/60-qtune.conf", Line: 1, Value: "60"}
	two := Setting{File: "/run/sysctl.d/70-b.conf", Line: 3, Value: "2"}
	linked := Setting{File: "/etc/sysctl.d/99-sysctl.conf", Line: 2, Value: "3 # three"}
	last := Setting{File: "/etc/sysctl.conf", Line: 2, Value: "3 # three", ProcpsOnly: true}
	if got, want := b.Who("net.core.somaxconn"), []Setting{a, ours, two, linked, last}; !reflect.DeepEqual(got, want) {
		t.Errorf("Who = %+v, want %+v", got, want)
	}
	if got, want := b.Shadows(PersistName, "net.core.somaxconn"), []Setting{two, linked, last}; !reflect.DeepEqual(got, want) {
		t.Errorf("Shadows = %+v, want %+v", got, want)
	}
	if got := b.Shadows("99-z.conf", "net.core.somaxconn"); !reflect.DeepEqual(got, []Setting{last}) {
		t.Errorf("Shadows of the last name = %+v, want %+v", got, last)
	}
	if got := b.Who("net.ipv4.tcp_syncookies"); got != nil {
		t.Errorf("Who of a key that nobody sets = %+v", got)
	}
	if got := b.Who("net.core.rmem_max"); len(got) != 2 || got[0].Value != "9" || got[1].ProcpsOnly != true {
		t.Errorf("Who of a key that a glob sets = %+v", got)
	}
}

func TestWhoOfAnExcludedKey(t *testing.T) {
	b, err := Boot(tree{
		"etc/sysctl.d/10-a.conf": "net.core.som*=1\nnet.core.somaxconn=2\n", "etc/sysctl.d/70-b.conf": "-net.core.somaxconn\n",
	}.make(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Who("net.core.somaxconn"); got != nil {
		t.Errorf("Who = %+v, want nobody", got)
	}
	want := []Setting{{File: "/etc/sysctl.d/70-b.conf", Line: 1}}
	if got := b.Shadows(PersistName, "net.core.somaxconn"); !reflect.DeepEqual(got, want) {
		t.Errorf("Shadows = %+v, want the exclusion, %+v", got, want)
	}
}

func TestBootOfNothing(t *testing.T) {
	b, err := Boot(t.TempDir())
	if err != nil || b.Who("net.core.somaxconn") != nil {
		t.Errorf("Boot of an empty host = %+v, %v, want nothing", b, err)
	}
	if _, err := Boot(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("Boot of no host = nil, want an error")
	}
}

func TestBootOfThisHost(t *testing.T) {
	direct, err := Boot("/")
	within, err2 := Boot("/proc/self/root") // the same, by openat2
	if fmt.Sprint(err) != fmt.Sprint(err2) || !reflect.DeepEqual(direct, within) {
		t.Errorf("Boot of / = %+v, %v, of /proc/self/root = %+v, %v, want the same", direct, err, within, err2)
	}
}

func TestBootReadsWhatItCan(t *testing.T) {
	b, err := Boot(tree{
		"etc/sysctl.d/10-a.conf":   "net.core.somaxconn=1\n",
		"etc/sysctl.d/20-big.conf": "#" + strings.Repeat("x", 1<<20),
	}.make(t))
	if err == nil || err.Error() != "read /etc/sysctl.d/20-big.conf: larger than 1048576 bytes" {
		t.Errorf("Boot = %v, want the file that is too large", err)
	}
	if got := b.Who("net.core.somaxconn"); len(got) != 1 {
		t.Errorf("Who = %+v, want the other file", got)
	}
}

// TestKernelBoot asks systemd-sysctl and sysctl --system what they make of the
// trees, in namespaces of their own.
func TestKernelBoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: it mounts the files where the programs look for them")
	}
	programs := []struct {
		name, command string
		want          func(i int) string
	}{
		{"systemd", "/usr/lib/systemd/systemd-sysctl", func(i int) string { return trees[i].systemd }},
		{"procps", "sysctl --system", func(i int) string { return trees[i].procps }},
	}
	const script = `set -e
old=$(cat /proc/sys/net/core/somaxconn)
mount -t tmpfs tmpfs /usr/local/lib
mount -t tmpfs tmpfs /run
mkdir /usr/local/lib/sysctl.d /run/sysctl.d
for dir in etc run usr/local/lib usr/lib; do mount --bind "$1/$dir/sysctl.d" "/$dir/sysctl.d"; done
[ -e "$1/etc/sysctl.conf" ] || : >"$1/etc/sysctl.conf"
mount --bind "$1/etc/sysctl.conf" /etc/sysctl.conf
$2 >/dev/null 2>&1 || :
new=$(cat /proc/sys/net/core/somaxconn)
[ "$new" = "$old" ] || printf %s "$new"`
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			for _, tool := range []string{"unshare", "mount", strings.Fields(p.command)[0]} {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skip(err)
				}
			}
			for _, name := range []string{"/etc/sysctl.d", "/etc/sysctl.conf", "/usr/lib/sysctl.d", "/usr/local/lib"} {
				if _, err := os.Stat(name); err != nil {
					t.Skipf("nothing to mount over: %v", err)
				}
			}
			for i, tt := range trees {
				if p.want(i) == "?" {
					continue
				}
				root := tt.files.make(t)
				got, err := exec.CommandContext(t.Context(), "unshare", "-mn", "sh", "-c", script, "sh", root, p.command).CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v: %s", tt.name, err, got)
				}
				if string(got) != p.want(i) {
					t.Errorf("%s: somaxconn became %q, want %q", tt.name, got, p.want(i))
				}
			}
		})
	}
}
