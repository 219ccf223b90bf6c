// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	fileidNSFS  = 0xf1 // FILEID_NSFS
	sizeofNSFID = 16   // struct nsfs_file_handle of include/uapi/linux/nsfs.h

	netnsGuess = 64 // namespaces expected, what the first listns(2) has room for
)

// listNetns returns the ids of the network namespaces that a thread is in, a
// descriptor is open on or a mount holds, lowest first. The id of a namespace
// is its SO_NETNS_COOKIE.
//
// It needs Linux 6.19 (76b6f5dfb3fd); before, the error is
// errors.ErrUnsupported. Two kinds are missing from the list without a word:
// namespaces that nothing but sockets hold, and all but the caller's own when
// the caller lacks CAP_SYS_ADMIN in the initial user namespace or is outside the
// initial PID namespace (8d76afe84fa2).
//
// It asks for all at once, with more room until they fit, and never for the
// next page: up to Linux 7.2 a page ends with ENOENT, as if it were the last,
// when it would begin with a namespace that nothing but sockets hold.
func listNetns() ([]uint64, error) {
	for room := netnsGuess; ; room *= 4 { // beyond 1000000 the kernel says EOVERFLOW
		ids := make([]uint64, room)
		req := unix.NsIdReq{Size: unix.NS_ID_REQ_SIZE_VER0, Ns_type: unix.NET_NS}
		n, err := unix.Listns(&req, ids, 0)
		if err != nil {
			return nil, fmt.Errorf("list network namespaces: %w", err)
		}
		if n < room {
			return ids[:n], nil
		}
	}
}

// openNetnsID returns a descriptor of the namespace that listNetns calls id.
//
// The error is ESTALE when the namespace is gone, but also when nothing but
// sockets hold it or the caller may not see it. An id is never used again.
func openNetnsID(id uint64) (int, error) {
	// The type and the inode number stay 0: the id alone decides.
	var fid [sizeofNSFID]byte
	binary.NativeEndian.PutUint64(fid[:], id)
	handle := unix.NewFileHandle(fileidNSFS, fid[:])
	fd, err := unix.OpenByHandleAt(unix.FD_NSFS_ROOT, handle, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open network namespace %d: %w", id, err)
	}
	return fd, nil
}
