// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"slices"

	"github.com/qtune/qtune/inspection"
)

// markStyle returns the colour of a mark.
func markStyle(m inspection.Mark) string {
	switch m {
	case inspection.MarkNone:
		return ""
	case inspection.MarkNear:
		return styleYel
	}
	return styleRed
}

// markRank returns the place of a mark, the worst first.
func markRank(m inspection.Mark) int {
	if m == inspection.MarkNone {
		return len(inspection.Marks())
	}
	return slices.Index(inspection.Marks(), m)
}
