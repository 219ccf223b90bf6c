// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A resize is a call of listen(2) on the socket of another process, with all that
// it needs.
//
// While it holds the duplicate, the socket outlives its process: clients would
// connect to a port that nobody serves. So the time is kept short. What can be
// made ready is, before; nothing is allocated, which could wait for the garbage
// collector; and what went wrong is put into words after. It takes 8 us, 32 us in
// one of a hundred times [measured on 6.18, busy: BenchmarkRelisten].
type resize struct {
	socket     *Socket
	addr       netip.Addr // of the socket, never an IPv4-mapped one
	netns      uint64     // cookie of the namespace it is in, 0 before Linux 5.14
	netnsInode uint64     // then its number
	somaxconn  int        // the file of that namespace

	listen   bool // otherwise only look
	from, to uint32

	doing string // the step that failed
	other string // what tells that it is another socket
	limit uint32 // of the socket, as seen last
	max   uint32 // somaxconn, as seen last

	stat unix.Stat_t
	info unix.TCPInfo
	name [unix.SizeofSockaddrInet6]byte
	text [16]byte
}

// The steps, for errors.
const (
	doingFetch  = "pidfd_getfd of"
	doingLook   = "look at"
	doingListen = "listen(2) on"
)

// What may be found instead of the listener.
var (
	errAnother      = fmt.Errorf("it is another socket now: %w", ErrGone) // by r.other
	errNotListening = fmt.Errorf("it does not listen any more: %w", ErrGone)
)

// run fetches a descriptor, and does what is asked when it is the socket.
func (r *resize) run(pidfd, fd int) error {
	r.doing = doingFetch
	dup, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return err
	}
	if err = r.look(dup); err == nil && r.listen {
		err = r.set(dup)
	}
	unix.Close(dup)
	return err
}

// look returns nil when it is the socket, and is to be resized.
func (r *resize) look(dup int) error {
	r.doing = doingLook
	if err := r.identify(dup); err != nil {
		return err
	}
	if err := r.readLimit(dup); err != nil || !r.listen {
		return err
	}
	if r.limit != r.from {
		return ErrChanged
	}
	if err := r.readSomaxconn(); err != nil {
		return err
	}
	if r.to > r.max {
		return ErrShrinks
	}
	return nil
}

// set sets the limit and reads it back.
//
// Two windows of a microsecond remain, as no call both compares and sets. The
// application may stop to listen after we asked: then listen(2) opens its port
// again. And somebody may lower somaxconn after we read it: then the limit is cut
// down to that, which is seen.
func (r *resize) set(dup int) error {
	if !has(dup, unix.SO_ACCEPTCONN, 1) {
		return errNotListening
	}
	r.doing = doingListen
	if err := unix.Listen(dup, int(r.to)); err != nil {
		return err
	}
	if err := r.readLimit(dup); err != nil {
		return err
	}
	if r.limit != r.to {
		return ErrVerify
	}
	return nil
}

// identify reports whether it is the socket that was dumped. The cookie says so of
// a TCP socket. That of an MPTCP socket is not shown: the dump has its TCP half,
// which has a cookie of its own but the same inode. Inodes are reused, and so are
// cookies in another namespace before Linux 5.12.
//
// Never may it be an AF_UNIX socket: listen(2) there makes us the one whom clients
// see as their server (SO_PEERCRED).
func (r *resize) identify(dup int) error {
	s, protocol := r.socket, unix.IPPROTO_TCP
	if s.MPTCP {
		protocol = unix.IPPROTO_MPTCP
	}
	switch {
	case !has(dup, unix.SO_DOMAIN, unix.AF_INET) && !has(dup, unix.SO_DOMAIN, unix.AF_INET6):
		r.other = "SO_DOMAIN"
	case !has(dup, unix.SO_TYPE, unix.SOCK_STREAM):
		r.other = "SO_TYPE"
	case !has(dup, unix.SO_PROTOCOL, protocol):
		r.other = "SO_PROTOCOL"
	case !r.hasInode(dup, uint64(s.Inode)):
		r.other = "inode"
	case !s.MPTCP && !hasCookie(dup, unix.SO_COOKIE, s.Cookie):
		r.other = "SO_COOKIE"
	case !r.isBoundTo(dup):
		r.other = "address"
	default:
		return r.isHere(dup)
	}
	return errAnother
}

// isHere returns nil when the socket is in the visited namespace.
func (r *resize) isHere(dup int) error {
	here := r.netns != 0 && hasCookie(dup, unix.SO_NETNS_COOKIE, r.netns)
	if r.netns == 0 {
		netns, err := unix.IoctlRetInt(dup, unix.SIOCGSKNS) // needs CAP_NET_ADMIN there
		if err != nil {
			return err
		}
		here = r.hasInode(netns, r.netnsInode)
		unix.Close(netns)
	}
	if !here {
		r.other = "namespace"
		return errAnother
	}
	return nil
}

// has reports whether an option of a socket has a value.
func has(fd, option, value int) bool {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	return err == nil && v == value
}

func hasCookie(fd, option int, cookie uint64) bool {
	v, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, option)
	return err == nil && v == cookie
}

func (r *resize) hasInode(fd int, inode uint64) bool {
	return unix.Fstat(fd, &r.stat) == nil && r.stat.Ino == inode
}

// isBoundTo reports whether the socket has the address that was dumped. There is
// no use for unix.Getsockname, which allocates.
func (r *resize) isBoundTo(dup int) bool {
	size := uint32(len(r.name))
	_, _, errno := unix.Syscall(unix.SYS_GETSOCKNAME, uintptr(dup),
		uintptr(unsafe.Pointer(&r.name)), uintptr(unsafe.Pointer(&size)))
	const offPort, offAddr4, offAddr6 = 2, 4, 8 // of sockaddr_in and sockaddr_in6
	addr := netip.AddrFrom16([16]byte(r.name[offAddr6:])).Unmap()
	if binary.NativeEndian.Uint16(r.name[:]) == unix.AF_INET {
		addr = netip.AddrFrom4([4]byte(r.name[offAddr4:]))
	}
	return errno == 0 && addr == r.addr && binary.BigEndian.Uint16(r.name[offPort:]) == r.socket.Port
}

// readLimit reads the limit of the accept queue, which is that of a socket only
// while it listens. Before Linux 5.16 MPTCP sockets do not tell. Nor is there use
// for unix.GetsockoptTCPInfo.
func (r *resize) readLimit(dup int) error {
	size := uint32(unsafe.Sizeof(r.info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(dup), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&r.info)), uintptr(unsafe.Pointer(&size)), 0)
	switch {
	case errno != 0:
		return errno
	case r.info.State != unix.BPF_TCP_LISTEN:
		return errNotListening
	}
	r.limit = r.info.Sacked
	return nil
}

// readSomaxconn reads the bound that listen(2) will apply.
func (r *resize) readSomaxconn() error {
	n, err := unix.Pread(r.somaxconn, r.text[:], 0)
	if err != nil {
		return err
	}
	r.max = 0
	for _, c := range r.text[:n] {
		if c < '0' || c > '9' { // the newline
			break
		}
		r.max = 10*r.max + uint32(c-'0') // at most 2147483647
	}
	return nil
}
