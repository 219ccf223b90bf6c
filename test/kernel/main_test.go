// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"fmt"
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

func TestMain(m *testing.M) {
	lab.Main(m)
}

// cookieText is how a cookie stands in JSON.
func cookieText(cookie uint64) string { return fmt.Sprintf("%016x", cookie) }

// netnsCookie is how a namespace's cookie stands in JSON: absent before Linux 5.14.
func netnsCookie(n *lab.Namespace) string {
	if n.Cookie == 0 {
		return ""
	}
	return cookieText(n.Cookie)
}

// listenersOf returns what in says of the listeners of a namespace.
func listenersOf(in *inspection.Inspection, n *lab.Namespace) []inspection.Listener {
	var all []inspection.Listener
	for _, l := range in.Listeners {
		if l.Netns == n.Inode {
			all = append(all, l)
		}
	}
	return all
}

// value returns what p points to, and a text for nothing.
func value[T any](p *T) any {
	if p == nil {
		return "absent"
	}
	return *p
}
