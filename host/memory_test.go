// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"os"
	"testing"
)

func TestParseSockstat(t *testing.T) {
	const text = "sockets: used 15\nTCP: inuse 1 orphan 0 tw 0 alloc 501 mem 321\nUDP: inuse 0 mem 7\nFRAG: inuse 0 memory 0\n"
	tests := []struct {
		name, text string
		want       uint64
		ok         bool
	}{
		{"as Linux 6.18 has it", text, 321, true},
		{"more fields", "TCP: inuse 1 mem 5 new 6\n", 5, true},
		{"another protocol's", "UDP: inuse 0 mem 7\n", 0, false},
		{"no number", "TCP: inuse 1 mem x\n", 0, false},
		{"a negative number", "TCP: inuse 1 mem -3\n", 0, false},
		{"a name without a number", "TCP: mem\n", 0, false},
		{"nothing", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSockstat([]byte(tt.text))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("parseSockstat(%q) = %d, %v, want %d, error: %t", tt.text, got, err, tt.want, !tt.ok)
			}
		})
	}
}

func TestParseTriple(t *testing.T) {
	tests := []struct {
		name, text string
		want       [3]uint64
		ok         bool
	}{
		{"tcp_rmem", "4096\t131072\t33554432\n", [3]uint64{4096, 131072, 33554432}, true},
		{"two numbers", "4096\t131072\n", [3]uint64{}, false},
		{"four", "1 2 3 4", [3]uint64{}, false},
		{"no number", "1 x 3", [3]uint64{}, false},
		{"nothing", "", [3]uint64{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseTriple([]byte(tt.text))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("parseTriple(%q) = %v, %v, want %v, error: %t", tt.text, got, err, tt.want, !tt.ok)
			}
		})
	}
}

func FuzzParseMemory(f *testing.F) {
	f.Add([]byte("TCP: inuse 1 orphan 0 tw 0 alloc 501 mem 321\n"))
	f.Add([]byte("4096\t131072\t33554432\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		parseSockstat(b) //nolint:errcheck // it is to end, that is all
		parseTriple(b)   //nolint:errcheck // as above
	})
}

// TestMemory proves that what is read is in its place: the numbers of tcp_mem rise,
// and all of TCP's memory fits into the host's.
func TestMemory(t *testing.T) {
	m, err := liveHost(t).Memory()
	if errors.Is(err, ErrAbsent) || errors.Is(err, ErrPermission) {
		t.Skip(err)
	}
	p := m.TCPPages
	if err != nil || p[0] == 0 || p[0] > p[1] || p[1] > p[2] || p[2]*m.PageSize > m.Total || m.TCPUsed > p[2] {
		t.Errorf("Memory() = %+v, %v, want rising tcp_mem within it", m, err)
	}
	if m.PageSize != uint64(os.Getpagesize()) || m.ReceiveWant < m.PageSize || m.ReceiveWant > m.Total {
		t.Errorf("Memory() = %+v, want tcp_rmem[1] between a page and all", m)
	}
}
