// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

// A Memory is what the host has for queues.
type Memory struct {
	Total       uint64    // MemTotal, bytes
	TCPPages    [3]uint64 // net.ipv4.tcp_mem
	TCPUsed     uint64    // pages that TCP takes now, of /proc/net/sockstat
	PageSize    uint64    // bytes
	ReceiveWant uint64    // tcp_rmem[1] of the host, bytes
}
