// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"

	"github.com/qtune/qtune/host"
)

// A Permission says whether a step would be allowed, without doing it.
type Permission struct {
	Step    Step   `json:"step"`
	Allowed bool   `json:"allowed"`
	Message string `json:"message,omitempty"` // what is missing
}

// Probe asks the kernel what of a plan it would allow, and changes nothing.
func (t *Tuner) Probe(_ context.Context, _ *Plan) ([]Permission, error) {
	return nil, host.ErrUnsupported
}
