// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inetdiag

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// asked returns a batch of questions about nothing, from seq on.
func asked(seq uint32, questions int) *Lookups {
	l := &Lookups{}
	l.Reset(seq)
	for range questions {
		l.Ask(&Key{Family: unix.AF_INET}, 0)
	}
	return l
}

func TestLookupsOfLinux(t *testing.T) {
	l := asked(1, 4)
	messages := fixture(t, "lookups-6.18.hex")
	for i, m := range messages {
		done, err := l.Add(m)
		if last := i == len(messages)-1; done != last || err != nil {
			t.Fatalf("Add(answer %d) = %t, %v, want %t and no error", i, done, err, last)
		}
	}
	type row struct {
		addr          string
		ifindex       uint32
		rqueue, limit uint32
		errno         unix.Errno
		flags         Flags
	}
	want := []row{
		{"127.0.0.1:8001", 0, 3, 7, 0, HasDrops | FullSocket},
		{"[::]:8002", 1, 0, 2, 0, HasDrops | FullSocket},
		{errno: unix.ENOENT},
		{"[::ffff:127.0.0.1]:8004", 0, 0, 5, 0, HasDrops | FullSocket},
	}
	var got []row
	for _, a := range l.Answers {
		r := row{ifindex: a.Ifindex, rqueue: a.RQueue, limit: a.WQueue, errno: a.Errno, flags: a.Flags}
		if a.Errno == 0 {
			r.addr = netip.AddrPortFrom(a.LocalAddr(), a.Port).String()
			if a.Key().Cookie == 0 {
				t.Errorf("%s has no cookie", r.addr)
			}
		}
		got = append(got, r)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Answers = %+v, want %+v", got, want)
	}
}

func TestLookupsAsk(t *testing.T) {
	lo := Key{Family: unix.AF_INET, Port: 0x1f90, Ifindex: 3, Addr: [16]byte{127, 0, 0, 1}, Cookie: 0x0102030405060708}
	mapped := Key{Family: unix.AF_INET6, Port: 80, Addr: netip.MustParseAddr("::ffff:10.0.0.1").As16(), Cookie: AnyCookie}
	any6 := Key{Family: unix.AF_INET6, Port: 80, Cookie: 9}
	var l Lookups
	l.Reset(7)
	for _, k := range []Key{lo, mapped, any6} {
		l.Ask(&k, 0x0203)
	}
	b := l.Request()
	if len(b) != 3*72 {
		t.Fatalf("three questions have %d bytes, want %d", len(b), 3*72)
	}
	native := binary.NativeEndian
	for i, k := range []Key{lo, mapped, any6} {
		want := make([]byte, 72)
		native.PutUint32(want, 72)
		native.PutUint16(want[4:], 20) // SOCK_DIAG_BY_FAMILY
		native.PutUint16(want[6:], 1)  // NLM_F_REQUEST, no dump, no acknowledgement
		native.PutUint32(want[8:], 7+uint32(i))
		want[16], want[17], want[18] = k.Family, unix.IPPROTO_TCP, 1<<6 // SKMEMINFO
		binary.BigEndian.PutUint16(want[24:], k.Port)
		binary.BigEndian.PutUint16(want[26:], 0x0203)
		copy(want[28:], k.Addr[:])
		if i == 1 {
			want[44+10], want[44+11] = 0xff, 0xff
		}
		native.PutUint32(want[60:], k.Ifindex)
		native.PutUint32(want[64:], uint32(k.Cookie))
		native.PutUint32(want[68:], uint32(k.Cookie>>32))
		if got := b[i*72 : (i+1)*72]; !bytes.Equal(got, want) {
			t.Errorf("question about %+v = %x, want %x", k, got, want)
		}
	}
}

func TestLookupsFull(t *testing.T) {
	l := asked(1, MaxLookups-1)
	if l.Full() {
		t.Error("one less than the most is full")
	}
	l.Ask(&Key{}, 0)
	if !l.Full() {
		t.Error("the most is not full")
	}
	if l.Reset(2); l.Full() || len(l.Request()) != 0 {
		t.Error("a batch that was reset has questions")
	}
}

