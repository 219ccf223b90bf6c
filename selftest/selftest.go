// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package selftest proves on the running kernel the rules that tcpq knows: for
// each it makes small network namespaces, lets forged peers do what the rule is
// about, reads what happened the way qtune reads any host, and puts what tcpq
// predicts beside it.
//
// Nothing of the host is touched, and nothing is left: the namespaces end with
// the threads and descriptors that hold them. Every rule's experiment is a row of
// one table; those of one theme are in one file.
package selftest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// An Outcome says how a case ended.
type Outcome string

// How a case ends.
const (
	Pass     Outcome = "pass"
	Mismatch Outcome = "mismatch"
	Skipped  Outcome = "skipped" // it cannot be tried here
	Broken   Outcome = "broken"  // it could not be carried out, and nothing is proved
)

// A Fact is a number that a rule predicts, beside the one that was observed.
type Fact struct {
	Name      string `json:"name"`
	Predicted int64  `json:"predicted"`
	Observed  int64  `json:"observed"`
}

// A Result is one case of a rule.
type Result struct {
	Rule    string  `json:"-"` // its ID
	Case    string  `json:"case,omitempty"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"` // it was skipped, or is broken
	Facts   []Fact  `json:"facts,omitempty"`
}

// A Rule is one that selftest tries, or says why not.
type Rule struct {
	ID    string `json:"id"`
	Says  string `json:"says"`
	Range string `json:"range"` // the kernels that do so: "all", "since 5.4", "before 4.1"
}

// Options say how the rules are tried.
type Options struct {
	Only []string // the rules to try, by ID; all when empty

	// Holder is a program, with its arguments, that keeps its descriptors open
	// until its standard input ends: [Hold] is one. Without it, what needs
	// another process is skipped.
	Holder []string

	// Kernel, when not nil, is whose rules are predicted, instead of the
	// running kernel's.
	Kernel *tcpq.Version

	// Progress, when not nil, is told what is being done and how far it is.
	Progress func(doing string, done, of int)

	// Patience is how long in all may be waited for observations to become
	// what was predicted; 0 stands for ten seconds.
	Patience time.Duration
}

// Wrong returns the facts that were not observed as predicted.
func (r *Result) Wrong() []Fact {
	return slices.DeleteFunc(slices.Clone(r.Facts), func(f Fact) bool { return f.Predicted == f.Observed })
}

// Run tries the rules on the kernel of the live host. The error is one that keeps
// all rules from being tried, host.ErrPermission when a capability is missing.
func Run(ctx context.Context, live *host.Live, o Options) ([]Result, error) {
	r := &runner{ctx: ctx, live: live, opts: o, patience: o.Patience}
	if r.patience == 0 {
		r.patience = usualPatience
	}
	if o.Kernel != nil {
		r.kernel = *o.Kernel
	} else {
		info, err := live.Info()
		if err != nil {
			return nil, fmt.Errorf("read what kernel this is: %w", err)
		}
		r.kernel = info.Kernel
	}
	defer r.closing.Wait()
	chosen, err := choose(o.Only)
	if err != nil {
		return nil, err
	}
	if err := r.mayTry(); err != nil {
		return nil, err
	}
	for i, e := range chosen {
		if o.Progress != nil {
			o.Progress("trying "+e.about().ID, i, len(chosen))
		}
		r.try(e)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return r.results, nil
}

// choose returns the experiments of these rules, all when there are none.
func choose(only []string) ([]*experiment, error) {
	var chosen []*experiment
	known := map[string]bool{}
	for i := range experiments {
		e := &experiments[i]
		id := e.about().ID
		known[id] = true
		if len(only) == 0 || slices.Contains(only, id) {
			chosen = append(chosen, e)
		}
	}
	for _, id := range only {
		if !known[id] {
			return nil, fmt.Errorf("rule %q: %w", id, ErrUnknownRule)
		}
	}
	return chosen, nil
}
