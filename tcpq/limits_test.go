// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"math"
	"testing"
)

func TestQueueFull(t *testing.T) {
	tests := []struct {
		name     string
		q        Queue
		full     bool
		capacity uint64
	}{
		{"empty", Queue{0, 128}, false, 129},
		{"one below the limit", Queue{127, 128}, false, 129},
		{"at the limit one more fits", Queue{128, 128}, false, 129},
		{"one past the limit", Queue{129, 128}, true, 129},
		{"CPUs raced past the test", Queue{131, 128}, true, 129},
		{"listen(fd, 0) holds one", Queue{0, 0}, false, 1},
		{"listen(fd, 0) with one", Queue{1, 0}, true, 1},
		{"the largest limit", Queue{math.MaxUint32, math.MaxUint32}, false, 1 << 32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.q.Full(); got != tt.full {
				t.Errorf("%+v.Full() = %t, want %t", tt.q, got, tt.full)
			}
			if got := tt.q.Capacity(); got != tt.capacity {
				t.Errorf("%+v.Capacity() = %d, want %d", tt.q, got, tt.capacity)
			}
		})
	}
}

func TestSynQueueAtLimit(t *testing.T) {
	tests := []struct {
		name string
		q    SynQueue
		want bool
	}{
		{"one below", SynQueue{Queue: Queue{96, 97}, Counted: true, MaxKnown: true}, false},
		{"at the limit", SynQueue{Queue: Queue{97, 97}, Counted: true, MaxKnown: true}, true},
		{"past it: peers with a cached round-trip time", SynQueue{Queue: Queue{120, 97}, Counted: true, MaxKnown: true, BoundBy: SynBoundMaxSynBacklog}, true},
		{"not counted", SynQueue{Queue: Queue{97, 97}, MaxKnown: true}, false},
		{"the limit is not known", SynQueue{Queue: Queue{97, 0}, Counted: true}, false},
		{"full when empty: listen(fd, 0) on 5.10", SynQueue{Counted: true, MaxKnown: true, BoundBy: SynBoundListener}, true},
		{"nothing is ever stored when every SYN gets a cookie", SynQueue{Counted: true, MaxKnown: true, BoundBy: SynBoundSyncookies}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.q.AtLimit(); got != tt.want {
				t.Errorf("%+v.AtLimit() = %t, want %t", tt.q, got, tt.want)
			}
		})
	}
}

var (
	v5_10  = Version{Major: 5, Minor: 10, Patch: 223}
	v6_1   = Version{Major: 6, Minor: 1, Patch: 170}
	v6_18  = Version{Major: 6, Minor: 18, Patch: 44}
	tested = []Version{v5_10, v6_1, v6_18}
)

