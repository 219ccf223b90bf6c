// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"fmt"
	"net"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// fileBuffer holds the largest file that is read in a namespace: netstat has
// about 5 kB, and softnet_stat 140 bytes for every CPU.
const fileBuffer = 256 << 10

// inside is the namespace its thread is in now.
type inside struct {
	live    *Live
	diag    Diag
	fileBuf []byte
	sysctls sysctlDirs
}

// arrive opens the socket of a visit. Its cookie says whether this is ns: it must be
// the one wanted, unless that is 0.
func (in *inside) arrive(ns *Namespace, want uint64) error {
	if err := in.diag.dial(); err != nil {
		return err
	}
	cookie := in.diag.Netns()
	if want != 0 && cookie != want {
		in.diag.Close()
		return fmt.Errorf("net:[%d] is another namespace now: %w", ns.Inode, ErrGone)
	}
	if ns.Cookie != cookie { // else others may be visiting it, too
		ns.Cookie = cookie
	}
	return nil
}

// leave closes what was open during a visit.
func (in *inside) leave() {
	in.diag.Close()
	in.sysctls.close()
}

// Dump sends a sock_diag request.
func (in *inside) Dump(_ DumpName, request []byte, each func([]byte) (bool, error)) error {
	return in.diag.Dump(request, each)
}

// Read reads a file of /proc/thread-self/net, which follows the thread.
func (in *inside) Read(f File) ([]byte, error) {
	if in.fileBuf == nil {
		in.fileBuf = make([]byte, fileBuffer)
	}
	return readFile(in.live.path("proc/thread-self/net/"+string(f)), in.fileBuf)
}

// Sysctl reads a file of /proc/sys, which follows the thread that opens it.
func (in *inside) Sysctl(s tcpq.Sysctl) (string, error) {
	var buf [32]byte
	dir, file := path.Split(sysctlFile(s))
	at, err := in.sysctls.open(in.live.path("proc/sys/" + dir))
	if err != nil {
		return "", meaning(&os.PathError{Op: "open", Path: dir, Err: err})
	}
	b, err := readFileAt(at, file, buf[:])
	return strings.TrimSpace(string(b)), err
}

// sysctlDirs are the folders of /proc/sys that are open during a visit. The
// kernel finds a file through an open folder at once; by its whole path it
// searches the folders of that name of all namespaces.
type sysctlDirs map[string]int

func (d *sysctlDirs) open(dir string) (int, error) {
	if fd, ok := (*d)[dir]; ok {
		return fd, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if *d == nil {
		*d = sysctlDirs{}
	}
	(*d)[dir] = fd
	return fd, nil
}

func (d sysctlDirs) close() {
	for dir, fd := range d {
		unix.Close(fd)
		delete(d, dir)
	}
}

// Device asks for the name of an interface of the thread's namespace.
func (in *inside) Device(index uint32) (string, error) {
	dev, err := net.InterfaceByIndex(int(index))
	if err != nil {
		return "", err
	}
	return dev.Name, nil
}

// readFile reads a pseudo-file: no stat, at most len(buf) bytes, and in one
// read where the kernel gives it all at once.
func readFile(path string, buf []byte) ([]byte, error) { return readFileAt(unix.AT_FDCWD, path, buf) }

// readFileAt is readFile relative to an open folder.
func readFileAt(at int, path string, buf []byte) ([]byte, error) {
	fd, err := unix.Openat(at, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, meaning(&os.PathError{Op: "open", Path: path, Err: err})
	}
	defer unix.Close(fd)
	n := 0
	for n < len(buf) {
		k, err := unix.Read(fd, buf[n:])
		if err != nil {
			return buf[:n], meaning(&os.PathError{Op: "read", Path: path, Err: err})
		}
		if k == 0 {
			break
		}
		n += k
	}
	return buf[:n], nil
}
