// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// A shop is a pod, shop/cart-0, with a server that works off whatever comes but is
// not always there, and a queue too short for its customers.
type shop struct {
	e     *engine
	netns uint64
	ns    *lab.Namespace
}

// shopLimit is the pod's somaxconn, and so the limit; customers come at once.
const shopLimit, customers = 7, 60

// shopServer runs as a user that is not root.
const shopServer = `
import socket, time
s = socket.socket()
s.bind(("0.0.0.0", 8080))
s.listen(4096)
s.setblocking(False)
while True:
    try:
        while True:
            s.accept()[0].close()
    except BlockingIOError:
        time.sleep(0.02)
`

// openShop starts the server.
func (e *engine) openShop() *shop {
	e.t.Helper()
	const uid = "5a0d7c1e-90f4-4f43-8b1a-2f3a6a1c7e22"
	s := &shop{e: e}
	id := e.docker("run", "-d", "--user", "4321", "--cgroup-parent", "/kubepods/besteffort/pod"+uid, "--sysctl", "net.core.somaxconn="+strconv.Itoa(shopLimit),
		"--volume", "/usr:/usr:ro", "--volume", "/lib:/lib:ro", "--volume", "/lib64:/lib64:ro", "--entrypoint", "/usr/bin/python3", image, "-c", shopServer)
	e.kubelet("shop", "cart-0", uid, "server", id)
	var err error
	s.netns, err = lab.InodeOf(e.root() + "/proc/" + e.docker("inspect", "-f", "{{.State.Pid}}", id) + "/ns/net")
	if err != nil {
		e.t.Fatal(err)
	}
	lab.Wait(e.t, "the shop to open", func() bool {
		in := lab.Inspect(e.t, "--netns", strconv.FormatUint(s.netns, 10), "--for", "0")
		if len(in.Listeners) == 0 {
			return false
		}
		s.ns = lab.NamespaceOf(e.t, in.Listeners[0].Owner.PID)
		return true
	})
	s.unchanged("as it opens")
	return s
}

// busy has customers come in bursts until the test ends.
func (s *shop) busy() {
	clients := lab.NewClients(s.e.t, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), 1000)
	again(s.e.t, s.ns, 250*time.Millisecond, func() { clients.Come(customers) }) // ends before the clients leave
}

// has asks the kernel.
func (s *shop) has() (somaxconn, limit int) {
	s.e.t.Helper()
	text, _ := s.ns.Sysctl("net.core.somaxconn")
	somaxconn, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		s.e.t.Fatal(err)
	}
	in := lab.Inspect(s.e.t, "--netns", s.ns.Path(), "--for", "0")
	if len(in.Listeners) != 1 {
		s.e.t.Fatalf("%d listeners, want 1", len(in.Listeners))
	}
	return somaxconn, int(in.Listeners[0].AcceptQueue.Limit)
}

// unchanged checks that nobody has changed anything.
func (s *shop) unchanged(when string) {
	s.e.t.Helper()
	if somaxconn, limit := s.has(); somaxconn != shopLimit || limit != shopLimit {
		s.e.t.Errorf("%s somaxconn is %d and the limit %d, want %d", when, somaxconn, limit, shopLimit)
	}
}
