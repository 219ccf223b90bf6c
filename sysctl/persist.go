// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sysctl

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// PersistName is the name of qtune's only file in /etc/sysctl.d.
const PersistName = "60-qtune.conf"

// persistDir is where it lies.
const persistDir = "/etc/sysctl.d"

// A Persisted is what qtune's file sets at boot. It is one value: the whole file
// is written anew whenever that changes.
type Persisted struct {
	Transaction string           `json:"transaction"` // that wrote it
	Time        time.Time        `json:"time"`        // to the second
	Values      map[string]int64 `json:"values"`      // by key, as sysctl(8) spells it
}

// ReadPersisted reads qtune's file below root, "/" for this host; nil when there
// is none. It returns host.ErrChanged for a file that somebody else wrote or edited.
func ReadPersisted(root string) (*Persisted, error) {
	name := filepath.Join(root, persistDir, PersistName)
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // none is an ordinary answer
	case err != nil:
		return nil, fmt.Errorf("read what boot sets: %w", err)
	case !info.Mode().IsRegular(): // a link to /dev/null forbids the file
		return nil, fmt.Errorf("read what boot sets: %s is no regular file: %w", name, host.ErrChanged)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read what boot sets: %w", err)
	}
	p, err := parsePersisted(text)
	if err != nil {
		return nil, fmt.Errorf("read what boot sets: %s: %w: %w", name, err, host.ErrChanged)
	}
	return p, nil
}

// SwapPersisted replaces qtune's file below root, from what it is expected to be
// to another; nil stands for no file. When it is no longer from it changes nothing
// and returns host.ErrChanged; when it is to already, nothing is to be done. What
// somebody writes between the look and the rename, some milliseconds, is lost.
//
// The folder is not made: where it is missing, nobody reads it at boot.
func SwapPersisted(root string, from, to *Persisted) error {
	now, err := ReadPersisted(root)
	switch {
	case err != nil:
		return err
	case now.equal(to):
		return nil
	case !now.equal(from):
		return fmt.Errorf("write what boot sets: %s is not what it was: %w", filepath.Join(persistDir, PersistName), host.ErrChanged)
	}
	dir := filepath.Join(root, persistDir)
	if to == nil {
		err = os.Remove(filepath.Join(dir, PersistName))
	} else if err = to.check(); err == nil {
		err = replace(dir, to.render())
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write what boot sets: %w", err)
	}
	return nil
}

// equal compares what the files would say.
func (p *Persisted) equal(q *Persisted) bool {
	if p == nil || q == nil {
		return p == q
	}
	return bytes.Equal(p.render(), q.render())
}

var validTransaction = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// check keeps anything from the file that would not come back as it was.
func (p *Persisted) check() error {
	if !validTransaction.MatchString(p.Transaction) {
		return fmt.Errorf("transaction %q: want letters, digits and dashes", p.Transaction)
	}
	if len(p.Values) == 0 {
		return errors.New("no value to set")
	}
	for key := range p.Values {
		if !known(key) {
			return fmt.Errorf("%s: not a sysctl of qtune's", key)
		}
	}
	return nil
}

func known(key string) bool {
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		if s.Info().Name == key {
			return true
		}
	}
	return false
}

const (
	persistIntro = "# Written by qtune. An edited file is left alone, and is no longer qtune's to change:\n" +
		"# put values of your own into a file with a later name, such as 99-local.conf.\n"
	transactionMark = "# transaction: "
	timeMark        = "# time: "
	sumMark         = "# sha256: "
)

// render returns the file: who wrote it and when, the sum of all that is not the
// line of the sum, and the values, sorted.
func (p *Persisted) render() []byte {
	head := persistIntro + transactionMark + p.Transaction + "\n" + timeMark + p.Time.UTC().Format(time.RFC3339) + "\n"
	var values strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p.Values)) {
		fmt.Fprintf(&values, "%s = %d\n", key, p.Values[key])
	}
	return []byte(head + sumMark + sum(head, values.String()) + "\n" + values.String())
}

func sum(head, values string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(head+values))) }

var errEdited = errors.New("somebody else wrote or edited it")

// parsePersisted reads a file back. Words of an earlier qtune around what counts
// do no harm; its sum must be right.
func parsePersisted(text []byte) (*Persisted, error) {
	head, rest, ok := strings.Cut(string(text), sumMark)
	want, values, ok2 := strings.Cut(rest, "\n")
	if !ok || !ok2 || want != sum(head, values) {
		return nil, errEdited
	}
	p := &Persisted{Values: map[string]int64{}}
	for line := range strings.Lines(head) {
		line = strings.TrimSuffix(line, "\n")
		if id, ok := strings.CutPrefix(line, transactionMark); ok {
			p.Transaction = id
		}
		if at, ok := strings.CutPrefix(line, timeMark); ok {
			t, err := time.Parse(time.RFC3339, at)
			if err != nil {
				return nil, err
			}
			p.Time = t
		}
	}
	for line := range strings.Lines(values) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, err
		}
		p.Values[key] = n
	}
	return p, p.check()
}

// replace writes the file beside and renames it, so that at every moment the old
// one is there, or the new one, whole. The name of the one beside does not end in
// .conf, so that no boot reads it.
func replace(dir string, text []byte) error {
	f, err := os.CreateTemp(dir, "."+PersistName+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it was renamed, or there is nothing more to do
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, PersistName))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
