// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// TestKernelDiscovery holds namespaces in every way there is, each by one way
// only, and looks for them with and without --deep.
func TestKernelDiscovery(t *testing.T) {
	lab.NeedRoot(t)
	socket := lab.Socket{Addr: "0.0.0.0", Port: 8080, Backlog: 7}
	// hold makes a namespace that only what it is named for holds, and
	// returns its number.
	tests := []struct {
		name     string
		hold     func(*testing.T) uint64
		deep     bool   // only --deep must find it
		sentence string // how the coverage tells without --deep that it may be missing
		listener bool   // it has the listener
		hidden   bool   // before Linux 6.6 it does not show somaxconn, which must be said
		named    string
	}{
		{
			name: "a process", listener: true,
			hold: func(t *testing.T) uint64 {
				return inodeOf(t, lab.Start(t, lab.Process{NewNet: true, Listen: []lab.Socket{socket}}).PID)
			},
		},
		{
			name: "a process in a user namespace of its own", listener: true, hidden: true,
			hold: func(t *testing.T) uint64 {
				return inodeOf(t, lab.Start(t, lab.Process{NewNet: true, NewUser: true, Listen: []lab.Socket{socket}}).PID)
			},
		},
		{
			name: "a mount, as ip-netns makes it", named: "blue",
			hold: func(t *testing.T) uint64 {
				n := lab.NewNamespace(t)
				n.Mount(filepath.Join(t.TempDir(), "blue"))
				n.Release()
				return n.Inode
			},
		},
		{
			name: "a mount that only one process sees, whose name may mislead", listener: true,
			hold: func(t *testing.T) uint64 {
				dir := t.TempDir()
				c := lab.Start(t, lab.Process{NewMount: true, Mounts: []lab.Mount{{Dir: dir, Count: 1, Listen: []lab.Socket{socket}}}})
				return inodeOfFile(t, "/proc/"+strconv.Itoa(c.PID)+"/root"+filepath.Join(dir, "0"))
			},
		},
		{
			name: "an open descriptor", deep: true, sentence: "only a descriptor",
			hold: func(t *testing.T) uint64 { return lab.NewNamespace(t).Inode },
		},
		{
			name: "a single thread", deep: true, sentence: "single thread",
			hold: func(t *testing.T) uint64 {
				n := lab.NewNamespace(t)
				n.Occupy()
				n.Release()
				return n.Inode
			},
		},
		{
			name: "a socket", deep: true, sentence: "only a socket", listener: true,
			hold: func(t *testing.T) uint64 {
				n := lab.NewNamespace(t)
				n.Listen(socket)
				n.Release()
				return n.Inode
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inode := tt.hold(t)
			for _, deep := range []bool{false, true} {
				args := []string{"--for", "0"}
				if deep {
					args = append(args, "--deep")
				}
				in := lab.Inspect(t, args...)
				n := byInode(in, inode)
				switch {
				case n == nil && (deep || !tt.deep):
					t.Errorf("net:[%d] was not found (--deep: %v); not searched: %q", inode, deep, in.Coverage.NotSearched)
					continue
				case n == nil:
					if !says(in, tt.sentence) {
						t.Errorf("not searched = %q, want %q to be told", in.Coverage.NotSearched, tt.sentence)
					}
					continue
				}
				_, shown := n.Sysctls["net.core.somaxconn"]
				if hidden := tt.hidden && !shown; hidden != (n.Error != "") || hidden == shown || n.Host {
					t.Errorf("namespace = %+v, want all of it read, and not to be the host's", n)
				}
				if tt.named != "" && n.Name != tt.named {
					t.Errorf("name = %q, want %q", n.Name, tt.named)
				}
				var got []string
				for _, l := range in.Listeners {
					if l.Netns == inode {
						got = append(got, l.Address+" "+strconv.Itoa(int(l.Port)))
						if l.Owner == nil || l.Owner.PID == 0 {
							t.Errorf("owner = %+v (--deep: %v), want the process that holds it", l.Owner, deep)
						}
					}
				}
				var want []string
				if tt.listener {
					want = []string{"0.0.0.0 8080"}
				}
				if !slices.Equal(got, want) {
					t.Errorf("listeners = %q, want %q", got, want)
				}
			}
		})
	}
}

// TestKernelSearch asks for one namespace in each way the command line knows.
func TestKernelSearch(t *testing.T) {
	lab.NeedRoot(t)
	c := lab.Start(t, lab.Process{NewNet: true, Listen: []lab.Socket{{Addr: "::", Port: 8080, Backlog: 7}}})
	inode := inodeOf(t, c.PID)
	pid := strconv.Itoa(c.PID)
	for name, args := range map[string][]string{
		"by path":    {"--netns", "/proc/" + pid + "/ns/net"},
		"by number":  {"--netns", strconv.FormatUint(inode, 10)},
		"by process": {"--pid", pid},
	} {
		t.Run(name, func(t *testing.T) {
			in := lab.Inspect(t, append(args, "--for", "0")...)
			if len(in.Namespaces) != 1 || in.Namespaces[0].Inode != inode || in.Namespaces[0].PID != c.PID {
				t.Fatalf("namespaces = %+v, want net:[%d] of process %d", in.Namespaces, inode, c.PID)
			}
			if len(in.Listeners) != 1 || in.Listeners[0].Inode != c.Listeners[0].Inode || in.Listeners[0].Owner.PID != c.PID {
				t.Errorf("listeners = %+v, want the one of process %d", in.Listeners, c.PID)
			}
		})
	}
	t.Run("a descriptor's path says nothing of a process inside", func(t *testing.T) {
		n := lab.NewNamespace(t)
		in := lab.Inspect(t, "--netns", n.Path(), "--for", "0")
		if len(in.Namespaces) != 1 || in.Namespaces[0].PID != 0 {
			t.Errorf("namespaces = %+v, want one without a process: %d is elsewhere", in.Namespaces, os.Getpid())
		}
	})
}

func byInode(in *inspection.Inspection, inode uint64) *inspection.Namespace {
	for i := range in.Namespaces {
		if in.Namespaces[i].Inode == inode {
			return &in.Namespaces[i]
		}
	}
	return nil
}

// says reports whether a sentence of the coverage holds this text.
func says(in *inspection.Inspection, text string) bool {
	return slices.ContainsFunc(in.Coverage.NotSearched, func(s string) bool { return strings.Contains(s, text) })
}

// inodeOf returns the number of a process's network namespace.
func inodeOf(t *testing.T, pid int) uint64 {
	t.Helper()
	return inodeOfFile(t, "/proc/"+strconv.Itoa(pid)+"/ns/net")
}

func inodeOfFile(t *testing.T, path string) uint64 {
	t.Helper()
	inode, err := lab.InodeOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return inode
}
