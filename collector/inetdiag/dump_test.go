// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inetdiag

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fixture reads the netlink messages of a file: one a line, in hexadecimal.
func fixture(t testing.TB, name string) (messages [][]byte) {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		b, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		messages = append(messages, b)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return messages
}

// message makes a netlink message, padded.
func message(kind, flags uint16, seq uint32, payload ...byte) []byte {
	b := make([]byte, sizeofNlmsg, sizeofNlmsg+align(len(payload)))
	binary.NativeEndian.PutUint32(b, uint32(sizeofNlmsg+len(payload)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags)
	binary.NativeEndian.PutUint32(b[8:], seq)
	b = append(b, payload...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

// code is the start of the payload of NLMSG_ERROR and NLMSG_DONE.
func code(n int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

// diagMsg makes an inet_diag_msg of a listener with a cookie, and attributes.
func diagMsg(cookie byte, attributes ...[]byte) []byte {
	b := make([]byte, sizeofMsg)
	b[0], b[1] = unix.AF_INET, Listen
	b[44] = cookie
	return append(b, bytes.Join(attributes, nil)...)
}

// attribute makes an attribute, padded.
func attribute(kind uint16, v ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(sizeofAttr+len(v)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, v...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func TestDumpListen(t *testing.T) {
	mapped := netip.MustParseAddr("::ffff:127.0.0.1")
	type want struct {
		addr netip.Addr
		s    Socket
	}
	wants := map[uint16]want{
		8001: {netip.MustParseAddr("127.0.0.1"), Socket{Family: unix.AF_INET, RQueue: 3, WQueue: 7, Cookie: 4099, Inode: 93510}},
		8002: {netip.IPv6Unspecified(), Socket{Family: unix.AF_INET6, WQueue: 2, Drops: 3, Cookie: 4101, Inode: 93511}},
		8003: {netip.IPv6Loopback(), Socket{Family: unix.AF_INET6, WQueue: 1<<31 - 1, Flags: V6Only, Cookie: 4100, Inode: 93512}},
		8004: {netip.IPv4Unspecified(), Socket{Family: unix.AF_INET, WQueue: 128, UID: 1000, Ifindex: 3, Cookie: 4103, Inode: 93513}},
		8005: {netip.IPv4Unspecified(), Socket{Family: unix.AF_INET, RQueue: 1, WQueue: 128, Flags: Transparent, Cookie: 4102, Inode: 93514}},
		8006: {netip.MustParseAddr("127.0.0.1"), Socket{Family: unix.AF_INET, WQueue: 79, Flags: MPTCP, Cookie: 4097, Inode: 93515}},
		8007: {mapped, Socket{Family: unix.AF_INET6, WQueue: 5, Cookie: 4098, Inode: 93517}},
	}
	var d Dump
	d.Reset(1)
	messages := fixture(t, "listen-6.18.hex")
	done, err := d.Add(bytes.Join(messages, nil))
	if !done || err != nil {
		t.Fatalf("Add = %t, %v, want true", done, err)
	}
	if len(d.Sockets) != len(wants) {
		t.Errorf("Add gave %d sockets, want %d", len(d.Sockets), len(wants))
	}
	for _, got := range d.Sockets {
		w := wants[got.Port]
		if addr := got.LocalAddr(); addr != w.addr {
			t.Errorf("port %d: LocalAddr() = %v, want %v", got.Port, addr, w.addr)
		}
		w.s.State, w.s.Port, w.s.Addr, w.s.Cgroup = Listen, got.Port, got.Addr, 1
		w.s.Flags |= HasDrops | FullSocket
		if got != w.s {
			t.Errorf("port %d: %+v, want %+v", got.Port, got, w.s)
		}
	}
}

func TestDumpSynRecv(t *testing.T) {
	type peer struct {
		addr    string
		port    uint16
		ifindex uint32
		flags   Flags
	}
	want := []peer{
		{"::ffff:10.9.9.1", 8002, 0, 0}, // an IPv4 peer of the dual-stack listener
		{"::ffff:10.9.9.1", 8002, 0, 0},
		{"10.9.9.1", 8004, 3, 0},
		{"fd00::1", 8002, 0, 0},
		{"10.9.9.1", 8004, 3, 0},
		{"10.9.9.1", 8005, 0, FullSocket | Transparent}, // the Fast Open child
	}
	var d Dump
	d.Reset(1)
	if done, err := d.Add(bytes.Join(fixture(t, "synrecv-6.18.hex"), nil)); !done || err != nil {
		t.Fatalf("Add = %t, %v, want true", done, err)
	}
	var got []peer
	for _, s := range d.Sockets {
		got = append(got, peer{s.LocalAddr().String(), s.Port, s.Ifindex, s.Flags})
		if s.State != SynRecv || s.Inode != 0 || s.Cookie == 0 {
			t.Errorf("port %d: %+v, want SYN_RECV, no inode and a cookie", s.Port, s)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Add gave %v, want %v", got, want)
	}
}

// TestDumpDatagrams proves that it does not matter where the kernel cuts.
func TestDumpDatagrams(t *testing.T) {
	messages := fixture(t, "listen-6.18.hex")
	var all, each Dump
	all.Reset(1)
	each.Reset(1)
	if _, err := all.Add(bytes.Join(messages, nil)); err != nil {
		t.Fatal(err)
	}
	for i, m := range messages {
		if done, err := each.Add(m); done != (i == len(messages)-1) || err != nil {
			t.Errorf("Add(message %d of %d) = %t, %v, want done with the last", i+1, len(messages), done, err)
		}
	}
	if !reflect.DeepEqual(all.Sockets, each.Sockets) {
		t.Errorf("message by message = %v, want %v", each.Sockets, all.Sockets)
	}
}

func TestDumpAdd(t *testing.T) {
	const seq = 7
	socket := message(tcpdiagGetsock, unix.NLM_F_MULTI, seq, diagMsg(1)...)
	other := message(tcpdiagGetsock, unix.NLM_F_MULTI, seq, diagMsg(2)...)
	done := message(unix.NLMSG_DONE, unix.NLM_F_MULTI, seq, code(0)...)
	long := bytes.Clone(socket)
	binary.NativeEndian.PutUint32(long, uint32(len(long)+1))
	tiny := bytes.Clone(socket)
	binary.NativeEndian.PutUint32(tiny, sizeofNlmsg-1)
	empty := bytes.Clone(socket)
	binary.NativeEndian.PutUint32(empty, 0)
	endless := bytes.Clone(socket)
	binary.NativeEndian.PutUint32(endless, 1<<32-1)

	tests := []struct {
		name    string
		b       []byte
		done    bool
		err     error // nil, or one that errors.Is finds
		cookies []uint64
	}{
		{"nothing", nil, false, nil, nil},
		{"a socket, and more to come", socket, false, nil, []uint64{1}},
		{"two sockets and the end", bytes.Join([][]byte{socket, other, done}, nil), true, nil, []uint64{1, 2}},
		{"the end without a code, as old kernels may", message(unix.NLMSG_DONE, 0, seq), true, nil, nil},
		{"the end with an errno", bytes.Join([][]byte{socket, message(unix.NLMSG_DONE, 0, seq, code(-int32(unix.ENOMEM))...)}, nil), true, unix.ENOMEM, []uint64{1}},
		{"what follows the end is not looked at", bytes.Join([][]byte{done, socket}, nil), true, nil, nil},
		{"no such family", message(unix.NLMSG_ERROR, 0, seq, code(-int32(unix.ENOENT))...), true, unix.ENOENT, nil},
		{"not permitted", message(unix.NLMSG_ERROR, 0, seq, append(code(-int32(unix.EPERM)), make([]byte, 16)...)...), true, unix.EPERM, nil},
		{"an acknowledgement is no error", message(unix.NLMSG_ERROR, 0, seq, code(0)...), true, nil, nil},
		{"an error without a code", message(unix.NLMSG_ERROR, 0, seq, 1, 2, 3), true, ErrShort, nil},
		{"nothing to do", bytes.Join([][]byte{message(unix.NLMSG_NOOP, 0, seq), socket}, nil), false, nil, []uint64{1}},
		{"interrupted at the end", bytes.Join([][]byte{socket, message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, seq, code(0)...)}, nil), true, ErrInterrupted, []uint64{1}},
		{"interrupted in the middle", bytes.Join([][]byte{message(tcpdiagGetsock, unix.NLM_F_DUMP_INTR, seq, diagMsg(1)...), done}, nil), true, ErrInterrupted, []uint64{1}},
		{"interrupted is told at the end only", message(tcpdiagGetsock, unix.NLM_F_DUMP_INTR, seq, diagMsg(1)...), false, nil, []uint64{1}},
		{"an errno is worse than interrupted", message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, seq, code(-int32(unix.ENOMEM))...), true, unix.ENOMEM, nil},
		{"the answer to an earlier request", message(tcpdiagGetsock, 0, seq-1, diagMsg(1)...), false, nil, nil},
		{"the end of an earlier request", bytes.Join([][]byte{message(unix.NLMSG_DONE, 0, seq-1, code(0)...), socket, done}, nil), true, nil, []uint64{1}},
		{"the error of an earlier request", message(unix.NLMSG_ERROR, 0, seq-1, code(-int32(unix.EPERM))...), false, nil, nil},
		{"an earlier request was interrupted", bytes.Join([][]byte{message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, seq-1, code(0)...), socket, done}, nil), true, nil, []uint64{1}},
		{"a header cut off", socket[:sizeofNlmsg-1], true, ErrShort, nil},
		{"one byte", socket[:1], true, ErrShort, nil},
		{"a good message, then a header cut off", append(bytes.Clone(socket), 1, 2, 3), true, ErrShort, []uint64{1}},
		{"a message cut off", socket[:len(socket)-1], true, ErrShort, nil},
		{"a message longer than the datagram", long, true, ErrShort, nil},
		{"a message shorter than its header", tiny, true, ErrShort, nil},
		{"a message without a length", empty, true, ErrShort, nil},
		{"a message without an end", endless, true, ErrShort, nil},
		{"a socket one byte short", message(tcpdiagGetsock, 0, seq, diagMsg(1)[:sizeofMsg-1]...), true, ErrShort, nil},
		{"a socket of nothing", message(tcpdiagGetsock, 0, seq), true, ErrShort, nil},
		{"a broken attribute", bytes.Join([][]byte{socket, message(tcpdiagGetsock, 0, seq, diagMsg(2, []byte{3, 0, 7, 0})...)}, nil), true, ErrShort, []uint64{1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Dump
			d.Reset(seq)
			done, err := d.Add(tt.b)
			if done != tt.done || !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
				t.Errorf("Add = %t, %v, want %t, %v", done, err, tt.done, tt.err)
			}
			var cookies []uint64
			for _, s := range d.Sockets {
				cookies = append(cookies, s.Cookie)
			}
			if !reflect.DeepEqual(cookies, tt.cookies) {
				t.Errorf("Add gave the cookies %v, want %v", cookies, tt.cookies)
			}
		})
	}
}

func TestDumpReset(t *testing.T) {
	var d Dump
	d.Reset(1)
	if _, err := d.Add(message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, 1, code(0)...)); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("Add = %v, want %v", err, ErrInterrupted)
	}
	if _, err := d.Add(message(tcpdiagGetsock, 0, 1, diagMsg(1)...)); err != nil {
		t.Fatal(err)
	}
	d.Reset(2)
	if done, err := d.Add(message(unix.NLMSG_DONE, 0, 2, code(0)...)); !done || err != nil || len(d.Sockets) != 0 {
		t.Errorf("Add after Reset = %t, %v with %d sockets, want true with none", done, err, len(d.Sockets))
	}
}

// TestDumpForgets proves that a slot used again keeps nothing of the socket that
// was in it.
func TestDumpForgets(t *testing.T) {
	var d Dump
	d.Reset(1)
	if _, err := d.Add(bytes.Join(fixture(t, "listen-6.18.hex"), nil)); err != nil {
		t.Fatal(err)
	}
	d.Reset(2)
	if _, err := d.Add(message(tcpdiagGetsock, 0, 2, diagMsg(1)...)); err != nil {
		t.Fatal(err)
	}
	if got, want := d.Sockets[0], (Socket{Family: unix.AF_INET, State: Listen, Cookie: 1}); got != want {
		t.Errorf("Add after Reset = %+v, want %+v", got, want)
	}
}

func TestDumpAllocatesNothing(t *testing.T) {
	for _, name := range []string{"listen-6.18.hex", "synrecv-6.18.hex"} {
		b := bytes.Join(fixture(t, name), nil)
		var d Dump
		d.Reset(1)
		if _, err := d.Add(b); err != nil {
			t.Fatal(err)
		}
		allocs := testing.AllocsPerRun(100, func() {
			d.Reset(1)
			if _, err := d.Add(b); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("Add(%s) again = %v allocations, want 0", name, allocs)
		}
	}
}

func FuzzDump(f *testing.F) {
	for _, name := range []string{"listen-6.18.hex", "synrecv-6.18.hex"} {
		messages := fixture(f, name)
		f.Add(bytes.Join(messages, nil))
		for _, m := range messages {
			f.Add(m)
		}
	}
	f.Add(message(unix.NLMSG_ERROR, 0, 1, code(-1<<31)...))
	f.Add(message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, 1, code(-1)...))
	f.Add(message(tcpdiagGetsock, 0, 1, diagMsg(1, attribute(attrULPInfo, attribute(ulpName, 'm')...))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Dump
		d.Reset(1)
		before := bytes.Clone(b)
		done, err := d.Add(b)
		if limit := len(b) / (sizeofNlmsg + sizeofMsg); len(d.Sockets) > limit {
			t.Errorf("Add(%x) gave %d sockets, want at most %d", b, len(d.Sockets), limit)
		}
		if err != nil && (!done || err.Error() == "") {
			t.Errorf("Add(%x) = %t, %v, want an error to be the end and to say something", b, done, err)
		}
		if !bytes.Equal(b, before) {
			t.Errorf("Add(%x) left %x, want what it reads unchanged", before, b)
		}
		for i := range d.Sockets {
			if s := &d.Sockets[i]; !s.LocalAddr().IsValid() || s.Drops != 0 && !s.Has(HasDrops) {
				t.Errorf("Add(%x) = %+v, want an address, and drops only when they were sent", b, *s)
			}
		}
		// What is read before an error stays, so a prefix gives a prefix.
		var half Dump
		half.Reset(1)
		_, _ = half.Add(b[:len(b)/2])
		for i := range min(len(half.Sockets), len(d.Sockets)) {
			if half.Sockets[i] != d.Sockets[i] {
				t.Errorf("Add(half of %x)[%d] = %+v, want %+v", b, i, half.Sockets[i], d.Sockets[i])
			}
		}
	})
}

func BenchmarkDump(b *testing.B) {
	listen := bytes.Join(fixture(b, "listen-6.18.hex"), nil)
	var d Dump
	b.SetBytes(int64(len(listen)))
	for b.Loop() {
		d.Reset(1)
		if _, err := d.Add(listen); err != nil {
			b.Fatal(err)
		}
	}
}
