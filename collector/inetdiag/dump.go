// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inetdiag

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrInterrupted says that the kernel's table changed so much during the dump
// that sockets may be missing or doubled (NLM_F_DUMP_INTR). What was read is
// still good.
var ErrInterrupted = errors.New("dump interrupted")

// A Dump gathers the answer to one Request. Reset it to use it, and the memory
// it has, again.
type Dump struct {
	Sockets []Socket

	seq         uint32
	interrupted bool
}

// Reset empties the dump and makes it ready for the answer to request seq.
func (d *Dump) Reset(seq uint32) {
	d.Sockets = d.Sockets[:0]
	d.seq = seq
	d.interrupted = false
}

// Add takes in one datagram of the answer and reports whether it was the last.
// An errno of the kernel's comes back as a [unix.Errno]. After an error the
// sockets read so far stay.
func (d *Dump) Add(b []byte) (done bool, err error) {
	for len(b) >= sizeofNlmsg {
		n := int(binary.NativeEndian.Uint32(b))
		if n < sizeofNlmsg || n > len(b) {
			return true, fmt.Errorf("netlink message of %d bytes in %d: %w", n, len(b), ErrShort)
		}
		if binary.NativeEndian.Uint32(b[8:]) == d.seq { // else the rest of a dump that was given up
			if binary.NativeEndian.Uint16(b[6:])&unix.NLM_F_DUMP_INTR != 0 {
				d.interrupted = true
			}
			if done, err := d.message(binary.NativeEndian.Uint16(b[4:]), b[sizeofNlmsg:n]); done || err != nil {
				return true, err
			}
		}
		b = b[min(align(n), len(b)):]
	}
	if len(b) > 0 {
		return true, fmt.Errorf("netlink header of %d bytes, need %d: %w", len(b), sizeofNlmsg, ErrShort)
	}
	return false, nil
}

func (d *Dump) message(kind uint16, b []byte) (done bool, err error) {
	switch kind {
	case unix.NLMSG_DONE:
		if len(b) >= 4 {
			if err := kernelError(b); err != nil {
				return true, err
			}
		}
		if d.interrupted {
			return true, ErrInterrupted
		}
		return true, nil
	case unix.NLMSG_ERROR:
		if len(b) < 4 {
			return true, fmt.Errorf("nlmsgerr: %d bytes, need 4: %w", len(b), ErrShort)
		}
		return true, kernelError(b)
	case unix.NLMSG_NOOP:
		return false, nil
	}
	d.Sockets = append(d.Sockets, Socket{})
	if err := d.Sockets[len(d.Sockets)-1].parse(b); err != nil {
		d.Sockets = d.Sockets[:len(d.Sockets)-1]
		return true, err
	}
	return false, nil
}

// kernelError reads the negative errno at the start of b; 0 is no error.
func kernelError(b []byte) error {
	if code := int32(binary.NativeEndian.Uint32(b)); code < 0 {
		return unix.Errno(-code)
	}
	return nil
}
