// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import "github.com/qtune/qtune/tcpq"

// kernelServices are the ports on which the kernel itself listens: no process
// holds those sockets.
var kernelServices = map[uint16]string{
	445:   "ksmbd",
	988:   "lustre",
	2049:  "nfsd",
	3260:  "iSCSI target",
	4420:  "nvmet-tcp",
	8009:  "nvmet-tcp discovery",
	16385: "rds-tcp",
	21064: "dlm",
}

// isKernelSocket reports whether a listener that no process holds is probably a
// service of the kernel's: those are made by root, on their known ports.
func isKernelSocket(l *tcpq.Listener) bool {
	return l.UID == 0 && kernelServices[l.Port] != ""
}
