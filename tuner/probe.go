// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A Permission says whether a step would be allowed, without doing it.
type Permission struct {
	Step    Step   `json:"step"`
	Allowed bool   `json:"allowed"`
	Message string `json:"message,omitempty"` // what is missing
}

// Probe asks the kernel what of a plan it would allow, in the order of the plan. It
// opens for writing what a step would write, and fetches the socket that it would
// resize, and changes nothing.
func (t *Tuner) Probe(ctx context.Context, p *Plan) ([]Permission, error) {
	all := make([]Permission, len(p.Steps))
	at := map[*Step]*Permission{}
	var steps []*Step
	for i := range p.Steps {
		s := &all[i].Step
		*s = p.Steps[i]
		if err := s.validate(); err != nil {
			return nil, fmt.Errorf("step %d of the plan: %w", i+1, err)
		}
		if s.Kind == KindFile {
			all[i].say(mayWrite(filepath.Join(t.opts.Root, "etc/sysctl.d")))
			continue
		}
		at[s] = &all[i]
		steps = append(steps, s)
	}
	err := t.pass(ctx, steps, func(p place, steps []*Step, err error) error {
		for _, s := range steps {
			if err == nil {
				at[s].say(p.may(s))
			} else {
				at[s].say(err)
			}
		}
		return nil
	})
	return all, err
}

// say takes in what was found.
func (p *Permission) say(err error) {
	p.Allowed = err == nil
	if err != nil {
		p.Message = err.Error()
	}
}

// mayWrite says whether a file may be made in a folder.
func mayWrite(dir string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("write into %s: %w", dir, err)
	}
	return nil
}

// may says whether write would be allowed.
func (p *livePlace) may(s *Step) error {
	if s.Kind == KindListen {
		return p.fetch(s, p.in.MayFetch)
	}
	key, err := sysctlOf(s.Key)
	if err != nil {
		return err
	}
	return p.in.MaySet(key)
}
