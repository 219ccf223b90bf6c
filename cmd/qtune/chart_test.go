// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
)

func TestChart(t *testing.T) {
	slots := func(refused int, peaks ...uint32) (all []inspection.Slot) {
		for i, p := range peaks {
			s := inspection.Slot{Seconds: 10, Peak: p}
			if i == refused {
				s.Refused = 7
			}
			all = append(all, s)
		}
		return all
	}
	tests := []struct {
		name, golden string
		h            inspection.History
	}{
		{"a queue that overflows", "overflow.txt", inspection.History{Limit: 7, Slots: slots(3, 0, 1, 4, 8)}},
		{"far below its limit the line is not shown", "low.txt", inspection.History{Limit: 4096, Slots: slots(-1, 4, 8, 16)}},
		{"an empty queue", "empty.txt", inspection.History{Limit: 128, Slots: slots(-1, 0, 0)}},
		{"more slots than there is room for: the latest", "long.txt", inspection.History{Limit: 1, Slots: append(slots(-1, 2, 2, 2), slots(5, make([]uint32, 77)...)...)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := strings.Join(chart(&tt.h, 78, 2, false), "\n")
			compareGolden(t, "testdata/chart/"+tt.golden, []byte(lines+"\n"))
		})
	}
}
