// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/qtune/qtune/inspection"
)

// The steps of the agent's present life, as its inspections tell them.
type steps struct {
	mu   sync.Mutex // guards what follows
	life int
	at   []time.Time
}

// within reports whether this life had a step between two moments.
func (s *steps) within(life int, from, to time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life == life && slices.ContainsFunc(s.at, func(t time.Time) bool { return t.After(from) && t.Before(to) })
}

// add takes in the newest step and returns how long after the last one it came, 0
// when that is not known.
func (s *steps) add(life int, at time.Time) (since time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life != life {
		s.life, s.at = life, nil
	}
	if n := len(s.at); n > 0 {
		since = at.Sub(s.at[n-1])
	}
	if len(s.at) == 0 || since > 0 {
		s.at = append(s.at, at)
	}
	return since
}

// watchSteps sees every step and checks that none is late. An inspection tells the
// gap that its own step waited for.
func (s *soak) watchSteps(ctx context.Context) error {
	return every(ctx, 2*time.Second, func() error {
		s.life.RLock()
		defer s.life.RUnlock()
		in, err := s.inspection(ctx)
		if err != nil {
			return nil //nolint:nilerr // the scrapers say so
		}
		gap := 0.0
		for _, a := range in.Agent.Activities {
			if a.Name == "step" {
				gap = a.GapSeconds
			}
		}
		if since := s.steps.add(s.lives, in.Time); since > 0 {
			s.report.check("punctual", gap > 0 && since.Seconds() <= 2*gap, "a step came %v after the one before, the gap was %.1f s", since.Round(time.Millisecond), gap)
			s.report.longest("between two steps", since)
		}
		return nil
	})
}

func (s *soak) inspection(ctx context.Context) (*inspection.Inspection, error) {
	body, err := s.agent.Get(ctx, "/api/v1/inspection")
	if err != nil {
		return nil, err
	}
	in := &inspection.Inspection{}
	if err := json.Unmarshal(body, in); err != nil {
		return nil, fmt.Errorf("decode an inspection: %w", err)
	}
	if in.Agent == nil || in.Gone == nil {
		return nil, errors.New("an inspection that is not an agent's")
	}
	return in, nil
}
