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
		switch somaxconn, err := readSomaxconn(p, s); {
		case err != nil:
			return err
		case somaxconn < to:
			return shrinks(somaxconn)
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

// readSomaxconn reads what the limit of a step's listener is cut down to.
func readSomaxconn(p place, s *Step) (int64, error) {
	return p.read(&Step{Kind: KindSysctl, Scope: s.Scope, Key: tcpq.Somaxconn.String()})
}

// shrinks says why listen(2) is not called.
func shrinks(somaxconn int64) error {
	return fmt.Errorf("listen(2) would cut it down to %s of its namespace, %d: raise that first: %w", tcpq.Somaxconn, somaxconn, host.ErrShrinks)
}
