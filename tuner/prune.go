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
	keepCount = 200
	keepAge   = 30 * 24 * time.Hour // of those that are not in force
)

// prune removes what is old of all, the newest first. What is open stays, however
// old it is; a confirmed one can be rolled back, and is no older than its values.
// The lock is held.
func (j *journal) prune(all []*Transaction, now Now) error {
	closed := 0
	for _, tx := range all {
		if tx.State.Open() {
			continue
		}
		closed++
		inForce := tx.State == Confirmed && tx.BootID == now.BootID
		if closed <= keepCount && (inForce || now.Wall.Sub(tx.Closed) <= keepAge) {
			continue
		}
		if err := os.Remove(filepath.Join(j.dir, tx.ID+recordSuffix)); err != nil {
			return fmt.Errorf("remove an old transaction: %w", err)
		}
	}
	return nil
}
