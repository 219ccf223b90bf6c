// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"fmt"
	"path"
	"slices"

	"github.com/qtune/qtune/sysctl"
	"github.com/qtune/qtune/tcpq"
)

// BootSetters returns who sets a key of the host's namespace at boot beside qtune,
// for the AtBoot of a Planner.
func BootSetters(b *sysctl.BootFiles) func(tcpq.Sysctl) []Setter {
	return func(key tcpq.Sysctl) []Setter {
		var all []Setter
		wins := b.Shadows(sysctl.PersistName, key.String())
		for _, s := range b.Who(key.String()) {
			if path.Base(s.File) == sysctl.PersistName {
				continue
			}
			where := fmt.Sprintf("%s:%d", s.File, s.Line)
			if s.ProcpsOnly {
				where += " (read by sysctl --system, not by systemd)"
			}
			all = append(all, Setter{Where: where, Value: s.Value, Wins: slices.Contains(wins, s)})
		}
		return all
	}
}

// setBy returns who else sets the key of an ask.
func (d *draft) setBy(a *ask) []Setter {
	s := a.space
	switch {
	case a.kind != KindSysctl:
		return nil
	case s.ns.Host && d.AtBoot != nil:
		return d.AtBoot(a.key)
	case s.scope.Pod != "":
		return []Setter{{Where: "securityContext.sysctls of the pod, perhaps: they are set when it starts"}}
	case !s.ns.Host && s.contained:
		return []Setter{{Where: "the container's runtime (--sysctl), perhaps: it sets them when it starts"}}
	}
	return nil
}
