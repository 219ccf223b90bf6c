// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/qtune/qtune/sysctl"
	"github.com/qtune/qtune/tcpq"
)

// mostPlan is how long the text of a plan may be: some thousand steps with their
// listeners.
const mostPlan = 64 << 20

// WritePlan writes a plan as ReadPlan takes it.
func WritePlan(w io.Writer, p *Plan) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// ReadPlan reads a plan that WritePlan wrote. It takes no unknown key and no step
// that no planner makes; whether the rails still hold is for [Planner.Check], and
// whether the plan is stale for the Tuner.
func ReadPlan(text []byte) (*Plan, error) {
	if len(text) > mostPlan {
		return nil, fmt.Errorf("read plan: %d bytes, at most %d", len(text), mostPlan)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var p Plan
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read plan: something follows the plan")
	}
	if p.APIVersion != APIVersion || p.Kind != KindPlan {
		return nil, fmt.Errorf("read plan: it is %s of %s: want %s of %s", quoted(p.Kind), quoted(p.APIVersion), KindPlan, APIVersion)
	}
	var all []error
	for i := range p.Steps {
		if what := p.Steps[i].wrong(); what != "" {
			all = append(all, fmt.Errorf("read plan: steps[%d]: %s", i, what))
		}
		if i > 0 && byOrder(p.Steps[i-1], p.Steps[i]) >= 0 {
			all = append(all, fmt.Errorf("read plan: steps[%d]: it repeats, or belongs before, the one above", i))
		}
	}
	return &p, errors.Join(all...)
}

func quoted(s string) string {
	if s == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", s)
}

// wrong says why a step is none that a planner makes, "" when it may be one.
func (s *Step) wrong() string {
	if err := s.validate(); err != nil {
		return err.Error()
	}
	bounds, _ := sysctl.Bounds(tcpq.Somaxconn) // a limit has them, too
	if key, err := sysctlOf(s.Key); err == nil {
		bounds, _ = sysctl.Bounds(key)
	}
	switch {
	case s.Kind == KindFile:
		return "the file follows from the others, with --persist"
	case s.Scope.Netns == 0:
		return "scope.netns is missing"
	case (s.Kind == KindListen) != (s.Listener != nil) || s.Kind == KindListen && s.Key != "":
		return "it has a key and a listener"
	case s.To == s.From:
		return "it changes nothing: from and to are equal"
	case s.To < bounds.Min || s.To > bounds.Max:
		return fmt.Sprintf("to is %d: must be %d to %d", s.To, bounds.Min, bounds.Max)
	case s.Outcome != "" || s.Seen != nil:
		return "it has an outcome, as of a transaction"
	}
	return ""
}
