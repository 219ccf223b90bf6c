// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"time"

	"github.com/qtune/qtune/host"
)

// Present reads the clocks of a host, and which boot this is.
func Present(live *host.Live) (Now, error) {
	id, err := live.BootID()
	if err != nil {
		return Now{}, err
	}
	return Now{Moment: Moment{Wall: time.Now().UTC().Round(0), Boot: host.Boottime()}, BootID: id}, nil
}

// after returns the moment this much later.
func (m Moment) after(d time.Duration) *Moment { return &Moment{m.Wall.Add(d), m.Boot + d} }
