// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// The calls that newer machines never had.
var (
	oldCalls = []uintptr{unix.SYS_CREAT}
	oldOpen  = []forbidden{{call: unix.SYS_OPEN, unless: true, arg: 1, mask: reading}}
)
