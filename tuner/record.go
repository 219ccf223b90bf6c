// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sys/unix"
)

// schema is that of the records this version writes and reads.
const schema = 1

// maxRecord bounds what is read as a record: ten thousand steps.
const maxRecord = 16 << 20

// A record is a JSON object. Its first two lines hold the checksum of all the
// others, so that `tail -n +3 FILE | sha256sum` shows whether it is whole.
const (
	recordHead   = "{\n  \"sha256\": \""
	recordMiddle = "\",\n"
	recordBody   = len(recordHead) + 2*sha256.Size + len(recordMiddle)
)

// A record is what the JSON of a file may hold.
type record struct {
	SHA256 string `json:"sha256"`
	*Transaction
}

// encode returns the record of a transaction.
func encode(tx *Transaction) ([]byte, error) {
	b, err := json.MarshalIndent(tx, "", "  ")
	if err != nil {
		return nil, err
	}
	body := append(bytes.TrimPrefix(b, []byte("{\n")), '\n')
	if recordBody+len(body) > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes is larger than the %d that are read again: apply fewer steps at once", recordBody+len(body), maxRecord)
	}
	sum := sha256.Sum256(body)
	head := recordHead + hex.EncodeToString(sum[:]) + recordMiddle
	return append([]byte(head), body...), nil
}

// decode reads a record, and nothing that is not one to the last byte.
func decode(b []byte) (*Transaction, error) {
	if len(b) < recordBody || string(b[:len(recordHead)]) != recordHead {
		return nil, fmt.Errorf("%w: it does not begin with a checksum", errBadRecord)
	}
	sum := sha256.Sum256(b[recordBody:])
	if string(b[len(recordHead):recordBody]) != hex.EncodeToString(sum[:])+recordMiddle {
		return nil, fmt.Errorf("%w: its checksum is wrong", errBadRecord)
	}
	var version struct{ Schema int }
	if err := json.Unmarshal(b, &version); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	if version.Schema != schema {
		return nil, fmt.Errorf("%w: schema %d, this qtune knows %d", errBadRecord, version.Schema, schema)
	}
	r := record{Transaction: &Transaction{}}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows it", errBadRecord)
	}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	return r.Transaction, nil
}

// validate says what makes a transaction impossible: who recovers writes what it
// says.
func (tx *Transaction) validate() error {
	if _, err := ulid.ParseStrict(tx.ID); err != nil {
		return fmt.Errorf("id %q: %w", tx.ID, err)
	}
	switch tx.State {
	case Prepared, Confirmed, RolledBack, Failed, Conflict, Gone, Superseded:
	case Applied:
		if tx.Deadline == nil {
			return fmt.Errorf("it is %s and has no deadline", tx.State)
		}
	default:
		return fmt.Errorf("unknown state %q", tx.State)
	}
	for i := range tx.Steps {
		if err := tx.Steps[i].validate(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// readRecord reads a file of the journal.
func readRecord(path string) (*Transaction, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) { // a symbolic link
		return nil, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if errors.Is(err, unix.EISDIR) {
		return nil, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	if err != nil {
		return nil, err
	}
	if len(b) > maxRecord {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", errBadRecord, maxRecord)
	}
	return decode(b)
}
