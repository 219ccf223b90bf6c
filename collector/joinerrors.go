// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

// maxAlike is how often an error may stand in the list before it becomes one line.
const maxAlike = 3

// joinErrors makes one line of an error that many namespaces have.
func joinErrors(all []tcpq.Error) []tcpq.Error {
	type kind struct {
		stage, message string
		netns          bool // it concerns a namespace
	}
	alike := map[kind]int{}
	for _, e := range all {
		alike[kind{e.Stage, e.Message, e.Netns != 0}]++
	}
	joined := all[:0]
	for _, e := range all {
		k := kind{e.Stage, e.Message, e.Netns != 0}
		n := alike[k]
		if n == 0 {
			continue // the line stands already
		}
		if n > maxAlike {
			what := "times"
			if k.netns {
				what = "network namespaces"
			}
			e = tcpq.Error{Stage: e.Stage, Message: fmt.Sprintf("%d %s: %s", n, what, e.Message)}
			alike[k] = 0
		}
		joined = append(joined, e)
	}
	return joined
}
