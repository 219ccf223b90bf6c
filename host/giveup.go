// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A forbidden call is one that fails with EPERM, always or unless an argument is as
// it may be: the low half of it, which is all that the kernel takes of these.
type forbidden struct {
	call      uintptr
	unless    bool
	arg       uint32
	mask, may uint32
}

// reading is how a file may be opened: nothing is written and nothing made.
const reading = unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC

// forbiddenCalls change other processes, files, mounts or the machine, or would start
// a program that does. What is asked most often stands first.
func forbiddenCalls() []forbidden {
	all := []forbidden{
		{call: unix.SYS_OPENAT, unless: true, arg: 2, mask: reading}, // sysctls, /proc/PID/mem
		{call: unix.SYS_SETNS, unless: true, arg: 1, mask: ^uint32(0), may: unix.CLONE_NEWNET},
		{call: unix.SYS_UNSHARE, unless: true, arg: 0, mask: ^uint32(0), may: unix.CLONE_NEWNET},
		{call: unix.SYS_TGKILL, unless: true, arg: 0, mask: ^uint32(0), may: uint32(os.Getpid())}, // the runtime's own
	}
	for _, call := range append([]uintptr{
		unix.SYS_PIDFD_GETFD, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
		unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_OPENAT2, unix.SYS_IO_URING_SETUP, // whose arguments no filter sees
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
		unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	}, oldCalls...) {
		all = append(all, forbidden{call: call})
	}
	return append(all, oldOpen...)
}

// GiveUpChanging takes from this process, with all its threads and until it ends, the
// calls by which it could change others: whoever takes it over does not get them
// either, whatever its capabilities. Reading, entering network namespaces and serving
// remain.
func GiveUpChanging() error {
	if auditArch == 0 {
		return fmt.Errorf("give up changing others: no filter is known for %s: %w", runtime.GOARCH, ErrUnsupported)
	}
	program := filterOf(forbiddenCalls())
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // both calls are of one thread
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up changing others: %w", err)
	}
	// All threads, and without the mitigation that older kernels turn on with a
	// filter: it is for programs that run the code of others.
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	differs, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&p)))
	runtime.KeepAlive(program)
	switch {
	case errno == unix.ENOSYS || errno == unix.EINVAL:
		return fmt.Errorf("give up changing others: this kernel has no seccomp filters: %w: %w", ErrUnsupported, errno)
	case errno != 0:
		return fmt.Errorf("give up changing others: %w", errno)
	case differs != 0:
		return fmt.Errorf("give up changing others: thread %d has another seccomp filter", differs)
	}
	return nil
}

// Where a filter finds what it judges: struct seccomp_data, of a little-endian machine.
const offNumber, offArch, offArgs, sizeofArg = 0, 4, 16, 8

// filterOf returns the filter that forbids calls, and everything of another
// architecture, under whose numbers they have other names.
func filterOf(all []forbidden) []unix.SockFilter {
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	jump := func(how uint16, k uint32, jt, jf uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | how | unix.BPF_K, K: k, Jt: jt, Jf: jf}
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	deny := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	const x32 = 0x40000000 // where amd64 has the numbers of another
	f := []unix.SockFilter{
		load(offArch), jump(unix.BPF_JEQ, auditArch, 1, 0), deny,
		load(offNumber), jump(unix.BPF_JGE, x32, 0, 1), deny,
	}
	for _, c := range all {
		if !c.unless {
			f = append(f, jump(unix.BPF_JEQ, uint32(c.call), 0, 1), deny)
			continue
		}
		f = append(f, jump(unix.BPF_JEQ, uint32(c.call), 0, 5),
			load(offArgs+sizeofArg*c.arg), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.mask},
			jump(unix.BPF_JEQ, c.may, 0, 1), allow, deny)
	}
	return append(f, allow)
}
