// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What the server asks listen(2) for, and what each connection costs it before it
// accepts the next one, as a TLS handshake would.
const (
	backlog = 16
	work    = 100 * time.Microsecond
)

var address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}

// serve accepts connections without end. It is healthy: it works off a burst in
// some ten milliseconds. Only its queue is short.
func serve() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	for {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("accept", err)
		}
		for began := time.Now(); time.Since(began) < work; {
			continue
		}
		unix.Close(conn)
	}
}
