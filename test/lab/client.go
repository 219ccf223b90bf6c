// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Clients connect to one address over loopback, each from one of 16 addresses in
// turn (of IPv6 there is only one). They do not wait: some may never be
// established, and those ask again as the kernel has it.
type Clients struct {
	t    testing.TB
	dst  netip.AddrPort
	most int
	fds  []int // the oldest first
	come int
}

// NewClients returns the clients of dst, of which at most this many exist at a
// time: the oldest hang up.
func NewClients(t testing.TB, dst netip.AddrPort, most int) *Clients {
	c := &Clients{t: t, dst: dst, most: most}
	t.Cleanup(c.Leave)
	return c
}

// Come lets more clients connect. It is called inside the namespace.
func (c *Clients) Come(count int) {
	c.t.Helper()
	for range count {
		if len(c.fds) >= c.most {
			hangUp(c.fds[0])
			c.fds = c.fds[1:]
		}
		fd, err := unix.Socket(familyOf(c.dst.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		must(c.t, "socket", err)
		c.fds = append(c.fds, fd)
		if c.dst.Addr().Is4() {
			must(c.t, "choose an address", bindSource(fd, c.come))
		}
		c.come++
		if err := unix.Connect(fd, sockaddr(c.dst)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			must(c.t, "connect to "+c.dst.String(), err)
		}
	}
}

// Leave lets all clients hang up.
func (c *Clients) Leave() {
	for _, fd := range c.fds {
		hangUp(fd)
	}
	c.fds = nil
}

// Sources is from how many loopback addresses clients come.
const Sources = 16

// bindSource gives a client the nth loopback address; the port is chosen when it
// connects.
func bindSource(fd, n int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 1, byte(1 + n%Sources)}})
}

// Visit connects, waits until the server hangs up, and does so again until stop
// is closed: the client of a closed loop, of which a queue never holds more than
// one. It is called inside the namespace, with the number of the address it comes
// from, and adds to served each time it was.
func Visit(dst netip.AddrPort, source int, stop <-chan struct{}, served *atomic.Int64) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := visit(dst, source); err != nil {
			return err
		}
		served.Add(1)
	}
}

func visit(dst netip.AddrPort, source int) error {
	fd, err := unix.Socket(familyOf(dst.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer hangUp(fd)
	if err := bindSource(fd, source); err != nil {
		return err
	}
	if err = unix.Connect(fd, sockaddr(dst)); err == nil {
		var b [1]byte
		_, err = unix.Read(fd, b[:])
	}
	if errors.Is(err, unix.ECONNRESET) { // that is how it hangs up
		return nil
	}
	return err
}
