// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/qtune/qtune/host"
)

func keys() []string { return []string{somaxconn, synBacklog, syncookies, ""} }

// id returns which value a key of a space is now.
func (p *player) id(space int, key string) modelKey {
	id := modelKey{space: space, life: p.lives[space], key: key}
	if key == "" {
		id.server = p.runs[space]
	}
	return id
}

// refresh tells the model which values there are.
func (p *player) refresh() {
	old := p.model.values
	p.model.values = map[modelKey]int64{}
	for space := range spaces {
		for _, key := range keys() {
			id := p.id(space, key)
			v, ok := old[id]
			if !ok {
				v = p.world.value(space, key)
			}
			p.model.values[id] = v
		}
	}
}

func (p *player) now() Now {
	return Now{Moment: Moment{Wall: p.wall, Boot: p.model.clock}, BootID: fmt.Sprint("boot ", p.model.boot)}
}

func (p *player) say(format string, args ...any) { p.log = append(p.log, fmt.Sprintf(format, args...)) }

// some returns a value that a key may have; few, so that they meet again.
func (p *player) some(key string) int64 {
	switch key {
	case syncookies:
		return int64(p.rnd.IntN(2))
	case "":
		return []int64{32, 64, 100, 512}[p.rnd.IntN(4)]
	}
	return []int64{50, 128, 256, 512, 1024}[p.rnd.IntN(5)]
}

// act lets something happen.
func (p *player) act() {
	p.kill = 0
	if p.rnd.IntN(3) == 0 {
		p.kill = 1 + p.rnd.IntN(14)
	}
	p.faults = p.faults[:0]
	space := p.rnd.IntN(spaces)
	switch p.rnd.IntN(16) {
	case 0, 1, 2, 3:
		p.apply()
	case 4, 5:
		p.decide("confirm", p.model.confirms, p.tuner.Confirm)
	case 6, 7:
		p.decide("roll back", p.model.rollsBack, func(ctx context.Context, now Now, id string) (*Transaction, error) {
			return p.tuner.Rollback(ctx, now, id, "operator")
		})
	case 8, 9, 10:
		p.recover()
	case 11, 12:
		key := keys()[p.rnd.IntN(len(keys()))]
		p.world.foreign(space, key, p.some(key))
		p.model.values[p.id(space, key)] = p.world.value(space, key)
		p.say("somebody sets %s of %d to %d", key, space, p.world.value(space, key))
	case 13:
		p.model.clock += time.Duration(p.rnd.IntN(3)) * time.Minute
		p.wall = p.wall.Add(time.Duration(p.rnd.IntN(200)-100) * time.Hour) // it is set forth and back
		p.say("it is %v after boot, and %v", p.model.clock, p.wall)
	case 14:
		p.happen(space)
	case 15:
		yes := p.rnd.IntN(2) == 0
		if p.world.readOnly(space, yes) {
			p.model.readOnly[space] = yes
			p.say("space %d read-only: %t", space, yes)
		}
	}
}

// happen lets something end that cannot be brought back.
func (p *player) happen(space int) {
	switch p.rnd.IntN(4) {
	case 0: // another boot
		p.say("reboot")
		p.model.boot++
		p.model.clock = time.Minute
		for i := range spaces {
			p.replace(i)
		}
	case 1:
		p.say("space %d is replaced", space)
		p.replace(space)
	default:
		p.say("the server of %d is started again", space)
		p.world.restart(space)
		p.runs[space]++
	}
	p.refresh()
}

func (p *player) replace(space int) {
	p.world.replace(space)
	p.lives[space]++
	p.runs[space]++
	delete(p.model.readOnly, space)
}

// call calls the tuner and reports whether it was killed.
func (p *player) call(f func() error) (err error, dead bool) { //nolint:revive // the error is not of this call
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case killed{}:
			dead = true
			p.say("    killed at %v", p.faults)
		default:
			panic(cause)
		}
	}()
	return f(), false
}

// count returns how often a fault point was passed.
func (p *player) count(f fault) (n int) {
	for _, g := range p.faults {
		if f == g {
			n++
		}
	}
	return n
}

func (p *player) apply() {
	var steps []modelStep
	var plan Plan
	for space := range spaces {
		for _, key := range keys() {
			if p.rnd.IntN(3) > 0 {
				continue
			}
			from, to := p.world.value(space, key), p.some(key)
			if p.rnd.IntN(12) == 0 {
				from = p.some(key) // stale, perhaps
			}
			steps = append(steps, modelStep{p.id(space, key), from, to})
			plan.Steps = append(plan.Steps, p.world.step(space, key, from, to))
		}
	}
	plan.BootID = p.now().BootID
	trial := time.Duration(p.rnd.IntN(3)) * time.Minute
	p.say("apply %v, trial %v", steps, trial)
	left, want := p.model.accepts(steps)
	var got *Transaction
	err, dead := p.call(func() (err error) {
		got, err = p.tuner.Apply(p.t.Context(), p.now(), &plan, ApplyOptions{Trial: trial})
		return err
	})
	if want != nil {
		if !errors.Is(err, want) || got != nil {
			p.t.Errorf("Apply = %v, %v, want %v", got, err, want)
		}
		return
	}
	tx := &modelTx{steps: groupModel(left, false), deadline: p.model.clock + trial, boot: p.model.boot}
	if dead {
		p.afterKill(tx)
		return
	}
	cause := p.model.write(tx, len(tx.steps))
	switch {
	case cause != nil:
		var left error
		tx.state, left = p.model.undo(tx, len(tx.steps), Failed)
		want = errors.Join(cause, left)
	case trial > 0:
		tx.state = Applied
	default:
		tx.state = Confirmed
	}
	p.model.txs = append(p.model.txs, tx)
	p.ids[tx] = got.ID
	p.compare("Apply", err, want)
}

