// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

var update = flag.Bool("update", false, "write the golden files anew")

// recorded inspects a recorded host.
func recorded(t *testing.T, name string) *inspection.Inspection {
	t.Helper()
	h, err := host.OpenRecording(filepath.Join("../test/hosts", name))
	if err != nil {
		t.Fatal(err)
	}
	s, w, err := collector.New(h, collector.Options{Syn: collector.SynAll, Log: slog.New(slog.DiscardHandler)}).Replay(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Default()
	return inspection.From(s, w, advisor.Advise(s, w, &p))
}

// TestPlansOfRecordedHosts compares whole plans, as they are saved.
func TestPlansOfRecordedHosts(t *testing.T) {
	tests := []struct {
		name string // of the golden file
		host string
		plan func(*Planner) *Plan
	}{
		{"pod-live-resize", "pods", func(p *Planner) *Plan { p.LiveResize = true; return p.Advised() }},
		{"group-live-resize", "reuseport", func(p *Planner) *Plan { p.LiveResize = true; return p.Advised() }},
		{"host-somaxconn", "half-open", func(p *Planner) *Plan {
			return p.Wished([]Wish{
				{Netns: p.Inspection.Namespaces[0].Inode, Key: tcpq.Somaxconn, To: 8192},
				{Netns: p.Inspection.Namespaces[0].Inode, Key: tcpq.TCPMaxSynBacklog, To: 8192},
			})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.Inspection = recorded(t, tt.host)
			w.AtBoot = func(tcpq.Sysctl) []Setter {
				return []Setter{{Where: "/etc/sysctl.d/99-site.conf:3", Value: "1024", Wins: true}}
			}
			var got bytes.Buffer
			if err := WritePlan(&got, tt.plan(&w.Planner)); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", tt.name+".json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}
