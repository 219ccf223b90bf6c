// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import "github.com/qtune/qtune/tcpq"

// SetSysctl writes a file of /proc/sys.
func (in *inside) SetSysctl(_ tcpq.Sysctl, _ string) error { return ErrUnsupported }

// Relisten resizes a running listener.
func (in *inside) Relisten(_ *Socket, _, _ uint32) error { return ErrUnsupported }
