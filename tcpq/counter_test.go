// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"math"
	"testing"
)

// counts makes Counters of pairs.
func counts(pairs map[Counter]uint64) Counters {
	var t Counters
	for c, n := range pairs {
		t.Set(c, n)
	}
	return t
}

func TestCountersSince(t *testing.T) {
	tests := []struct {
		name         string
		earlier, now map[Counter]uint64
		want         map[Counter]uint64
	}{
		{"what moved", map[Counter]uint64{ListenDrops: 5}, map[Counter]uint64{ListenDrops: 12}, map[Counter]uint64{ListenDrops: 7}},
		{"what did not move is known", map[Counter]uint64{ListenDrops: 5}, map[Counter]uint64{ListenDrops: 5}, map[Counter]uint64{ListenDrops: 0}},
		{"a step back is 0", map[Counter]uint64{ListenDrops: 5}, map[Counter]uint64{ListenDrops: 4}, map[Counter]uint64{ListenDrops: 0}},
		{"a fall from the top is 0", map[Counter]uint64{ListenDrops: math.MaxUint64}, map[Counter]uint64{ListenDrops: 0}, map[Counter]uint64{ListenDrops: 0}},
		{"to the top", map[Counter]uint64{ListenDrops: 0}, map[Counter]uint64{ListenDrops: math.MaxUint64}, map[Counter]uint64{ListenDrops: math.MaxUint64}},
		{"unknown before stays unknown", nil, map[Counter]uint64{ListenDrops: 5}, nil},
		{"unknown now stays unknown", map[Counter]uint64{ListenDrops: 5}, nil, nil},
		{"each by itself", map[Counter]uint64{ListenDrops: 5, OutRsts: 9}, map[Counter]uint64{ListenDrops: 6, OutRsts: 8, TCPTimeouts: 3}, map[Counter]uint64{ListenDrops: 1, OutRsts: 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			earlier, now, want := counts(tt.earlier), counts(tt.now), counts(tt.want)
			if got := now.Since(&earlier); got != want {
				t.Errorf("%v.Since(%v) = %v, want %v", tt.now, tt.earlier, got, tt.want)
			}
		})
	}
}

func TestCountersAdd(t *testing.T) {
	sum := counts(map[Counter]uint64{ListenDrops: 5, OutRsts: 1})
	d := counts(map[Counter]uint64{ListenDrops: 2, TCPTimeouts: 3})
	sum.Add(&d)
	want := counts(map[Counter]uint64{ListenDrops: 7, OutRsts: 1, TCPTimeouts: 3})
	if sum != want {
		t.Errorf("Add = %v, want %v", sum, want)
	}
	if n := sum.Value(SyncookiesSent); n != 0 {
		t.Errorf("Value(SyncookiesSent) = %d, want 0 when unknown", n)
	}
	if _, ok := sum.Get(SyncookiesSent); ok {
		t.Error("Get(SyncookiesSent) is known, want unknown")
	}
}
