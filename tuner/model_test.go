// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"errors"
	"slices"
	"time"

	"github.com/qtune/qtune/host"
)

// A model says what a tuner should have done, from values alone. It knows nothing of
// journals, locks, visits and cookies.
type model struct {
	values   map[modelKey]int64 // of what there is; what has vanished has none
	readOnly map[int]bool       // spaces
	txs      []*modelTx         // the oldest first
	boot     int
	clock    time.Duration // since boot
}

// A modelKey is one value: what replaces it is another one.
type modelKey struct {
	space, life int // which namespace, and how often it was made anew
	key         string
	server      int // how often the server was started, of a listener
}

type modelTx struct {
	steps    []modelStep // in the order in which they are done
	state    State
	deadline time.Duration
	boot     int
}

type modelStep struct {
	modelKey
	from, to int64
}

func (s *modelStep) somaxconn() modelKey {
	return modelKey{space: s.space, life: s.life, key: somaxconn}
}

// open returns the transaction that is open.
func (m *model) open() *modelTx {
	for _, tx := range m.txs {
		if tx.state.Open() {
			return tx
		}
	}
	return nil
}

// accepts says what Apply does with steps before it writes: those that are left, or
// the error.
func (m *model) accepts(steps []modelStep) ([]modelStep, error) {
	if m.open() != nil {
		return nil, ErrOpen
	}
	var left []modelStep
	planned := map[modelKey]int64{}
	for _, s := range steps {
		v, ok := m.values[s.modelKey]
		switch {
		case !ok:
			return nil, ErrStale
		case v == s.to || s.to > s.from && v > s.to:
			continue
		case v != s.from:
			return nil, ErrStale
		}
		if s.key == "" {
			room, ok := planned[s.somaxconn()]
			if !ok {
				room = m.values[s.somaxconn()]
			}
			if room < s.to {
				return nil, ErrStale
			}
		}
		planned[s.modelKey] = s.to
		left = append(left, s)
	}
	if len(left) == 0 {
		return nil, ErrSatisfied
	}
	return left, nil
}

// write does the first n steps and returns the error that stops it.
func (m *model) write(tx *modelTx, n int) error {
	for i := range tx.steps[:n] {
		s := &tx.steps[i]
		if m.readOnly[s.space] {
			return host.ErrPermission
		}
		m.values[s.modelKey] = s.to
	}
	return nil
}

// undo undoes the last n steps, the last one first, and returns how the transaction
// ends when that is all of them.
func (m *model) undo(tx *modelTx, n int, state State) (State, error) {
	if tx.boot != m.boot {
		return RolledBack, nil
	}
	unknown, foreign, there := false, false, false
	undone := groupModel(tx.steps, true)
	for i := range undone[:n] {
		s := &undone[i]
		v, ok := m.values[s.modelKey]
		there = there || ok
		switch {
		case !ok, v == s.from:
		case v != s.to, s.key == "" && m.values[s.somaxconn()] < s.from:
			foreign = true
		case m.readOnly[s.space]:
			unknown = true
		default:
			m.values[s.modelKey] = s.from
		}
	}
	switch {
	case unknown:
		return Prepared, ErrIncomplete
	case foreign:
		return Conflict, ErrConflict
	case !there:
		return Gone, nil
	}
	return state, nil
}

// groupModel puts steps into the order of visits: namespace by namespace, in the
// order in which they are met.
func groupModel(steps []modelStep, backward bool) []modelStep {
	steps = slices.Clone(steps)
	if backward {
		slices.Reverse(steps)
	}
	var spaces []int
	for _, s := range steps {
		if !slices.Contains(spaces, s.space) {
			spaces = append(spaces, s.space)
		}
	}
	slices.SortStableFunc(steps, func(a, b modelStep) int {
		return slices.Index(spaces, a.space) - slices.Index(spaces, b.space)
	})
	return steps
}

// look compares the values of a trial with what it made them.
func (m *model) look(tx *modelTx) (kept, there bool) {
	kept = true
	for i := range tx.steps {
		v, ok := m.values[tx.steps[i].modelKey]
		there = there || ok
		kept = kept && (!ok || v == tx.steps[i].to)
	}
	return kept, there
}

// A verdict is what becomes of a transaction: it is undone, or gets another state,
// or neither.
type verdict struct {
	undo  bool
	state State // that it gets, when it can be undone in full
	err   error
}

// overdue reports whether a transaction has to be undone whatever its values are.
func (m *model) overdue(tx *modelTx) bool {
	return tx.boot != m.boot || tx.state == Prepared || m.clock >= tx.deadline
}

// confirms says what Confirm does with a transaction.
func (m *model) confirms(tx *modelTx) verdict {
	switch {
	case tx.state == Confirmed:
		return verdict{}
	case tx.state == Prepared:
		return verdict{err: ErrOpen}
	case tx.state != Applied:
		return verdict{err: ErrClosed}
	case m.overdue(tx):
		return verdict{undo: true, state: RolledBack, err: ErrLate}
	}
	switch kept, there := m.look(tx); {
	case !kept:
		return verdict{undo: true, state: Conflict, err: ErrConflict}
	case !there:
		return verdict{state: Gone, err: host.ErrGone}
	}
	return verdict{state: Confirmed}
}

// rollsBack says what Rollback does with it.
func (m *model) rollsBack(tx *modelTx) verdict {
	switch {
	case tx.state == Confirmed && m.superseded(tx):
		return verdict{err: ErrConflict}
	case tx.state == Confirmed && m.open() != nil:
		return verdict{err: ErrOpen}
	case tx.state != Confirmed && !tx.state.Open():
		return verdict{err: ErrClosed}
	}
	return verdict{undo: true, state: RolledBack}
}

// recovers says what Recover does with it.
func (m *model) recovers(tx *modelTx, orphaned bool) verdict {
	switch {
	case !tx.state.Open():
		return verdict{}
	case orphaned || m.overdue(tx):
		return verdict{undo: true, state: RolledBack}
	}
	switch kept, there := m.look(tx); {
	case !kept:
		return verdict{undo: true, state: Conflict, err: ErrConflict}
	case !there:
		return verdict{state: Gone}
	}
	return verdict{}
}

// superseded reports whether later ones changed all values of a confirmed one again.
func (m *model) superseded(tx *modelTx) bool {
	later := map[modelKey]bool{}
	for _, other := range m.txs[slices.Index(m.txs, tx)+1:] {
		if other.state != Confirmed || other.boot != tx.boot {
			continue
		}
		for i := range other.steps {
			later[other.steps[i].modelKey] = true
		}
	}
	return !slices.ContainsFunc(tx.steps, func(s modelStep) bool { return !later[s.modelKey] })
}

// follow makes the model do what a verdict says and returns the error that the tuner
// should return.
func (m *model) follow(tx *modelTx, v verdict) error {
	if !v.undo {
		if v.state != "" {
			tx.state = v.state
		}
		return v.err
	}
	state, err := m.undo(tx, len(tx.steps), v.state)
	tx.state = state
	return errors.Join(v.err, err)
}
