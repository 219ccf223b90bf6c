// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"encoding/json"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Held is a listener of a child, which does with it what it is told.
type Held struct {
	Socket
	Inode  uint32
	Cookie uint64

	fd    int // in the child
	child *Child
	index int
}

// An order is what a child is told to do with one of its listeners.
type order struct {
	Listener int
	Do       string // queue, accept, serve, close or filter
	Most     int
	Serve    Serve
}

// A report is what it answers.
type report struct {
	Number, Limit uint32
	Error         string
}

// Queue returns the accept queue's length and limit as TCP_INFO has them.
func (h *Held) Queue() (length, limit uint32) {
	h.child.t.Helper()
	r := h.order(order{Do: "queue"})
	return r.Number, r.Limit
}

// Accept lets the server accept at most this many connections, 0 for all, and
// returns how many there were.
func (h *Held) Accept(most int) int {
	h.child.t.Helper()
	return int(h.order(order{Do: "accept", Most: most}).Number)
}

// Serve lets the server accept from now on.
func (h *Held) Serve(s Serve) {
	h.child.t.Helper()
	h.order(order{Do: "serve", Serve: s})
}

// Close lets the server close the listener, which it must not serve.
func (h *Held) Close() {
	h.child.t.Helper()
	h.order(order{Do: "close"})
}

// Filter attaches a socket filter to the listener that lets no packet through.
func (h *Held) Filter() {
	h.child.t.Helper()
	h.order(order{Do: "filter"})
}

func (h *Held) order(o order) report {
	t := h.child.t
	t.Helper()
	o.Listener = h.index
	must(t, "tell a child to "+o.Do, h.child.orders.Encode(o))
	var r report
	must(t, "hear a child", h.child.reports.Decode(&r))
	if r.Error != "" {
		t.Fatalf("lab: a child was to %s: %s", o.Do, r.Error)
	}
	return r
}

// obey is the life of a child: it does what it is told until nobody can tell it.
func obey(held []*Held) error {
	orders, reports := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		switch err := orders.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		r, err := held[o.Listener].do(o)
		if err != nil {
			r.Error = err.Error()
		}
		if err := reports.Encode(r); err != nil {
			return err
		}
	}
}

// do is called in the child.
func (h *Held) do(o order) (r report, err error) {
	switch o.Do {
	case "queue":
		info, err := unix.GetsockoptTCPInfo(h.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return r, err
		}
		return report{Number: info.Unacked, Limit: info.Sacked}, nil
	case "accept":
		s := Serve{Batch: o.Most}
		return report{Number: uint32(s.accept(h.fd))}, nil
	case "serve":
		go o.Serve.run(h.fd)
		return r, nil
	case "close":
		return r, unix.Close(h.fd)
	case "filter":
		const ret = 6 // BPF_RET | BPF_K: this many bytes of the packet
		program := []unix.SockFilter{{Code: ret}}
		return r, unix.SetsockoptSockFprog(h.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	}
	return r, unix.EINVAL
}
