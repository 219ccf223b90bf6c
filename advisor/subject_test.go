// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"testing"

	"github.com/qtune/qtune/tcpq"
)

func TestTimesNear(t *testing.T) {
	tests := []struct {
		name    string
		limit   uint32
		lengths []uint32
		between []uint32
		want    int
	}{
		{"four fifths are near, a little less is not", 10, []uint32{8, 7, 0}, nil, 1},
		{"what was seen between the ends of a slot counts", 10, []uint32{0, 0, 0}, []uint32{9, 8, 3}, 2},
		{"an empty queue of limit 0 is not near", 0, []uint32{0, 1}, nil, 1},
	}
	for _, tt := range tests {
		l := subject{l: &tcpq.Listener{Accept: tcpq.Queue{Max: tt.limit}}, seen: tcpq.ListenerWindow{Lengths: tt.lengths, Between: tt.between}}
		if got := l.timesNear(); got != tt.want {
			t.Errorf("%s: timesNear() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestBurstsInStepWithTheSlots(t *testing.T) {
	scene := &scene{}
	window := tcpq.ListenerWindow{Slots: 4, Lengths: []uint32{9, 9, 9, 9, 9}, Emptied: []bool{true, true, true, true}}
	l := subject{scene: scene, l: &tcpq.Listener{Accept: tcpq.Queue{Max: 8}}, seen: window}
	if l.standing() || l.neverEmptied() || l.neverBelow(2) {
		t.Error("a queue that samples showed empty in every slot stands")
	}
	l.seen.Emptied = make([]bool, 4)
	if !l.standing() || !l.neverEmptied() || !l.neverBelow(2) {
		t.Error("a queue that was full at every look does not stand")
	}
}
