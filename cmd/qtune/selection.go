// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/qtune/qtune/host"
)

// A selection says which listeners are shown, and in which order: the flags that
// inspect and top share.
type selection struct {
	Netns    string
	Filter   filter
	Problems bool
	Sort     string
}

// bind adds the flags; order is what --sort is by default.
func (s *selection) bind(f *pflag.FlagSet, order string) {
	f.StringVar(&s.Netns, "netns", "all", "host, all, or one by its INODE number, its NAME or a PATH")
	f.IntVar(&s.Filter.PID, "pid", 0, "only listeners in the namespace of this process that it holds")
	f.Uint16Var(&s.Filter.Port, "port", 0, "only listeners on this port")
	f.StringVar(&s.Filter.Container, "container", "", "only listeners of this container: its name or the start of its id")
	f.StringVar(&s.Filter.Pod, "pod", "", "only listeners of this pod: NAMESPACE/NAME or its uid")
	f.StringVar(&s.Sort, "sort", order, "netns, loss, accept, syn, discards, port or owner")
	f.BoolVar(&s.Problems, "problems", false, "only what is critical or a warning, and the listeners concerned")
}

// noZero refuses a pid and a port of 0, which would else be nothing asked for.
func noZero(f *pflag.FlagSet) error {
	for _, name := range []string{"pid", "port"} {
		if flag := f.Lookup(name); flag.Changed && flag.Value.String() == "0" {
			return usageError("--%s 0: there is none", name)
		}
	}
	return nil
}

// search checks the flags and turns them into what to look for.
func (s *selection) search(global *globalOptions, deep bool) (host.Search, error) {
	want := host.Search{Deep: deep, PID: s.Filter.PID}
	if _, ok := listenerOrders[s.Sort]; !ok {
		return want, usageError("--sort %s: want netns, loss, accept, syn, discards, port or owner", s.Sort)
	}
	switch s.Netns {
	case "all":
	case "host":
		want.Host = true
	case "":
		return want, usageError("--netns: want host, all, an inode number, a path or a name")
	default:
		inode, err := strconv.ParseUint(s.Netns, 10, 64)
		switch {
		case err == nil && inode == 0:
			return want, usageError("--netns 0: there is none")
		case err == nil:
			want.Inode = inode
		case strings.Contains(s.Netns, "/"):
			want.Path = s.Netns
		default:
			want.Name = s.Netns
		}
	}
	if ns, name, ok := strings.Cut(s.Filter.Pod, "/"); ok && (ns == "" || name == "") {
		return want, usageError("--pod %s: want NAMESPACE/NAME or a uid", s.Filter.Pod)
	}
	if global.Host != "" && (deep || global.Rootfs != "/") {
		return want, usageError("--host reads a recording: --deep and --rootfs have no use with it")
	}
	if want.PID < 0 {
		return want, usageError("--pid %d: there is none", want.PID)
	}
	if want.PID != 0 && s.Netns != "all" {
		return want, usageError("--pid and --netns exclude each other: a process says which namespace")
	}
	return want, nil
}
