// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"fmt"
	"slices"

	"github.com/qtune/qtune/host"
)

// A finding is the namespace of a scope, or why there is none.
type finding struct {
	ns  *host.Namespace
	err error
}

// find finds the namespace of each scope, as it can be entered now.
func (k *liveKernel) find(ctx context.Context, all []Scope) ([]finding, error) {
	findings := make([]finding, len(all))
	var rest []int
	for i := range all {
		if len(all) <= fewScopes {
			findings[i].ns = k.byProcess(ctx, &all[i])
		}
		if findings[i].ns == nil {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 {
		return findings, nil
	}
	return findings, k.findRest(ctx, all, rest, findings)
}

// fewScopes is for how many namespaces a process of each is asked before all are
// listed: that takes 39 us each, and the list 10 us for each process of the host
// [measured on 6.18, busy].
const fewScopes = 16

// byProcess returns the namespace of a process that was in the scope, if that is of
// the same number; whether it is the same one its cookie tells at the visit.
func (k *liveKernel) byProcess(ctx context.Context, s *Scope) *host.Namespace {
	cookie, err := s.cookie()
	if err != nil || cookie == 0 || s.PID == 0 || s.Host {
		return nil
	}
	found, err := k.live.Namespaces(ctx, host.Search{PID: s.PID})
	if err != nil {
		return nil
	}
	ns := found.Namespaces[0]
	if ns.Inode != s.Netns || ns.Host {
		return nil
	}
	ns.Cookie = cookie
	return ns
}

// findRest searches everywhere. No list of processes is of one instant: what was not
// found is searched for again before anybody believes that it is gone.
func (k *liveKernel) findRest(ctx context.Context, all []Scope, rest []int, findings []finding) error {
	search := host.Search{Host: !slices.ContainsFunc(rest, func(i int) bool { return !all[i].Host })}
	found, byInode, err := k.search(ctx, search)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(rest), func(i int) bool { return byInode[all[i].Netns] != nil })
	if !search.Host && len(missing) > 0 {
		// What never had a process or a mount is held by a descriptor.
		search.Deep = slices.ContainsFunc(missing, func(i int) bool { return all[i].PID == 0 && all[i].Name == "" })
		if found, byInode, err = k.search(ctx, search); err != nil {
			return err
		}
	}
	for _, i := range rest {
		ns := byInode[all[i].Netns]
		if ns == nil {
			findings[i].err = notFound(&all[i], &found)
			continue
		}
		one := *ns // its cookie is that of the scope, whoever else has this number
		findings[i].ns = &one
		findings[i].err = k.identify(&all[i], &one, &found)
	}
	return nil
}

func (k *liveKernel) search(ctx context.Context, s host.Search) (host.Found, map[uint64]*host.Namespace, error) {
	found, err := k.live.Namespaces(ctx, s)
	if err != nil {
		return found, nil, fmt.Errorf("find network namespaces: %w", err)
	}
	all := make(map[uint64]*host.Namespace, len(found.Namespaces))
	for _, ns := range found.Namespaces {
		all[ns.Inode] = ns
	}
	return found, all, nil
}

// notFound says whether a namespace is gone, or only not to be seen from here: who
// recovers may see less than who applied.
func notFound(s *Scope, found *host.Found) error {
	c := &found.Coverage
	var hidden bool
	switch {
	case c.Listns: // the kernel itself named them all
	case s.Name != "": // it had a mount, which would be found
		hidden = c.MountsDenied > 0
	case c.OwnPIDNamespace || c.ProcessesHidden:
		hidden = true
	case s.PID != 0: // it had a process
		hidden = slices.Contains(found.Processes, host.Process{PID: s.PID, Denied: true})
	default: // it had only descriptors
		hidden = c.DescriptorsDenied > 0
	}
	if hidden {
		return fmt.Errorf("net:[%d] was not found, and not all may be looked into from here: %w", s.Netns, host.ErrPermission)
	}
	return fmt.Errorf("net:[%d] is %w", s.Netns, host.ErrGone)
}

// identify makes sure that a namespace is that of the scope and not its successor
// under the same number: at the visit by the cookie, else here by the witness.
func (k *liveKernel) identify(s *Scope, ns *host.Namespace, found *host.Found) error {
	if s.Pod != "" && !s.Host && ns.Host {
		return fmt.Errorf("net:[%d] is the host's now, not that of pod %s: %w", s.Netns, s.Pod, host.ErrChanged)
	}
	cookie, err := s.cookie()
	if err != nil {
		return err
	}
	if cookie != 0 {
		ns.Cookie = cookie
		return nil
	}
	if s.Host && ns.Host {
		return nil // it is as old as the boot
	}
	return k.testify(s, found)
}
