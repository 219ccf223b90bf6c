// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// It has none of the old calls.
var (
	oldCalls []uintptr
	oldOpen  []forbidden
)
