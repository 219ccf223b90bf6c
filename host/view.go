// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// How much of the host this process can see at all.

// Inode numbers of the kernel's first namespaces (linux/nsfs.h).
const (
	initialUserNS = 0xEFFFFFFD
	initialPIDNS  = 0xEFFFFFFC
)

// inInitialNetns reports whether this process is in the kernel's first network
// namespace: the only one that has this sysctl, on 5.10 to 7.3 [measured].
func (l *Live) inInitialNetns() bool {
	_, err := os.Stat(l.path("proc/sys/net/core/netdev_max_backlog"))
	return err == nil
}

// inInitialPIDNamespace reports whether /proc shows all processes of the host. Its
// process 1 tells; where that may not be seen, this process does.
func (l *Live) inInitialPIDNamespace() bool {
	var st unix.Stat_t
	if unix.Stat(l.path("proc/1/ns/pid"), &st) == nil {
		return st.Ino == initialPIDNS
	}
	return l.hasInode("proc/self/ns/pid", initialPIDNS)
}

// mayListAll reports whether listns(2) names all namespaces to this process. To
// others it names some and says nothing about it.
func (l *Live) mayListAll() bool {
	if !l.hasInode("proc/self/ns/pid", initialPIDNS) || !l.hasInode("proc/self/ns/user", initialUserNS) {
		return false
	}
	return hasCapability(unix.CAP_SYS_ADMIN)
}

// hasCapability reports whether a capability of the lower 32 is effective.
func hasCapability(capability uint) bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&head, &data[0])
	return err == nil && data[0].Effective&(1<<capability) != 0
}

// whyNoNetns says why the kernel shows no namespace of a process and no error,
// as Linux 5.10.261 does both when it may not be seen and when it is ending.
func whyNoNetns() error {
	if hasCapability(unix.CAP_SYS_PTRACE) {
		return unix.ESRCH
	}
	return unix.EACCES
}

func (l *Live) hasInode(path string, inode uint64) bool {
	var st unix.Stat_t
	return unix.Stat(l.path(path), &st) == nil && st.Ino == inode
}

// hidesProcesses reports whether /proc was mounted so that other users'
// processes are missing from it.
func (l *Live) hidesProcesses() bool {
	_, err := os.Stat(l.path("proc/1"))
	return err != nil
}
