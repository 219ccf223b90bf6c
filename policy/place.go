// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Place is a network namespace and who lives in it, as the patterns of a
// policy see it:
//
//	host                    the host's namespace, and nothing else matches that
//	pod:NAMESPACE/NAME      a pod's
//	container:NAME          a container's
//	NAME                    one with this name in /run/netns
//
// NAMESPACE and NAME may be globs as of path.Match. What is not known is empty,
// and no pattern matches it.
type Place struct {
	Host      bool
	Name      string // of the network namespace
	Pod       string // NAMESPACE/NAME
	Container string

	// Unnamed says that a pod or container lives here whose name is not known.
	// Every exclusion of pods or containers may mean it, and so does.
	Unnamed bool
}

// matches reports whether the pattern, which checkPattern let pass, means here.
func (here *Place) matches(pattern string) bool {
	name := here.Name
	if pattern == ScopeHost || here.Host {
		return pattern == ScopeHost && here.Host
	}
	if glob, ok := strings.CutPrefix(pattern, "pod:"); ok {
		name, pattern = here.Pod, glob
	} else if glob, ok := strings.CutPrefix(pattern, "container:"); ok {
		name, pattern = here.Container, glob
	}
	ok, _ := path.Match(pattern, name)
	return ok && name != ""
}

func (here *Place) matchesAny(patterns []string) bool {
	return slices.ContainsFunc(patterns, here.matches)
}

// namesTenant reports whether a pattern means who lives in a namespace.
func namesTenant(pattern string) bool {
	return strings.HasPrefix(pattern, "pod:") || strings.HasPrefix(pattern, "container:")
}

// checkPattern says what is wrong with a pattern, "" for nothing.
func checkPattern(pattern string) string {
	glob, pod := strings.CutPrefix(pattern, "pod:")
	if !pod {
		glob = strings.TrimPrefix(pattern, "container:")
	}
	_, err := path.Match(glob, "")
	switch {
	case glob == "" || glob == "/":
		return "is empty: want host, a namespace's name, pod:NAMESPACE/NAME or container:NAME"
	case err != nil:
		return "is no glob: a bracket is not closed, or a backslash ends it"
	case pod && strings.Count(glob, "/") != 1:
		return "is no pod: want pod:NAMESPACE/NAME, with one slash; each may be *"
	case !pod && strings.Contains(glob, "/"):
		return "has a slash, and no such name has one: pods are pod:NAMESPACE/NAME"
	}
	return ""
}

// Covers reports whether the policy lets anything in this namespace be changed,
// and why when it does not.
func (p *Policy) Covers(here Place) (ok bool, why string) {
	scope := ScopePod
	if here.Host {
		scope = ScopeHost
	}
	switch {
	case !slices.Contains(p.Scopes, scope):
		return false, "spec.scopes has no " + scope
	case here.matchesAny(p.Exclude.Namespaces):
		return false, "spec.exclude.namespaces names it"
	case here.Unnamed && !here.Host && slices.ContainsFunc(p.Exclude.Namespaces, namesTenant):
		return false, "spec.exclude.namespaces may name it: the name of its pod or container is not known"
	case len(p.Namespaces) > 0 && !here.matchesAny(p.Namespaces):
		return false, "spec.namespaces does not name it"
	}
	return true, ""
}

// MayResize reports whether the policy lets the limit of a running program's
// listener in this namespace be changed, and why when it does not. Command is
// the program's, as in /proc/PID/comm.
func (p *Policy) MayResize(here Place, command string) (ok bool, why string) {
	if ok, why := p.Covers(here); !ok {
		return false, why
	}
	if p.Excluded(command) {
		return false, fmt.Sprintf("%q is excluded", command)
	}
	if !here.matchesAny(p.LiveResize.Namespaces) {
		return false, "spec.liveResize.namespaces does not name it"
	}
	return true, ""
}

// AlwaysExcluded returns the programs that no policy includes: without them the
// host cannot be reached or runs no containers. haproxy stops a listener by
// shutdown(2) while it reloads, and listen(2) would start it again.
func AlwaysExcluded() []string {
	return []string{
		"containerd", "crio", "dockerd", "etcd", "haproxy", "kube-apiserver", "kubelet", "sshd", "systemd",
	}
}

// commLen is how much of a program's name the kernel keeps: TASK_COMM_LEN less
// the byte that ends it.
const commLen = 15

// Excluded reports whether the program, named as in /proc/PID/comm, is left alone:
// the loop does not tune for it, and its listeners are not resized.
func (p *Policy) Excluded(command string) bool {
	same := func(name string) bool { return name[:min(len(name), commLen)] == command[:min(len(command), commLen)] }
	return slices.ContainsFunc(AlwaysExcluded(), same) || slices.ContainsFunc(p.Exclude.Commands, same)
}
