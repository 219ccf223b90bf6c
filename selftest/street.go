// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// server is the address of all listeners. It must not be 127.0.0.1: the kernel
// takes nothing for that from a packet socket.
var server = netip.MustParseAddr("192.0.2.1")

// peersNet is where forged peers live. What the kernel sends there goes to lo,
// comes back, is seen by a packet socket and then discarded: no device is needed
// that a kernel may lack.
var peersNet = netip.MustParsePrefix("10.0.0.0/8")

// layStreet gives lo of the calling thread's namespace the server's address and
// the route to the peers, and returns the number of lo.
func layStreet() (lo int, err error) {
	dev, err := net.InterfaceByName("lo")
	if err != nil {
		return 0, err
	}
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for _, m := range []struct {
		doing string
		kind  netlink.HeaderType
		body  []byte
		attrs []netlink.Attribute
	}{
		{"give lo an address", unix.RTM_NEWADDR, ifAddrMsg(dev.Index), []netlink.Attribute{
			{Type: unix.IFA_LOCAL, Data: server.AsSlice()},
			{Type: unix.IFA_ADDRESS, Data: server.AsSlice()},
		}},
		{"lay a route to the peers", unix.RTM_NEWROUTE, routeMsg(), []netlink.Attribute{
			{Type: unix.RTA_DST, Data: peersNet.Addr().AsSlice()},
			{Type: unix.RTA_OIF, Data: binary.NativeEndian.AppendUint32(nil, uint32(dev.Index))},
		}},
	} {
		attrs, err := netlink.MarshalAttributes(m.attrs)
		if err != nil {
			return 0, err
		}
		_, err = conn.Execute(netlink.Message{
			Header: netlink.Header{Type: m.kind, Flags: netlink.Request | netlink.Acknowledge | netlink.Create},
			Data:   append(m.body, attrs...),
		})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", m.doing, err)
		}
	}
	return dev.Index, nil
}

// ifAddrMsg is a struct ifaddrmsg for one address.
func ifAddrMsg(ifindex int) []byte {
	b := []byte{unix.AF_INET, 32, 0, unix.RT_SCOPE_HOST}
	return binary.NativeEndian.AppendUint32(b, uint32(ifindex))
}

// routeMsg is a struct rtmsg for the peers.
func routeMsg() []byte {
	return []byte{
		unix.AF_INET, byte(peersNet.Bits()), 0, 0,
		unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_LINK, unix.RTN_UNICAST,
		0, 0, 0, 0,
	}
}
