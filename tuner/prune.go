// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What of the closed transactions is kept.
const (
	keepInForce = 1000 // nobody looks here whether a listener is there still: restarts add up
	keepCount   = 200  // of the others
	keepAge     = 30 * 24 * time.Hour
)

// prune removes what is old of all, the newest first. What is open stays, however
// old it is, and so does what is in force: it can be rolled back, and drift goes by
// it. A confirmed one that a later one has changed again is in force once more when
// that is rolled back, and so has no age. The lock is held.
func (j *journal) prune(all []*Transaction, now Now) error {
	inForce := newestOfValues(all, now)
	forced, others := 0, 0
	for _, tx := range all {
		switch {
		case tx.State.Open():
			continue
		case inForce[tx.ID]:
			if forced++; forced <= keepInForce {
				continue
			}
		default:
			others++
			confirmed := tx.State == Confirmed && tx.BootID == now.BootID
			if others <= keepCount && (confirmed || now.Wall.Sub(tx.Closed) <= keepAge) {
				continue
			}
		}
		if err := os.Remove(filepath.Join(j.dir, tx.ID+recordSuffix)); err != nil {
			return fmt.Errorf("remove an old transaction: %w", err)
		}
	}
	return nil
}

// newestOfValues returns the ids of the transactions that have a value in force.
func newestOfValues(all []*Transaction, now Now) map[string]bool {
	ids := map[string]bool{}
	_, of := inForce(all, now)
	for _, id := range of {
		ids[id] = true
	}
	return ids
}
