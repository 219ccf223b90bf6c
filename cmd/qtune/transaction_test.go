// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/tuner"
)

// transactions are one in each state, the newest first.
func transactions() []*tuner.Transaction {
	began := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	seen := int64(1024)
	begun := func(n int, state tuner.State, reason string, outcomes ...tuner.Outcome) *tuner.Transaction {
		at := began.Add(-time.Duration(n) * time.Hour)
		tx := &tuner.Transaction{
			Schema: 1, ID: fmt.Sprintf("01JDK8%020d", 100-n), State: state, Reason: reason,
			Created: tuner.Moment{Wall: at, Boot: time.Hour}, BootID: "boot",
			Actor: tuner.Actor{UID: 0, PID: 4711, Comm: "qtune"}, Why: "what the findings advise", Steps: plannedSteps(),
		}
		for i := range tx.Steps {
			tx.Steps[i].Outcome = outcomes[i%len(outcomes)]
		}
		if !state.Open() {
			tx.Closed = at.Add(10 * time.Minute)
		}
		return tx
	}
	trial := begun(0, tuner.Applied, "", tuner.Done)
	trial.Deadline, trial.Guardian = &tuner.Moment{Wall: began.Add(10 * time.Minute), Boot: time.Hour + 10*time.Minute}, tuner.ByForeground
	conflict := begun(3, tuner.Conflict, "deadline", tuner.Undone, tuner.Foreign, tuner.LeftHigh)
	conflict.Steps[1].Seen = &seen
	incomplete := begun(5, tuner.Prepared, "could not be undone in full, asked for because of: deadline", tuner.Undone, tuner.Unknown, tuner.Unknown)
	incomplete.Steps[1].Message = "open net:[4026532417]: not permitted: operation not permitted"
	return []*tuner.Transaction{
		trial,
		begun(1, tuner.Confirmed, "", tuner.Done),
		begun(2, tuner.RolledBack, "operator", tuner.Undone),
		conflict,
		begun(4, tuner.Gone, "vanished during the trial", tuner.Vanished),
		incomplete,
	}
}

// TestTransactionScreens compares what is said of each transaction, at once and
// asked for, with golden files.
func TestTransactionScreens(t *testing.T) {
	now := tuner.Now{Moment: tuner.Moment{Boot: time.Hour + 2*time.Minute}, BootID: "boot"}
	for _, tx := range transactions() {
		for _, width := range []int{80, 120} {
			file := fmt.Sprintf("%s-%d.txt", tx.State, width)
			t.Run(file, func(t *testing.T) {
				var b bytes.Buffer
				s := &screen{w: newWriter(&b), style: tableStyle{Width: width}}
				s.transaction(tx, now)
				fmt.Fprintln(s.w, "\n---")
				s.decided(tx)
				if err := s.w.Flush(); err != nil {
					t.Fatal(err)
				}
				tooWide(t, b.String(), width)
				compareGolden(t, filepath.Join("testdata", "transaction", file), b.Bytes())
			})
		}
	}
}

func TestHistoryScreens(t *testing.T) {
	now := tuner.Now{Moment: tuner.Moment{Boot: time.Hour + 2*time.Minute}, BootID: "boot"}
	var b bytes.Buffer
	if err := writeHistory(&b, transactions(), nil, now); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, filepath.Join("testdata", "transaction", "history.txt"), b.Bytes())
	b.Reset()
	if err := writeAs(&b, "json", historyOf(transactions(), nil), nil); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, filepath.Join("testdata", "transaction", "history.json"), b.Bytes())
	b.Reset()
	if err := writeHistory(&b, nil, nil, now); err != nil || b.String() != "qtune has changed nothing on this host.\n" {
		t.Errorf("an empty journal: %q, %v", b.String(), err)
	}
}

func TestDriftScreen(t *testing.T) {
	seen := int64(128)
	step := plannedSteps()[1]
	step.Seen = &seen
	var b bytes.Buffer
	if err := writeText(&b, outputText, nil, func(s *screen) {
		s.drifts([]tuner.Drift{{Transaction: transactions()[1].ID, Step: step}}, true)
	}); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, filepath.Join("testdata", "transaction", "drift.txt"), b.Bytes())
}

// TestDocumentsHaveAKind decodes what -o json prints of a transaction.
func TestDocumentsHaveAKind(t *testing.T) {
	b, err := json.Marshal(documentOf(transactions()[0]))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		APIVersion, Kind, ID, State string
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.APIVersion != tuner.APIVersion || got.Kind != "Transaction" || got.ID == "" || got.State != "applied" {
		t.Errorf("a transaction is written as %s", b)
	}
}

// TestJournalWithoutValues runs the commands that read the journal where nothing is
// confirmed, and where a record was set aside.
func TestJournalWithoutValues(t *testing.T) {
	const nothing, confirmed, drift = "qtune has changed nothing", "Nothing is confirmed", "No drift"
	bad := filepath.Join("journal", "01JDHV5A000000000000000000.json.bad")
	aside := "1 record that could not be read:"
	tests := []struct {
		name  string
		args  []string
		bad   bool
		wants []string
		never []string
	}{
		{"history of nothing", []string{"history"}, false, []string{nothing}, []string{aside}},
		{"history of a record that cannot be read", []string{"history"}, true, []string{aside, bad}, []string{nothing}},
		{"the same as JSON", []string{"history", "-o", "json"}, true, []string{`"setAside"`, bad}, nil},
		{"drift of nothing", []string{"drift"}, false, []string{confirmed}, []string{drift, aside}},
		{"drift of a record that cannot be read", []string{"drift"}, true, []string{confirmed, aside, bad}, []string{drift}},
		{"recovery of a record that cannot be read", []string{"recover"}, true, []string{"Nothing to recover", aside, bad}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "journal"), 0o700); err != nil {
				t.Fatal(err)
			}
			if tt.bad {
				if err := os.WriteFile(filepath.Join(dir, bad), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b, err := execute(t, append(tt.args, "--state-dir", dir, "--lock-file", filepath.Join(dir, "lock"))...)
			if err != nil {
				t.Fatal(err)
			}
			out := string(b)
			for _, want := range tt.wants {
				if !strings.Contains(out, want) {
					t.Errorf("qtune %v says %q, want %q in it", tt.args, out, want)
				}
			}
			for _, never := range tt.never {
				if strings.Contains(out, never) {
					t.Errorf("qtune %v says %q, want no %q in it", tt.args, out, never)
				}
			}
		})
	}
}
