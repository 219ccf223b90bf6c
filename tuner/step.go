// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"

	"github.com/qtune/qtune/sysctl"
	"github.com/qtune/qtune/tcpq"
)

// Settable returns the sysctls that qtune changes: those whose effect on a queue it
// can explain, and so has bounds for.
func Settable() (all []tcpq.Sysctl) {
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		if _, ok := sysctl.Bounds(s); ok {
			all = append(all, s)
		}
	}
	return all
}

// sysctlOf returns the sysctl of that name, if it may be changed.
func sysctlOf(name string) (tcpq.Sysctl, error) {
	for _, s := range Settable() {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%s is no sysctl that qtune changes: it changes %v", name, Settable())
}

// validate says what makes a step impossible.
func (s *Step) validate() error {
	if _, err := s.Scope.cookie(); err != nil {
		return err
	}
	for _, v := range []int64{s.From, s.To} {
		if v < math.MinInt32 || v > math.MaxInt32 {
			return fmt.Errorf("%s: %d is no value the kernel could hold", s, v)
		}
	}
	switch s.Kind {
	case KindSysctl:
		_, err := sysctlOf(s.Key)
		return err
	case KindListen:
		switch {
		case s.Listener == nil:
			return errors.New("a listen step without a listener")
		case s.From < 0 || s.To < 0:
			return fmt.Errorf("%s: no listener has a limit below 0", s)
		}
		_, _, err := s.Listener.parse()
		return err
	case KindFile:
		if !s.Scope.Host {
			return errors.New("only the host's namespace has a boot file")
		}
		return nil
	}
	return fmt.Errorf("unknown kind of step %q", s.Kind)
}

// String says what the step is about, without its values.
func (s *Step) String() string {
	what := s.Key
	switch s.Kind {
	case KindFile:
		return s.Key
	case KindListen:
		what = "listener " + s.Listener.Name()
	}
	return fmt.Sprintf("%s of net:[%d]", what, s.Scope.Netns)
}

// better reports whether v is as good as what the step wants: who has raised it
// further is not stopped.
func (s *Step) better(v int64) bool {
	return v == s.To || s.To > s.From && v > s.To
}

// saw remembers the value that was found.
func (s *Step) saw(v int64) { s.Seen = &v }

// A netnsID tells one network namespace from any other.
type netnsID struct {
	inode  uint64
	cookie string
}

func (s *Scope) id() netnsID { return netnsID{s.Netns, s.Cookie} }

// A valueID tells one value of a host from any other.
type valueID struct {
	netns  netnsID
	key    string
	socket string // cookie of the listener
}

// value returns which value the step changes.
func (s *Step) value() valueID {
	v := valueID{netns: s.Scope.id(), key: s.Key}
	if s.Kind == KindListen {
		v.socket = s.Listener.Cookie
	}
	return v
}

// somaxconn returns which value the limit of the step's listener is cut down to.
func (s *Step) somaxconn() valueID {
	return valueID{netns: s.Scope.id(), key: tcpq.Somaxconn.String()}
}

// cookie returns the cookie as the kernel has it, 0 when there is none.
func (s *Scope) cookie() (uint64, error) { return parseCookie(s.Cookie) }

// Name returns ADDR[%DEV]:PORT.
func (s *Socket) Name() string {
	addr, err := netip.ParseAddr(s.Address)
	return tcpq.ListenerName(s.Address, err == nil && !addr.Is4(), s.Device, s.Port)
}

// parse returns the address and the cookie as the kernel has them.
func (s *Socket) parse() (netip.Addr, uint64, error) {
	addr, err := netip.ParseAddr(s.Address)
	if err != nil {
		return addr, 0, fmt.Errorf("address of a listener: %w", err)
	}
	cookie, err := parseCookie(s.Cookie)
	if err == nil && cookie == 0 {
		err = fmt.Errorf("listener %s has no cookie: nothing would tell it from its successor", s.Name())
	}
	return addr, cookie, err
}

func parseCookie(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	cookie, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 {
		return 0, fmt.Errorf("cookie %q: not 16 hex digits", text)
	}
	return cookie, nil
}
