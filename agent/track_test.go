// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"testing"
	"time"

	"github.com/qtune/qtune/tuner"
)

// TestTrack gives a track a letter for each window: o overflowed, . did not.
func TestTrack(t *testing.T) {
	tests := []struct {
		name, windows string
		entered, over bool
	}{
		{"once is chance", "o", false, false},
		{"twice is not", "oo", true, false},
		{"two of three", "o.o", true, false},
		{"two of four", "o..o", false, false},
		{"five windows without", "oo.....", true, false},
		{"six windows without", "oo......", false, true},
		{"one in six keeps it", "oo.....o.....", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const window = 10 * time.Minute
			tr := &track{}
			now := time.Hour
			for _, w := range tt.windows {
				tr.step(now, window, w == 'o')
				tr.step(now+window/2, window, w != 'o') // is of no account
				now += window
			}
			if tr.entered != tt.entered || tr.over() != tt.over {
				t.Errorf("after %q entered %t, over %t, want %t, %t", tt.windows, tr.entered, tr.over(), tt.entered, tt.over)
			}
		})
	}
}

func TestEndingIn(t *testing.T) {
	for reason, want := range map[string]ending{
		"no-benefit: 47 % of the packets were refused": noBenefit,
		"operator":          overruled,
		"deadline":          inconclusive,
		"reboot":            stopped,
		"":                  stopped,
		"stopped: it is so": stopped,
	} {
		if got := endingIn(reason); got != want {
			t.Errorf("endingIn(%q) = %s, want %s", reason, got, want)
		}
	}
	if got := endingOf(&tuner.Transaction{State: tuner.Conflict}, noBenefit); got != conflict {
		t.Errorf("endingOf a conflict = %s, want %s", got, conflict)
	}
	if got := endingOf(&tuner.Transaction{State: tuner.RolledBack}, confirmed); got == confirmed {
		t.Error("endingOf what was rolled back when it was to be confirmed = confirmed")
	}
}
