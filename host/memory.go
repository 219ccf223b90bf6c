// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Memory is what the host has for queues. What could not be read is 0.
type Memory struct {
	Total       uint64    // MemTotal, bytes
	TCPPages    [3]uint64 // net.ipv4.tcp_mem
	TCPUsed     uint64    // pages that TCP takes now, of /proc/net/sockstat: in all namespaces
	PageSize    uint64    // bytes
	ReceiveWant uint64    // tcp_rmem[1] of the host, bytes
}

// Memory reads what the host has for queues. tcp_mem is shown in the kernel's first
// network namespace only, so it is read in that of process 1.
func (l *Live) Memory() (Memory, error) {
	m := Memory{PageSize: uint64(os.Getpagesize())}
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return m, fmt.Errorf("read the size of memory: %w", err)
	}
	m.Total = si.Totalram * uint64(si.Unit)
	ctx := context.Background() // one namespace takes no time
	found, err := l.Namespaces(ctx, Search{Host: true})
	if err == nil {
		visitErr := l.Visit(ctx, found.Namespaces, func(_ *Namespace, _ Inside, e error) {
			if err = e; err == nil {
				err = l.tcpMemory(&m)
			}
		})
		err = errors.Join(err, visitErr)
	}
	if err != nil {
		return m, fmt.Errorf("read the memory of TCP: %w", err)
	}
	return m, nil
}

// tcpMemory reads what the thread's namespace shows.
func (l *Live) tcpMemory(m *Memory) error {
	var buf [1024]byte
	b, err := readFile(l.path("proc/thread-self/net/sockstat"), buf[:])
	if err == nil {
		m.TCPUsed, err = parseSockstat(b)
	}
	if err != nil {
		return err
	}
	rmem, err := l.triple("tcp_rmem")
	if err != nil {
		return err
	}
	m.ReceiveWant = rmem[1]
	m.TCPPages, err = l.triple("tcp_mem")
	return err
}

// triple reads a sysctl of three numbers.
func (l *Live) triple(name string) ([3]uint64, error) {
	var buf [128]byte
	b, err := readFile(l.path("proc/sys/net/ipv4/"+name), buf[:])
	if err != nil {
		return [3]uint64{}, err
	}
	t, err := parseTriple(b)
	if err != nil {
		return t, fmt.Errorf("read %s: %w", name, err)
	}
	return t, nil
}

// parseTriple reads the three numbers of tcp_mem and tcp_rmem.
func parseTriple(b []byte) (t [3]uint64, err error) {
	f := bytes.Fields(b)
	if len(f) != len(t) {
		return t, fmt.Errorf("%d numbers, want %d", len(f), len(t))
	}
	for i := range t {
		if t[i], err = strconv.ParseUint(string(f[i]), 10, 64); err != nil {
			return [3]uint64{}, err
		}
	}
	return t, nil
}

// parseSockstat reads mem of the line TCP.
func parseSockstat(b []byte) (uint64, error) {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("TCP:")); ok {
			f := bytes.Fields(rest)
			for i := 0; i+1 < len(f); i += 2 {
				if string(f[i]) == "mem" {
					return strconv.ParseUint(string(f[i+1]), 10, 64)
				}
			}
		}
	}
	return 0, errors.New("no mem of TCP")
}
