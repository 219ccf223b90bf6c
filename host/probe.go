// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// ProbeSynFull tries which test of a full SYN queue the running kernel has: in a
// namespace of its own, without syncookies, a listener of limit 0 answers a SYN
// only by the newer one. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
func (l *Live) ProbeSynFull() (test tcpq.SynFullTest, err error) {
	n, err := l.NewNamespace()
	if err != nil {
		return "", err
	}
	defer n.Close()
	if err := n.SetSysctl(tcpq.TCPSyncookies, 0); err != nil {
		return "", err
	}
	err = n.Do(func() error {
		test, err = trySynFull()
		return err
	})
	return test, err
}

// synFull returns what a trial shows where the version alone does not tell, once;
// nothing when it could not be made.
func (l *Live) synFull(v tcpq.Version) tcpq.SynFullTest {
	if v.Undecided() && !l.probed {
		l.probed = true
		l.synFullTest, _ = l.ProbeSynFull() // not permitted: the version has to do
	}
	return l.synFullTest
}

// answerMilliseconds is how long a SYN on loopback may take to be answered: it
// takes microseconds, and one that is refused is repeated only after a second.
const answerMilliseconds = 200

// trySynFull connects to a listener of limit 0.
func trySynFull() (tcpq.SynFullTest, error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	if err := unix.Listen(listener, 0); err != nil {
		return "", err
	}
	addr, err := unix.Getsockname(listener)
	if err != nil {
		return "", err
	}
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(client)
	if err := unix.Connect(client, addr); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return "", err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(client), Events: unix.POLLOUT}}, answerMilliseconds)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return "", err
		case n == 0:
			return tcpq.SynFullAt, nil
		default:
			return tcpq.SynFullAbove, nil
		}
	}
}
