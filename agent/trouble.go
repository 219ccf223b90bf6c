// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import "log/slog"

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