// TestSynQueueMaxObserved holds the rows of "SYN queue, forged SYNs, never
// acknowledged": what the kernels themselves held.
func TestSynQueueMaxObserved(t *testing.T) {
	const unseen = -1 // not measured, or fewer SYNs were sent than fit
	tests := []struct {
		name          string
		limit         uint32
		maxSyn        int64
		off, off5_10  int64 // half-open peers with tcp_syncookies=0 on 6.18 and 6.1, on 5.10
		on, on5_10    int64 // with tcp_syncookies=1
		boundBy       SynBound
		atLeastWithOn uint32 // all of so many SYNs fitted with tcp_syncookies=1
	}{
		{"B=0 M=128", 0, 128, 1, 0, 1, 0, SynBoundListener, 0},
		{"B=1 M=128", 1, 128, 2, 1, 2, 1, SynBoundListener, 0},
		{"B=4 M=128", 4, 128, 5, 4, 5, 4, SynBoundListener, 0},
		{"B=10 M=128", 10, 128, 11, 10, 11, 10, SynBoundListener, 0},
		{"B=128 M=128", 128, 128, 97, 97, 129, 128, SynBoundMaxSynBacklog, 0},
		{"B=500 M=128", 500, 128, 97, 97, 501, 500, SynBoundMaxSynBacklog, 0},
		{"B=500 M=16", 500, 16, 13, 13, unseen, unseen, SynBoundMaxSynBacklog, 100},
		{"B=500 M=5", 500, 5, 5, unseen, unseen, unseen, SynBoundMaxSynBacklog, 50},
		{"B=500 M=0", 500, 0, 1, unseen, unseen, unseen, SynBoundMaxSynBacklog, 50},
		{"B=100 M=4096", 100, 4096, 101, 100, 101, 100, SynBoundListener, 0},
		{"resized live: B=4 M=128", 4, 128, 5, unseen, unseen, unseen, SynBoundListener, 0},
		{"resized live: B=30 M=128", 30, 128, 31, unseen, unseen, unseen, SynBoundListener, 0},
		{"resized live: B=1000 M=64", 1000, 64, 49, unseen, unseen, unseen, SynBoundMaxSynBacklog, 0},
		{"resized live: B=1000 M=200", 1000, 200, 151, unseen, unseen, unseen, SynBoundMaxSynBacklog, 300},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range tested {
				off, on := tt.off, tt.on
				if v == v5_10 {
					off, on = tt.off5_10, tt.on5_10
				}
				if got, by := SynQueueMax(v, tt.limit, tt.maxSyn, 0); off != unseen && (int64(got) != off || by != tt.boundBy) {
					t.Errorf("SynQueueMax(%v, %d, %d, 0) = %d, %s, want %d, %s", v, tt.limit, tt.maxSyn, got, by, off, tt.boundBy)
				}
				got, by := SynQueueMax(v, tt.limit, tt.maxSyn, 1)
				if on != unseen && int64(got) != on || got < tt.atLeastWithOn || by != SynBoundListener {
					t.Errorf("SynQueueMax(%v, %d, %d, 1) = %d, %s, want %d, at least %d, %s", v, tt.limit, tt.maxSyn, got, by, on, tt.atLeastWithOn, SynBoundListener)
				}
				if got, by := SynQueueMax(v, tt.limit, tt.maxSyn, 2); got != 0 || by != SynBoundSyncookies {
					t.Errorf("SynQueueMax(%v, %d, %d, 2) = %d, %s, want 0, %s", v, tt.limit, tt.maxSyn, got, by, SynBoundSyncookies)
				}
			}
		})
	}
}

func TestSynQueueMax(t *testing.T) {
	tests := []struct {
		name    string
		version Version
		limit   uint32
		maxSyn  int64
		cookies int64
		want    uint32
		by      SynBound
	}{
		{"M=-1 lets one in: -1-0 is not below -1>>2", v6_18, 500, -1, 0, 1, SynBoundMaxSynBacklog},
		{"M=-2 lets nobody in", v6_18, 500, -2, 0, 0, SynBoundMaxSynBacklog},
		{"M=-5 lets nobody in", v6_18, 500, -5, 0, 0, SynBoundMaxSynBacklog},
		{"M=-5 lets nobody in on 5.10", v5_10, 500, -5, 0, 0, SynBoundMaxSynBacklog},
		{"a negative M is not looked at with cookies", v6_18, 500, -5, 1, 501, SynBoundListener},
		{"M=1 lets two in", v6_18, 500, 1, 0, 2, SynBoundMaxSynBacklog},
		{"M=3 lets four in", v6_18, 500, 3, 0, 4, SynBoundMaxSynBacklog},
		{"M=4 lets four in", v6_18, 500, 4, 0, 4, SynBoundMaxSynBacklog},
		{"the largest limit", v6_18, math.MaxInt32, 128, 1, math.MaxInt32 + 1, SynBoundListener},
		{"the largest limit on 5.10", v5_10, math.MaxInt32, 128, 1, math.MaxInt32, SynBoundListener},
		{"the largest limit, three quarters of M", v6_18, math.MaxInt32, 4096, 0, 3073, SynBoundMaxSynBacklog},
		{"the largest of both", v6_18, math.MaxInt32, math.MaxInt32, 0, math.MaxInt32 - math.MaxInt32>>2 + 1, SynBoundMaxSynBacklog},
		{"a limit no kernel has does not wrap", v6_18, math.MaxUint32, 128, 1, math.MaxUint32, SynBoundListener},
		{"at a tie the listener's limit is met first", v6_18, 96, 128, 0, 97, SynBoundListener},
		{"one above the tie", v6_18, 97, 128, 0, 97, SynBoundMaxSynBacklog},
		{"cookies 3 are as 1", v6_18, 100, 16, 3, 101, SynBoundListener},
		{"cookies 255 are as 1", v6_18, 100, 16, 255, 101, SynBoundListener},
		{"cookies 0", v6_18, 100, 16, 0, 13, SynBoundMaxSynBacklog},

		{"6.12 before the change", Version{Major: 6, Minor: 12, Patch: 9}, 100, 4096, 0, 100, SynBoundListener},
		{"6.12 after the change", Version{Major: 6, Minor: 12, Patch: 10}, 100, 4096, 0, 101, SynBoundListener},
		{"6.1 before the change", Version{Major: 6, Minor: 1, Patch: 124}, 100, 4096, 0, 100, SynBoundListener},
		{"6.1 after the change", Version{Major: 6, Minor: 1, Patch: 125}, 100, 4096, 0, 101, SynBoundListener},
		{"6.13 was made with the change", Version{Major: 6, Minor: 13}, 100, 4096, 0, 101, SynBoundListener},
		{"7.2 has it", Version{Major: 7, Minor: 2, Patch: 8}, 100, 4096, 0, 101, SynBoundListener},
		{"6.6 before the change", Version{Major: 6, Minor: 6, Patch: 71}, 100, 4096, 0, 100, SynBoundListener},
		{"6.6 after the change", Version{Major: 6, Minor: 6, Patch: 72}, 100, 4096, 0, 101, SynBoundListener},
		{"5.15 before the change", Version{Major: 5, Minor: 15, Patch: 176}, 100, 4096, 0, 100, SynBoundListener},
		{"5.15 after the change", Version{Major: 5, Minor: 15, Patch: 177}, 100, 4096, 0, 101, SynBoundListener},
		{"5.10 before the change", Version{Major: 5, Minor: 10, Patch: 233}, 100, 4096, 0, 100, SynBoundListener},
		{"5.10 after the change", Version{Major: 5, Minor: 10, Patch: 234}, 100, 4096, 0, 101, SynBoundListener},
		{"5.4.273 has not", Version{Major: 5, Minor: 4, Patch: 273}, 100, 4096, 0, 100, SynBoundListener},
		{"a patch level of another series proves nothing", Version{Major: 6, Minor: 11, Patch: 200}, 100, 4096, 0, 100, SynBoundListener},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, by := SynQueueMax(tt.version, tt.limit, tt.maxSyn, tt.cookies)
			if got != tt.want || by != tt.by {
				t.Errorf("SynQueueMax(%v, %d, %d, %d) = %d, %s, want %d, %s", tt.version, tt.limit, tt.maxSyn, tt.cookies, got, by, tt.want, tt.by)
			}
		})
	}
}

