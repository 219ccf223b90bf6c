// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

// bootSteps returns the step that makes the host's values survive a reboot, none
// when no value is the host's.
func bootSteps(_ []Step) []Step { return nil }

// lacksBoot reports whether a confirmed transaction still has to write its file.
func (tx *Transaction) lacksBoot() bool { return false }

// finishBoot writes the file of a confirmed transaction, unless it is written.
func (t *Tuner) finishBoot(_ *session, _ *Transaction) error { return nil }

// undoBoot takes the values of a transaction out of the file again.
func (t *Tuner) undoBoot(_ *session, _ *Transaction) error { return nil }
