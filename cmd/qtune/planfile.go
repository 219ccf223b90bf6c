// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/qtune/qtune/tuner"
)

// planLimit is more than a plan for every listener of a large host takes.
const planLimit = 64 << 20

// readPlan reads a plan that was saved.
func readPlan(path string) (*tuner.Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, planLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	p, err := tuner.ReadPlan(b)
	if err != nil {
		return nil, usageError("%s: %v", path, err)
	}
	makePrintable(p)
	return p, nil
}

// savePlan writes a plan for apply.
func savePlan(path string, p *tuner.Plan) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	if err := tuner.WritePlan(f, p); err != nil {
		f.Close()
		return fmt.Errorf("save the plan: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	return nil
}
