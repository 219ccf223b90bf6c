// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"log/slog"
	"maps"
	"slices"

	"github.com/qtune/qtune/inspection"
)

// Troubles are what an enforcer cannot do now. It tries again and again: so each is
// told when it begins, when it becomes another, and when it is over.
type troubles struct {
	log  *slog.Logger
	told map[string]string
}

// tell tells how something went: err is nil when it went well.
func (t *troubles) tell(what string, err error) {
	switch before, known := t.told[what]; {
	case err == nil && known:
		delete(t.told, what)
		t.log.Info("possible again", "what", what)
	case err != nil && before != err.Error():
		t.told[what] = err.Error()
		t.log.Warn("not possible now", "what", what, "error", err)
	}
}

// shown returns all that are not over, those of one cause together.
func (t *troubles) shown() []inspection.Trouble {
	all := []inspection.Trouble{}
	for _, what := range slices.Sorted(maps.Keys(t.told)) {
		same := slices.IndexFunc(all, func(s inspection.Trouble) bool { return s.Error == t.told[what] })
		if same < 0 {
			all = append(all, inspection.Trouble{What: what, Error: t.told[what]})
		} else {
			all[same].What += ", " + what
		}
	}
	return all
}
