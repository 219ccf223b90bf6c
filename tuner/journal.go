// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// A journal is a folder with a file for each transaction. A file is rewritten
// whole: whoever reads it sees the old record or the new one.
type journal struct {
	dir string
	at  func(fault)
}

// The ends of the names of its files.
const (
	recordSuffix = ".json"
	unsureSuffix = ".tmp" // being written
	badSuffix    = ".bad" // a record that cannot be read, set aside
)

// errBadRecord says that a record cannot be believed.
var errBadRecord = errors.New("not a record of this journal")

// A badRecord is a file that cannot be believed.
type badRecord struct {
	path string
	err  error
}

// load reads every transaction, the newest first, and what cannot be believed.
func (j *journal) load() (all []*Transaction, bad []badRecord, err error) {
	files, err := os.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the journal: %w", forRoot(err))
	}
	for _, f := range slices.Backward(files) { // ReadDir sorts by name, and so by age
		id, ok := strings.CutSuffix(f.Name(), recordSuffix)
		if !ok {
			continue
		}
		path := filepath.Join(j.dir, f.Name())
		tx, err := readRecord(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // pruned meanwhile
		case err == nil && tx.ID != id:
			bad = append(bad, badRecord{path, fmt.Errorf("%w: it is that of %s", errBadRecord, tx.ID)})
		case errors.Is(err, errBadRecord):
			bad = append(bad, badRecord{path, err})
		case err != nil:
			return nil, nil, fmt.Errorf("read the journal: %w", err)
		default:
			all = append(all, tx)
		}
	}
	return all, bad, nil
}

// forRoot says of what is not permitted that root may, and of a container's files
// that nobody may write them.
func forRoot(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w, only root may: %w", host.ErrPermission, err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: as in a container that is to change nothing: %w", host.ErrPermission, err)
	}
	return err
}

// write makes a transaction durable as it is.
func (j *journal) write(tx *Transaction) error {
	if err := j.rewrite(tx); err != nil {
		return fmt.Errorf("write transaction %s into the journal: %w", tx.ID, err)
	}
	return nil
}

func (j *journal) rewrite(tx *Transaction) error {
	b, err := encode(tx)
	if err != nil {
		return err
	}
	path := filepath.Join(j.dir, tx.ID)
	if err := writeSynced(path+unsureSuffix, b); err != nil {
		os.Remove(path + unsureSuffix) //nolint:errcheck // the next to come removes it
		return err
	}
	j.at(faultJournalSynced)
	if err := os.Rename(path+unsureSuffix, path+recordSuffix); err != nil {
		return err
	}
	j.at(faultJournalRenamed)
	return syncDir(j.dir)
}

// writeSynced writes a file that is durable when it returns.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// prepare makes the folder and removes what a stopped writer left. The lock is held.
func (j *journal) prepare() error {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return fmt.Errorf("make the journal's folder: %w", forRoot(err))
	}
	left, err := filepath.Glob(filepath.Join(j.dir, "*"+unsureSuffix))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove a record that was never finished: %w", err)
		}
	}
	return nil
}

// setAside renames bad records, so that they are reported once, and says so. The
// lock is held.
func (j *journal) setAside(bad []badRecord) error {
	var all []error
	for _, b := range bad {
		if err := os.Rename(b.path, b.path+badSuffix); err != nil {
			all = append(all, fmt.Errorf("set a bad record aside: %w", err))
			continue
		}
		all = append(all, fmt.Errorf("%w: %s cannot be read (%w) and was set aside as %s; if it was open, what it changed stays: compare the values in it with the kernel's",
			ErrIncomplete, filepath.Base(b.path), b.err, filepath.Base(b.path)+badSuffix))
	}
	return errors.Join(all...)
}

// newID returns an id that sorts behind that of the newest transaction, even when
// the clock was set back.
func newID(wall time.Time, newest *Transaction) (string, error) {
	id := ulid.MustNewDefault(wall)
	if newest != nil {
		last, err := ulid.ParseStrict(newest.ID)
		if err != nil {
			return "", fmt.Errorf("transaction %s: %w", newest.ID, err)
		}
		if id.Time() <= last.Time() {
			if err := id.SetTime(last.Time() + 1); err != nil {
				return "", fmt.Errorf("an id after %s: %w", newest.ID, err)
			}
		}
	}
	return id.String(), nil
}
