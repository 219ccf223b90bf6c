// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// ErrUnknownRule says that no rule has this name.
var ErrUnknownRule = errors.New("there is none")

// An untriedError says what this machine lacks of what a case needs.
type untriedError string

func (e untriedError) Error() string { return string(e) }

// untried is why a case cannot be tried here.
func untried(format string, args ...any) error { return untriedError(fmt.Sprintf(format, args...)) }

// An experiment tries one rule.
type experiment struct {
	rule     tcpq.Rule // what tcpq says, unless own is set
	own      *Rule     // a rule that tcpq has no row for
	notTried string    // why it never is, when there is no run
	run      func(*runner)
	example  string // the case that says most; the first when empty
}

func (e *experiment) about() Rule {
	if e.own != nil {
		return *e.own
	}
	info := e.rule.Info()
	return Rule{ID: info.ID, Says: info.Says, Range: info.Range()}
}

const (
	usualPatience = 10 * time.Second
	leastPatience = 20 * time.Millisecond // for every case, once the patience is used up
)

// A runner tries experiments and gathers their results.
type runner struct {
	ctx      context.Context
	live     *host.Live
	opts     Options
	kernel   tcpq.Version
	patience time.Duration // that is left
	rule     string        // being tried
	results  []Result

	// closing is the packet sockets that are being closed: each waits for all
	// CPUs, and nobody has to wait for it.
	closing sync.WaitGroup
}

// mayTry makes a namespace with all that experiments need, to see whether that is
// permitted.
func (r *runner) mayTry() error {
	return r.inLab(func(l *lab) error { return l.set(tcpq.Somaxconn, 4096) })
}

// inLab runs f in a new lab.
func (r *runner) inLab(f func(*lab) error) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	ns, err := r.live.NewNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(func() error {
		l, err := r.openLab(ns)
		if err != nil {
			return err
		}
		defer l.close()
		return f(l)
	})
}

func (r *runner) try(e *experiment) {
	r.rule = e.about().ID
	if e.run == nil {
		r.skip("", e.notTried)
		return
	}
	e.run(r)
}

func (r *runner) skip(name, why string) {
	r.results = append(r.results, Result{Rule: r.rule, Case: name, Outcome: Skipped, Why: why})
}

// do tries one case in a lab of its own.
func (r *runner) do(name string, f func(*trial) error) {
	err := r.inLab(func(l *lab) error {
		t := &trial{lab: l, runner: r, name: name}
		if err := t.mark(); err != nil {
			return err
		}
		return f(t)
	})
	var why untriedError
	switch {
	case err == nil || r.ctx.Err() != nil:
	case errors.As(err, &why), errors.Is(err, host.ErrPermission):
		r.skip(name, err.Error())
	default:
		r.results = append(r.results, Result{Rule: r.rule, Case: name, Outcome: Broken, Why: err.Error()})
	}
}

// A trial is one case being tried, step by step.
type trial struct {
	*lab
	runner *runner
	name   string
	base   *view
}

// has reports whether the kernel follows a rule, as far as tcpq knows.
func (t *trial) has(rule tcpq.Rule) bool { return t.runner.kernel.Has(rule) }

// mark makes now the instant that movements are counted from.
func (t *trial) mark() (err error) {
	t.base, err = t.read()
	return err
}

// A want is a number that a rule predicts.
type want struct {
	quantity
	number int64
}

// check compares what is observed once all is settled with what is predicted, and
// makes that a result; movements are then counted from here. Step is added to the
// name of the case.
func (t *trial) check(step string, wants ...want) error {
	r := t.runner
	result := Result{Rule: r.rule, Case: join(t.name, step), Outcome: Pass}
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := t.peers.settle(); err != nil {
			return err
		}
		v, err := t.read()
		if err != nil {
			return err
		}
		v.base = t.base
		if result.Facts = facts(v, wants); allAsPredicted(result.Facts) {
			t.base = v
			break
		}
		if time.Since(began) > max(r.patience, leastPatience) {
			result.Outcome = Mismatch
			t.base = v
			break
		}
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}
	if result.Outcome == Mismatch {
		r.patience -= time.Since(began)
	}
	t.base.base = nil
	r.results = append(r.results, result)
	return nil
}

func facts(v *view, wants []want) []Fact {
	all := make([]Fact, len(wants))
	for i, w := range wants {
		all[i] = Fact{Name: w.name, Predicted: w.number, Observed: w.read(v)}
	}
	return all
}

func allAsPredicted(all []Fact) bool {
	for _, f := range all {
		if f.Predicted != f.Observed {
			return false
		}
	}
	return true
}

func join(name, step string) string {
	switch {
	case step == "":
		return name
	case name == "":
		return step
	}
	return name + ": " + step
}
