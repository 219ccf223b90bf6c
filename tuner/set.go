// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"fmt"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// set writes a value that is from to to and says so in the log.
//
// The kernel cuts the limit of a listener down to the somaxconn of its namespace
// at every listen(2). That is read right before, and where it is lower nothing is
// done: a limit that was to be raised could else shrink.
func (t *Tuner) set(p place, s *Step, from, to int64) error {
	if s.Kind == KindListen {
		if err := roomFor(p, s, to); err != nil {
			return err
		}
	}
	if err := p.write(s, from, to); err != nil {
		return err
	}
	key := s.Key
	if s.Kind == KindListen {
		key = s.Listener.Name()
	}
	t.opts.Log.Info("changed", "netns", s.Scope.Netns, "key", key, "from", from, "to", to)
	return nil
}

// roomFor returns a host.ErrShrinks when listen(2) would not give the listener of s
// this limit.
func roomFor(p place, s *Step, limit int64) error {
	somaxconn, err := p.read(&Step{Kind: KindSysctl, Scope: s.Scope, Key: tcpq.Somaxconn.String()})
	if err != nil {
		return err
	}
	if somaxconn < limit {
		return fmt.Errorf("%s of its namespace is %d, and listen(2) would cut %d down to it: raise that first: %w",
			tcpq.Somaxconn, somaxconn, limit, host.ErrShrinks)
	}
	return nil
}
