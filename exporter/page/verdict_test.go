// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
)

func TestVerdict(t *testing.T) {
	lost := inspection.Listener{Refused: &inspection.Refused{Min: 1, Max: 1}}
	may := inspection.Listener{Refused: &inspection.Refused{Max: 1}}
	full := inspection.Listener{AcceptQueue: inspection.AcceptQueue{Length: 9, Limit: 8, Capacity: 9}}
	calm := inspection.Listener{AcceptQueue: inspection.AcceptQueue{Limit: 8, Capacity: 9}}
	counted := inspection.Namespace{Counters: map[string]uint64{"ListenDrops": 7}}
	moved := inspection.Namespace{Counters: map[string]uint64{"ListenDrops": 7}, Moved: map[string]uint64{"ListenDrops": 3}}
	critical, warning, info := inspection.Finding{Severity: "critical"}, inspection.Finding{Severity: "warning"}, inspection.Finding{Severity: "info"}
	type (
		listeners  = []inspection.Listener
		namespaces = []inspection.Namespace
		findings   = []inspection.Finding
	)
	const watched = inspection.SourceAgent
	tests := []struct {
		name       string
		source     inspection.Source
		listeners  listeners
		namespaces namespaces
		findings   findings
		level      string
		want       string
	}{
		{"one lost", watched, listeners{lost, calm}, nil, nil, "bad", "1 listener lost connections in 600 s"},
		{"two lost, one may have", watched, listeners{lost, may, lost}, nil, nil, "bad", "2 listeners lost connections in 600 s, and 1 more may have"},
		{"nobody knows which", watched, listeners{may, may}, nil, nil, "bad", "Connections were lost in 600 s: 2 listeners come into question"},
		{"a queue is full", watched, listeners{full}, nil, nil, "bad", "1 listener has a full queue now"},
		{"a queue is full in a snapshot", inspection.SourceNone, listeners{full}, nil, nil, "bad", "1 listener has a full queue now"},
		{"something critical that no number shows", watched, listeners{calm}, nil, findings{critical}, "bad", "1 critical finding"},
		{"refused at no listener", watched, listeners{calm}, namespaces{moved}, nil, "warn", "3 packets of new connections refused in 600 s, at no listener we know"},
		{"warnings", watched, listeners{calm}, namespaces{counted}, findings{warning, warning}, "warn", "2 warnings; nothing was refused in 600 s"},
		{"a warning of a snapshot", inspection.SourceNone, listeners{calm}, nil, findings{warning}, "warn", "1 warning"},
		{"a quiet snapshot", inspection.SourceNone, listeners{calm}, nil, findings{info}, "quiet", "One snapshot, no queue is full"},
		{"counters that cannot be read", watched, listeners{calm}, namespaces{{}}, nil, "quiet", "Nothing in 600 s that could be read"},
		{"nothing", watched, listeners{calm}, namespaces{counted}, findings{info}, "quiet", "Nothing in 600 s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &inspection.Inspection{
				Window:    inspection.Window{Seconds: 600, Source: tt.source},
				Listeners: tt.listeners, Namespaces: tt.namespaces, Findings: tt.findings,
			}
			got := verdictOf(in)
			if got.Text != tt.want || got.Level != tt.level {
				t.Errorf("verdictOf = %s: %q, want %s: %q", got.Level, got.Text, tt.level, tt.want)
			}
			if strings.Contains(strings.ToLower(got.Text+got.More), "healthy") {
				t.Errorf("verdictOf = %q: nobody knows that", got.Text)
			}
		})
	}
}

func TestVerdictOfTheFirstLook(t *testing.T) {
	in := &inspection.Inspection{Window: inspection.Window{Source: inspection.SourceAgent}}
	if got, want := verdictOf(in).Text, "One snapshot, no queue is full"; got != want {
		t.Errorf("verdictOf a window of 0 s = %q, want %q", got, want)
	}
}

func TestAgeText(t *testing.T) {
	for age, want := range map[time.Duration]string{
		-time.Second:            "0 s ago", // the host's clock was set back
		1900 * time.Millisecond: "1 s ago",
		2 * time.Minute:         "2 min ago",
		119 * time.Minute:       "119 min ago",
		48 * time.Hour:          "48 h ago",
	} {
		if got := ageText(age); got != want {
			t.Errorf("ageText(%v) = %q, want %q", age, got, want)
		}
	}
}

func TestSpanText(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0 s", 1.0011: "1 s", 0.25: "0.3 s", 9.96: "10 s", 599.7: "600 s"} {
		if got := spanText(seconds); got != want {
			t.Errorf("spanText(%v) = %q, want %q", seconds, got, want)
		}
	}
}
