// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"strings"
	"testing"

	"github.com/qtune/qtune/tcpq"
)

// TestKernelSetSysctl proves that a value is set in the visited namespace alone, and
// that a text of which the kernel takes a part is an error which says so.
func TestKernelSetSysctl(t *testing.T) {
	tests := []struct {
		name string
		text string
		want string // afterwards
		err  string // a part of it, "" for none
	}{
		{"a number", "80", "80", ""},
		{"zero", "0", "0", ""},
		{"the largest", "2147483647", "2147483647", ""},
		{"two numbers", "80 90", "80", `took "80" of "80 90"`},
		{"one past the largest", "2147483648", "100", "outside what the kernel takes"},
		{"a negative number", "-1", "100", "outside what the kernel takes"},
		{"no number", "many", "100", "outside what the kernel takes"},
	}
	s := newStage(t)
	other := newStage(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.change(func(c Changeable) {
				if err := c.SetSysctl(tcpq.Somaxconn, "100"); err != nil {
					t.Error(err)
				}
				err := c.SetSysctl(tcpq.Somaxconn, tt.text)
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("SetSysctl(%q) = %v, want %q", tt.text, err, tt.err)
				}
				if got, err := c.Sysctl(tcpq.Somaxconn); got != tt.want || err != nil {
					t.Errorf("after SetSysctl(%q) it is %s, %v, want %s", tt.text, got, err, tt.want)
				}
			})
		})
	}
	other.change(func(c Changeable) {
		if got, err := c.Sysctl(tcpq.Somaxconn); got == "80" || got == "100" || err != nil {
			t.Errorf("the value of another namespace is %s, %v, want its default", got, err)
		}
	})
}

// TestKernelSetSysctlOfTheHost proves that what only the host has is not there in
// another namespace, and is not made.
func TestKernelSetSysctlOfTheHost(t *testing.T) {
	s := newStage(t)
	s.change(func(c Changeable) {
		err := c.SetSysctl(tcpq.NetdevMaxBacklog, "1")
		if !errors.Is(err, ErrUnsupported) || !errors.Is(err, ErrAbsent) {
			t.Errorf("SetSysctl = %v, want %v and %v", err, ErrUnsupported, ErrAbsent)
		}
		if err := c.MaySet(tcpq.NetdevMaxBacklog); !errors.Is(err, ErrUnsupported) {
			t.Errorf("MaySet = %v, want %v", err, ErrUnsupported)
		}
	})
}

// TestKernelMaySet proves that asking changes nothing.
func TestKernelMaySet(t *testing.T) {
	s := newStage(t)
	s.change(func(c Changeable) {
		before, err := c.Sysctl(tcpq.Somaxconn)
		if err != nil {
			t.Error(err)
		}
		if err := c.MaySet(tcpq.Somaxconn); err != nil {
			t.Errorf("MaySet = %v", err)
		}
		if now, err := c.Sysctl(tcpq.Somaxconn); now != before || err != nil {
			t.Errorf("after MaySet it is %s, %v, want %s", now, err, before)
		}
	})
}