func TestLookupsAdd(t *testing.T) {
	const seq = 1<<32 - 1 // the second question has 0
	found := message(sockDiagByFamily, 0, seq, diagMsg(1)...)
	absent := message(unix.NLMSG_ERROR, 0, 0, code(-int32(unix.ENOENT))...)
	tests := []struct {
		name    string
		b       []byte
		done    bool
		err     error
		cookies [2]uint64
		errnos  [2]unix.Errno
	}{
		{"nothing", nil, false, nil, [2]uint64{}, [2]unix.Errno{}},
		{"one of two", found, false, nil, [2]uint64{1}, [2]unix.Errno{}},
		{"both", bytes.Join([][]byte{found, absent}, nil), true, nil, [2]uint64{1}, [2]unix.Errno{1: unix.ENOENT}},
		{"both, the second first", bytes.Join([][]byte{absent, found}, nil), true, nil, [2]uint64{1}, [2]unix.Errno{1: unix.ENOENT}},
		{"one twice is not both", bytes.Join([][]byte{found, found}, nil), false, nil, [2]uint64{1}, [2]unix.Errno{}},
		{"of an earlier request", message(sockDiagByFamily, 0, seq-1, diagMsg(1)...), false, nil, [2]uint64{}, [2]unix.Errno{}},
		{"of a later request", message(sockDiagByFamily, 0, 1, diagMsg(1)...), false, nil, [2]uint64{}, [2]unix.Errno{}},
		{"nothing to do", message(unix.NLMSG_NOOP, 0, seq), false, nil, [2]uint64{}, [2]unix.Errno{}},
		{"an acknowledgement, which was not asked for", message(unix.NLMSG_ERROR, 0, seq, code(0)...), true, errUnasked, [2]uint64{}, [2]unix.Errno{}},
		{"the end of a dump", message(unix.NLMSG_DONE, 0, seq, code(0)...), true, errUnasked, [2]uint64{}, [2]unix.Errno{}},
		{"an error without a code", message(unix.NLMSG_ERROR, 0, seq, 1, 2, 3), true, ErrShort, [2]uint64{}, [2]unix.Errno{}},
		{"a socket one byte short", message(sockDiagByFamily, 0, seq, diagMsg(1)[:sizeofMsg-1]...), true, ErrShort, [2]uint64{}, [2]unix.Errno{}},
		{"a broken attribute", message(sockDiagByFamily, 0, seq, diagMsg(2, []byte{3, 0, 7, 0})...), true, ErrShort, [2]uint64{}, [2]unix.Errno{}},
		{"a header cut off", found[:sizeofNlmsg-1], true, ErrShort, [2]uint64{}, [2]unix.Errno{}},
		{"a message cut off", found[:len(found)-1], true, ErrShort, [2]uint64{}, [2]unix.Errno{}},
		{"a good message, then a header cut off", append(bytes.Clone(found), 1), true, ErrShort, [2]uint64{1}, [2]unix.Errno{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := asked(seq, 2)
			done, err := l.Add(tt.b)
			if done != tt.done || !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
				t.Errorf("Add = %t, %v, want %t, %v", done, err, tt.done, tt.err)
			}
			for i, a := range l.Answers {
				if a.Cookie != tt.cookies[i] || a.Errno != tt.errnos[i] {
					t.Errorf("answer %d = cookie %d, %v, want %d, %v", i, a.Cookie, a.Errno, tt.cookies[i], tt.errnos[i])
				}
			}
		})
	}
}

// TestLookupsForget proves that a batch used again keeps nothing of the one before.
func TestLookupsForget(t *testing.T) {
	l := asked(1, 4)
	for _, m := range fixture(t, "lookups-6.18.hex") {
		if _, err := l.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	l.Reset(9)
	l.Ask(&Key{Family: unix.AF_INET}, 0)
	if len(l.Answers) != 1 || l.Answers[0] != (Answer{}) {
		t.Errorf("Answers after Reset and Ask = %+v, want an empty one", l.Answers)
	}
	want := asked(9, 1)
	if !bytes.Equal(l.Request(), want.Request()) {
		t.Errorf("Request after Reset = %x, want %x", l.Request(), want.Request())
	}
}

func TestLookupsAllocateNothing(t *testing.T) {
	b := bytes.Join(fixture(t, "lookups-6.18.hex"), nil)
	var l Lookups
	key := Key{Family: unix.AF_INET6}
	once := func() {
		l.Reset(1)
		for range 4 {
			l.Ask(&key, 0)
		}
		if done, err := l.Add(b); !done || err != nil {
			t.Fatalf("Add = %t, %v, want true and no error", done, err)
		}
	}
	once()
	if allocs := testing.AllocsPerRun(100, once); allocs != 0 {
		t.Errorf("a batch used again = %v allocations, want 0", allocs)
	}
}

func FuzzLookups(f *testing.F) {
	messages := fixture(f, "lookups-6.18.hex")
	f.Add(bytes.Join(messages, nil))
	for _, m := range messages {
		f.Add(m)
	}
	f.Add(message(unix.NLMSG_ERROR, 0, 1, code(-1<<31)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := asked(1, 4)
		before := bytes.Clone(b)
		done, err := l.Add(b)
		if err != nil && (!done || err.Error() == "") {
			t.Errorf("Add(%x) = %t, %v, want an error to be the end and to say something", b, done, err)
		}
		if !bytes.Equal(b, before) {
			t.Errorf("Add(%x) left %x, want what it reads unchanged", before, b)
		}
		for i := range l.Answers {
			a := &l.Answers[i]
			if a.Errno != 0 && a.Socket != (Socket{}) {
				t.Errorf("Add(%x) answered %+v, want a socket or an error", b, *a)
			}
			if done && err == nil && a.Errno == 0 && !a.LocalAddr().IsValid() {
				t.Errorf("Add(%x) answered %+v, want an address", b, *a)
			}
		}
	})
}
