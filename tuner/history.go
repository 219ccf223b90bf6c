// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// History returns the transactions of the journal, the newest first. A confirmed
// one all of whose values a later one changed again is shown as [Superseded].
// Whoever only reads takes no lock, and sets nothing aside: records that cannot be
// read are an error beside those that can.
func (t *Tuner) History(ctx context.Context) ([]*Transaction, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return t.history()
}

func (t *Tuner) history() ([]*Transaction, error) {
	all, bad, err := t.journal().load()
	if err != nil {
		return nil, err
	}
	var unread []error
	for _, b := range bad {
		unread = append(unread, fmt.Errorf("read %s: %w", b.path, b.err))
	}
	supersede(all)
	return all, errors.Join(unread...)
}

// SetAside returns the files of records that could not be read and were set aside.
// They stay until somebody deletes them.
func (t *Tuner) SetAside() ([]string, error) {
	dir := t.journal().dir
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the journal: %w", forRoot(err))
	}
	var all []string
	for _, f := range files {
		if strings.HasSuffix(f.Name(), recordSuffix+badSuffix) {
			all = append(all, filepath.Join(dir, f.Name()))
		}
	}
	return all, nil
}

// Find returns the transaction of that id, or of an id that begins so.
func (t *Tuner) Find(id string) (*Transaction, error) {
	all, err := t.history()
	if all == nil && err != nil {
		return nil, err
	}
	return find(all, id)
}

func find(all []*Transaction, id string) (*Transaction, error) {
	id = strings.ToUpper(id)
	var found []*Transaction
	for _, tx := range all {
		if tx.ID == id {
			return tx, nil
		}
		if id != "" && strings.HasPrefix(tx.ID, id) {
			found = append(found, tx)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %q; qtune history lists them", ErrUnknown, id)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%w: %q begins the ids of %d, from %s to %s: give more of it",
		ErrUnknown, id, len(found), found[len(found)-1].ID, found[0].ID)
}

// supersede marks the confirmed transactions all of whose values later confirmed
// ones have changed again. It is not recorded: when the later one is rolled back
// the earlier one's values are there again.
func supersede(all []*Transaction) {
	later := map[bootValue]bool{}
	for _, tx := range all { // the newest first
		if tx.State != Confirmed {
			continue
		}
		covered := true
		for _, s := range tx.runtimeSteps() {
			v := bootValue{tx.BootID, s.value()}
			covered = covered && later[v]
			later[v] = true
		}
		if covered {
			tx.State = Superseded
		}
	}
}

// A bootValue tells one value from any other, of other boots too.
type bootValue struct {
	boot string
	valueID
}