// TestSynQueueMaxDecision asks the kernel's own decision list, SYN by SYN.
func TestSynQueueMaxDecision(t *testing.T) {
	// accepts is the decision of tcp_conn_request for an unproven peer.
	accepts := func(v Version, limit uint32, maxSyn int32, cookies int64, queued uint32) bool {
		full := queued >= limit
		if v.Has(SynFullAboveLimit) {
			full = queued > limit
		}
		if cookies == 2 || full {
			return false
		}
		return cookies != 0 || maxSyn-int32(queued) >= maxSyn>>2
	}
	for _, v := range tested {
		for limit := range uint32(70) {
			for maxSyn := int32(-9); maxSyn < 90; maxSyn++ {
				for _, cookies := range []int64{0, 1, 2, 255} {
					want := uint32(0)
					for accepts(v, limit, maxSyn, cookies, want) {
						want++
					}
					if got, by := SynQueueMax(v, limit, int64(maxSyn), cookies); got != want {
						t.Fatalf("SynQueueMax(%v, %d, %d, %d) = %d, %s, want %d", v, limit, maxSyn, cookies, got, by, want)
					}
				}
			}
		}
	}
}

func TestBoundBy(t *testing.T) {
	tests := []struct {
		name      string
		limit     uint32
		somaxconn int64 // -1: unknown
		want      LimitBound
	}{
		{"equal is probably clamped", 4096, 4096, BoundSomaxconn},
		{"one below was asked for", 4095, 4096, BoundApplication},
		{"one above was clamped by nobody known", 4097, 4096, BoundUnknown},
		{"somaxconn is hidden", 128, -1, BoundUnknown},
		{"somaxconn is hidden and the limit 0", 0, -1, BoundUnknown},
		{"both 0", 0, 0, BoundSomaxconn},
		{"the largest", math.MaxInt32, math.MaxInt32, BoundSomaxconn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Sysctls
			if tt.somaxconn >= 0 {
				s.Set(Somaxconn, tt.somaxconn)
			}
			if got := BoundBy(tt.limit, &s); got != tt.want {
				t.Errorf("BoundBy(%d, somaxconn %d) = %s, want %s", tt.limit, tt.somaxconn, got, tt.want)
			}
		})
	}
}
