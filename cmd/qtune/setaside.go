// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import "github.com/qtune/qtune/inspection"

// setAside returns the records that could not be read, for people.
func setAside(t *hostTuner) ([]string, error) {
	all, err := t.SetAside()
	for i := range all {
		all[i] = inspection.Text(all[i])
	}
	return all, err
}

// setAside names the records that could not be read, until somebody deletes them:
// what an open one changed is still in force, and nothing else tells of it.
func (s *screen) setAside(files []string) {
	if len(files) == 0 {
		return
	}
	s.say("%s that could not be read: %s", s.paint(styleYel, count(len(files), "record")), listed(files))
	s.say("What an open one changed stays: compare its values with the kernel's, then delete it.")
}
