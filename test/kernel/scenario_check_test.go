// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
)

// A check looks closer at a finding.
type check func(testing.TB, inspection.Finding)

// noLongerQueue wants that nothing proposes one.
func noLongerQueue(t testing.TB, f inspection.Finding) {
	t.Helper()
	for _, c := range f.Changes {
		if (c.Key == maxConn || c.Key == synBack) && c.To > c.From {
			t.Errorf("%s proposes %s %d: a longer queue only makes its clients wait longer", f.Code, c.Key, c.To)
		}
	}
	for _, h := range f.Hints {
		if regexp.MustCompile(`(?i)backlog|somaxconn|listen`).MatchString(h.Setting + " " + h.Example) {
			t.Errorf("%s proposes %q %q: a longer queue only makes its clients wait longer", f.Code, h.Setting, h.Example)
		}
	}
}

// longerQueue wants that a change or a hint proposes a queue of at least this
// length.
func longerQueue(least int64) check {
	return func(t testing.TB, f inspection.Finding) {
		t.Helper()
		for _, c := range f.Changes {
			if c.Key == maxConn && c.To >= least {
				return
			}
		}
		for _, h := range f.Hints {
			for _, number := range regexp.MustCompile(`\d+`).FindAllString(h.Setting+" "+h.Example, -1) {
				if n, err := strconv.ParseInt(number, 10, 64); err == nil && n >= least {
					return
				}
			}
		}
		t.Errorf("%s proposes no queue of %d or longer: changes %+v, hints %+v", f.Code, least, f.Changes, f.Hints)
	}
}

// queueUpTo wants that no hint proposes a queue longer than this.
func queueUpTo(most int64) check {
	return func(t testing.TB, f inspection.Finding) {
		t.Helper()
		for _, h := range f.Hints {
			for _, number := range regexp.MustCompile(`\d+`).FindAllString(h.Example, -1) {
				if n, err := strconv.ParseInt(number, 10, 64); err != nil || n > most {
					t.Errorf("%s proposes %q, want a queue of at most %d", f.Code, h.Example, most)
				}
			}
		}
	}
}

// change wants one of these changes, with the effect at once or not.
func change(now bool, keys ...string) check {
	return func(t testing.TB, f inspection.Finding) {
		t.Helper()
		for _, c := range f.Changes {
			if slices.Contains(keys, c.Key) && c.EffectiveNow == now && c.From != c.To {
				return
			}
		}
		t.Errorf("%s: changes %+v, want one of %q with effectiveNow %v", f.Code, f.Changes, keys, now)
	}
}

// changeTo wants exactly this change, with the effect at once.
func changeTo(key string, from, to int64) check {
	return func(t testing.TB, f inspection.Finding) {
		t.Helper()
		for _, c := range f.Changes {
			if c.Key == key && c.From == from && c.To == to && c.EffectiveNow {
				return
			}
		}
		t.Errorf("%s: changes %+v, want %s %d -> %d at once", f.Code, f.Changes, key, from, to)
	}
}

// noChange wants none of these sysctls to be touched.
func noChange(keys ...string) check {
	return func(t testing.TB, f inspection.Finding) {
		t.Helper()
		for _, c := range f.Changes {
			if slices.Contains(keys, c.Key) {
				t.Errorf("%s proposes %+v", f.Code, c)
			}
		}
	}
}

// tells wants a word of this pattern in what the finding says.
func tells(pattern string) check {
	return func(t testing.TB, f inspection.Finding) {
		t.Helper()
		if !regexp.MustCompile("(?i)" + pattern).MatchString(f.Title + " " + f.Why + " " + evidenceText(f)) {
			t.Errorf("%s says %q with %s, want a word of %q", f.Code, f.Why, evidenceText(f), pattern)
		}
	}
}

// rateAndWait wants the two numbers that tell why a longer queue is no help: of a
// server that accepts up to 100 connections a second of a queue of 20 to 50; on a
// busy machine, fewer.
func rateAndWait(t testing.TB, f inspection.Finding) {
	t.Helper()
	rate, okRate := acceptRate(f)
	wait, okWait := waiting(f)
	if !okRate || !okWait || rate < 3 || rate > 110 || wait < 0.15 || wait > 10 {
		t.Errorf("%s: evidence %s, want 3 to 110 accepted a second, and a wait of 0.15 to 10 s", f.Code, evidenceText(f))
	}
}

// rateUpTo wants that no accept rate is claimed above the true one, unless as a
// bound.
func rateUpTo(most float64) check {
	return func(t testing.TB, f inspection.Finding) {
		t.Helper()
		if rate, ok := acceptRate(f); ok && rate > most {
			t.Errorf("%s claims %g accepts a second, want no more than %g", f.Code, rate, most)
		}
	}
}

func acceptRate(f inspection.Finding) (float64, bool) {
	for _, e := range f.Evidence {
		if strings.Contains(e.Name, "accept") && strings.HasSuffix(e.Unit, "/s") && !strings.Contains(e.Name, "at most") {
			return e.Value, true
		}
	}
	return 0, false
}

func waiting(f inspection.Finding) (float64, bool) {
	for _, e := range f.Evidence {
		if strings.Contains(e.Name, "wait") && e.Unit == "s" {
			return e.Value, true
		}
	}
	return 0, false
}
