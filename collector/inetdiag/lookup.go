// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inetdiag

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// MaxLookups is how many lookups one batch holds. Their answers, some 2 kB each
// as the kernel accounts them, all fit into a socket's default receive buffer.
const MaxLookups = 64

// AnyCookie in a [Key] takes whichever socket the kernel finds.
const AnyCookie = ^uint64(0)

// errUnasked says that the kernel answered what was not asked.
var errUnasked = errors.New("not an answer to a lookup of this batch")

const (
	sizeofReqV2      = 56 // struct inet_diag_req_v2
	sizeofLookup     = sizeofNlmsg + sizeofReqV2
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
)

// A Key is what the kernel finds a listener by.
type Key struct {
	Family  uint8
	Port    uint16
	Ifindex uint32
	Addr    [16]byte // as in Socket
	Cookie  uint64   // when it finds another socket it answers ENOENT
}

// Key returns what s is found by.
func (s *Socket) Key() Key {
	return Key{Family: s.Family, Port: s.Port, Ifindex: s.Ifindex, Addr: s.Addr, Cookie: s.Cookie}
}

// An Answer is what a lookup gave: a socket, or why there is none.
type Answer struct {
	Socket
	Errno unix.Errno // ENOENT: nothing is there, or another socket is
}

// A Lookups is a batch of questions for single listeners, and the answers. Unlike
// a dump a lookup walks nothing: it costs the same on a host of ten thousand
// listeners. Reset it to use it, and the memory it has, again.
type Lookups struct {
	Answers []Answer // complete when Add says so, in the order of the questions

	seq     uint32 // of the first question
	request []byte
	pending uint64 // questions without an answer, a bit each
}

// Reset empties the batch. Its questions take the sequence numbers from seq on,
// [MaxLookups] at most.
func (l *Lookups) Reset(seq uint32) {
	l.Answers = l.Answers[:0]
	l.request = l.request[:0]
	l.seq = seq
	l.pending = 0
}

// Full reports whether the batch holds no more questions.
func (l *Lookups) Full() bool { return len(l.Answers) == MaxLookups }

// Ask adds a question. The kernel chooses a member of a reuse-port group by the
// peer's address, of which only the port is sent: another remote port gives
// another member, and the same one the same as long as the group does not change.
func (l *Lookups) Ask(k *Key, remote uint16) {
	n := len(l.Answers)
	l.Answers = append(l.Answers, Answer{})
	l.pending |= 1 << n
	if l.request == nil {
		l.request = make([]byte, 0, MaxLookups*sizeofLookup)
	}
	at := len(l.request)
	l.request = l.request[:at+sizeofLookup]
	b := l.request[at:]
	clear(b)
	binary.NativeEndian.PutUint32(b[0:], sizeofLookup)
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(b[8:], l.seq+uint32(n))
	r := b[sizeofNlmsg:]
	r[0] = k.Family
	r[1] = unix.IPPROTO_TCP
	r[2] = ExtSkMemInfo
	binary.BigEndian.PutUint16(r[8:], k.Port)
	binary.BigEndian.PutUint16(r[10:], remote)
	copy(r[12:28], k.Addr[:])
	if k.isMapped() { // the kernel looks among IPv4 sockets only when both ends are mapped
		copy(r[28:44], mappedPrefix[:])
	}
	binary.NativeEndian.PutUint32(r[44:], k.Ifindex)
	binary.NativeEndian.PutUint32(r[48:], uint32(k.Cookie))
	binary.NativeEndian.PutUint32(r[52:], uint32(k.Cookie>>32))
}

// mappedPrefix begins every IPv4-mapped address; alone it is ::ffff:0.0.0.0.
var mappedPrefix = [16]byte{10: 0xff, 11: 0xff}

func (k *Key) isMapped() bool {
	return k.Family == unix.AF_INET6 && [12]byte(k.Addr[:12]) == [12]byte(mappedPrefix[:12])
}

// Request returns the questions, to be sent in one datagram.
func (l *Lookups) Request() []byte { return l.request }

// Add takes in one datagram and reports whether every question has its answer.
// That a socket is not there is an Answer, not an error.
func (l *Lookups) Add(b []byte) (done bool, err error) {
	for len(b) >= sizeofNlmsg {
		n := int(binary.NativeEndian.Uint32(b))
		if n < sizeofNlmsg || n > len(b) {
			return true, fmt.Errorf("netlink message of %d bytes in %d: %w", n, len(b), ErrShort)
		}
		i := binary.NativeEndian.Uint32(b[8:]) - l.seq
		if i < uint32(len(l.Answers)) { // else of a request that was given up
			if err := l.message(i, binary.NativeEndian.Uint16(b[4:]), b[sizeofNlmsg:n]); err != nil {
				return true, err
			}
		}
		b = b[min(align(n), len(b)):]
	}
	if len(b) > 0 {
		return true, fmt.Errorf("netlink header of %d bytes, need %d: %w", len(b), sizeofNlmsg, ErrShort)
	}
	return l.pending == 0, nil
}

// message takes in the answer to question i.
func (l *Lookups) message(i uint32, kind uint16, b []byte) error {
	a := &l.Answers[i]
	*a = Answer{}
	switch kind {
	case sockDiagByFamily:
		if err := a.parse(b); err != nil {
			*a = Answer{}
			return err
		}
	case unix.NLMSG_ERROR:
		if len(b) < 4 {
			return fmt.Errorf("nlmsgerr: %d bytes, need 4: %w", len(b), ErrShort)
		}
		code := int32(binary.NativeEndian.Uint32(b))
		if code >= 0 { // an acknowledgement, which was not asked for
			return errUnasked
		}
		a.Errno = unix.Errno(-code)
	case unix.NLMSG_NOOP:
		return nil
	default:
		return fmt.Errorf("netlink message of type %d: %w", kind, errUnasked)
	}
	l.pending &^= 1 << i
	return nil
}
