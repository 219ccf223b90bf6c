// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/qtune/qtune/tuner"
)

// This file is the tuner's contract, on the world.

func (w *world) Now() (tuner.Now, error) {
	return tuner.Now{Moment: tuner.Moment{Wall: time.Unix(0, 0).Add(w.now), Boot: w.now}, BootID: "boot"}, nil
}

func (w *world) Apply(_ context.Context, now tuner.Now, p *tuner.Plan, o tuner.ApplyOptions) (*tuner.Transaction, error) {
	if w.down != nil {
		return nil, w.down
	}
	for _, tx := range w.journal {
		if tx.State.Open() {
			return nil, tuner.ErrOpen
		}
	}
	for i := range p.Steps {
		if get, _ := w.value(&p.Steps[i]); get == nil || get() != p.Steps[i].From {
			return nil, tuner.ErrStale
		}
		if p.Steps[i].To < p.Steps[i].From {
			w.t.Errorf("the loop lowers %d to %d", p.Steps[i].From, p.Steps[i].To)
		}
	}
	tx := &tuner.Transaction{ID: "tx" + strconv.Itoa(len(w.begins)), State: tuner.Applied, Created: now.Moment, Actor: o.Actor, Why: o.Why, Steps: slices.Clone(p.Steps)}
	for i := range tx.Steps {
		_, set := w.value(&tx.Steps[i])
		set(tx.Steps[i].To)
	}
	w.begins = append(w.begins, w.now)
	w.journal = append([]*tuner.Transaction{tx}, w.journal...)
	if o.Trial == 0 {
		tx.State, tx.Closed = tuner.Confirmed, now.Wall
	}
	if w.lost {
		return nil, errDown
	}
	return tx, nil
}

func (w *world) find(id string) *tuner.Transaction {
	i := slices.IndexFunc(w.journal, func(tx *tuner.Transaction) bool { return tx.ID == id })
	if i < 0 || !w.journal[i].State.Open() {
		w.t.Fatalf("transaction %q is ended twice, or never was", id)
	}
	return w.journal[i]
}

func (w *world) Confirm(_ context.Context, now tuner.Now, id string) (*tuner.Transaction, error) {
	if w.down != nil {
		return nil, w.down
	}
	tx := w.find(id)
	tx.State, tx.Closed = tuner.Confirmed, now.Wall
	return tx, nil
}

func (w *world) Rollback(_ context.Context, now tuner.Now, id, reason string) (*tuner.Transaction, error) {
	if w.down != nil {
		return nil, w.down
	}
	if w.busy > 0 {
		w.busy--
		return nil, tuner.ErrBusy
	}
	tx := w.find(id)
	tx.State, tx.Reason, tx.Closed = tuner.RolledBack, reason, now.Wall
	var err error
	for _, s := range slices.Backward(tx.Steps) {
		switch get, set := w.value(&s); {
		case get == nil:
			if tx.State == tuner.RolledBack {
				tx.State = tuner.Gone
			}
		case get() == s.To:
			set(s.From)
		case get() != s.From:
			tx.State, err = tuner.Conflict, tuner.ErrConflict
		}
	}
	return tx, err
}

func (w *world) Recover(context.Context, tuner.Now, bool) ([]*tuner.Transaction, error) {
	return nil, nil
}

func (w *world) Drift(context.Context, tuner.Now) (all []tuner.Drift, _ error) {
	for _, tx := range w.journal {
		if tx.State != tuner.Confirmed {
			continue
		}
		for _, s := range tx.Steps {
			if get, _ := w.value(&s); get != nil && get() < s.To {
				v := get()
				s.Seen = &v
				all = append(all, tuner.Drift{Transaction: tx.ID, Step: s})
			}
		}
		break // only the newest, of the one server these tests have
	}
	return all, nil
}

func (w *world) History(context.Context) ([]*tuner.Transaction, error) {
	if w.silent != nil {
		return nil, w.silent
	}
	return w.journal, nil
}

// value returns where a step's value lies, nil when it is there no more.
func (w *world) value(s *tuner.Step) (get func() int64, set func(int64)) {
	server := w.at(s.Scope.Netns)
	if s.Kind == tuner.KindSysctl {
		return func() int64 { return server.somaxconn }, func(v int64) { server.somaxconn = v }
	}
	if s.Listener.Cookie != fmt.Sprintf("%016x", server.cookie) {
		return nil, nil
	}
	return func() int64 { return int64(server.limit) }, func(v int64) { server.limit = uint32(v) }
}
