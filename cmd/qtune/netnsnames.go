// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// netnsNames returns what people call each namespace: host, its name or its number.
func netnsNames(in *inspection.Inspection) map[uint64]string {
	names := make(map[uint64]string, len(in.Namespaces))
	taken := map[string]bool{}
	for _, n := range in.Namespaces {
		switch {
		case n.Host:
			names[n.Inode] = hostName
		case n.Name != "" && !misleading(n.Name) && !taken[n.Name]:
			names[n.Inode] = n.Name
			taken[n.Name] = true
		default:
			names[n.Inode] = strconv.FormatUint(n.Inode, 10)
		}
	}
	return names
}

// hostName is what the host's namespace is called.
const hostName = "host"

// misleading reports whether a name looks like what it is not: whoever may mount
// gives namespaces their names.
func misleading(name string) bool {
	return name == hostName || strings.Trim(name, "0123456789") == ""
}