// afterKill tells the model how far a transaction came that was being applied or
// ended when the process was killed.
func (p *player) afterKill(tx *modelTx) {
	all, err := p.tuner.History(p.t.Context())
	if err != nil {
		p.t.Errorf("History: %v", err)
		return
	}
	known := p.ids[tx] != ""
	if !known {
		if len(all) == len(p.model.txs) { // nothing had become durable
			if n := p.count(faultWritten); n > 0 {
				p.t.Errorf("killed after %d writes, and the journal has nothing", n)
			}
			return
		}
		p.ids[tx] = all[0].ID
		p.model.txs = append(p.model.txs, tx)
	}
	p.model.write(tx, p.count(faultWritten))           //nolint:errcheck // that is what stopped it
	p.model.undo(tx, p.count(faultUndone), RolledBack) //nolint:errcheck // as far as it came
	for _, read := range all {
		if read.ID == p.ids[tx] {
			tx.state = stored(read)
		}
	}
	if p.count(faultWritten) < len(tx.steps) && !known && (tx.state == Applied || tx.state == Confirmed) {
		p.t.Errorf("killed before all was written, and it is %s", tx.state)
	}
}

// stored returns the state that the journal has.
func stored(tx *Transaction) State {
	if tx.State == Superseded {
		return Confirmed
	}
	return tx.State
}

// compare compares an error of the tuner with the model's, which may be a join.
func (p *player) compare(what string, got, want error) {
	for _, sentinel := range []error{ErrOpen, ErrClosed, ErrConflict, ErrLate, ErrIncomplete, ErrStale, ErrSatisfied, host.ErrGone} {
		if errors.Is(got, sentinel) != errors.Is(want, sentinel) {
			p.t.Errorf("%s = %v, want %v", what, got, want)
			return
		}
	}
	if (got == nil) != (want == nil) {
		p.t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// decide lets one transaction be confirmed or rolled back.
func (p *player) decide(what string, judge func(*modelTx) verdict, do func(context.Context, Now, string) (*Transaction, error)) {
	if len(p.model.txs) == 0 {
		return
	}
	tx := p.model.txs[len(p.model.txs)-1]
	if p.rnd.IntN(3) == 0 {
		tx = p.model.txs[p.rnd.IntN(len(p.model.txs))]
	}
	p.say("%s %s, %s", what, p.ids[tx], tx.state)
	v := judge(tx)
	err, dead := p.call(func() error {
		_, err := do(p.t.Context(), p.now(), p.ids[tx])
		return err
	})
	if dead {
		p.afterKill(tx)
		return
	}
	p.compare(what, err, p.model.follow(tx, v))
}

func (p *player) recover() {
	orphaned := p.rnd.IntN(4) == 0
	p.say("recover, orphaned %t", orphaned)
	open := p.model.open()
	err, dead := p.call(func() error {
		_, err := p.tuner.Recover(p.t.Context(), p.now(), orphaned)
		return err
	})
	if open == nil {
		p.compare("Recover", err, nil)
		return
	}
	if dead {
		p.afterKill(open)
		return
	}
	p.compare("Recover", err, p.model.follow(open, p.model.recovers(open, orphaned)))
	if open.state.Open() {
		return
	}
	before := maps.Clone(p.model.values)
	p.kill = 0
	if again, err := p.tuner.Recover(p.t.Context(), p.now(), orphaned); len(again) > 0 || err != nil || !maps.Equal(before, p.model.values) {
		p.t.Errorf("Recover again = %v, %v, want nothing", again, err)
	}
}

// check compares everything with the model.
func (p *player) check() {
	for space := range spaces {
		for _, key := range keys() {
			want := p.model.values[p.id(space, key)]
			if got := p.world.value(space, key); got != want {
				p.t.Errorf("%q of space %d is %d, want %d", key, space, got, want)
			}
		}
	}
	all, err := p.tuner.History(p.t.Context())
	if err != nil || len(all) != len(p.model.txs) {
		p.t.Errorf("History = %d transactions, %v, want %d", len(all), err, len(p.model.txs))
		return
	}
	open := 0
	for i, tx := range p.model.txs {
		read := all[len(all)-1-i]
		want := tx.state
		if want == Confirmed && p.model.superseded(tx) {
			want = Superseded
		}
		if read.ID != p.ids[tx] || read.State != want {
			p.t.Errorf("transaction %d is %s, %s (%s), want %s, %s", i, read.ID, read.State, read.Reason, p.ids[tx], want)
		}
		if read.State.Open() {
			open++
		}
	}
	if open > 1 {
		p.t.Errorf("%d transactions are open, want one at most", open)
	}
}
