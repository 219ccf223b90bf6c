// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

// A fault is a point at which the machine could stop, and what was begun would be
// left to who recovers.
type fault string

// The points, in the order of a transaction's life.
const (
	faultJournalSynced  fault = "journal-synced"  // the new record is durable, under another name
	faultJournalRenamed fault = "journal-renamed" // it has its name; the folder is not durable
	faultPrepared       fault = "prepared"        // the journal has it, the kernel nothing
	faultWritten        fault = "written"         // after each step
	faultVerified       fault = "verified"        // all was read back; the journal says prepared
	faultApplied        fault = "applied"         // the journal says so
	faultConfirmed      fault = "confirmed"       // the journal says so; no boot file is written
	faultPersisted      fault = "persisted"       // it is written; the journal does not say so
	faultUndoing        fault = "undoing"         // before anything is undone
	faultUndone         fault = "undone"          // after each step
	faultClosing        fault = "closing"         // all is undone; the journal does not say so
)

// at is called at every point.
func (t *Tuner) at(f fault) {
	if t.fault != nil {
		t.fault(f)
	}
}
