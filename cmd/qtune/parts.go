// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import "strings"

// A part of a line; of those that do not fit the highest in rank go first.
type part struct {
	text, style string
	rank        int
}

// partGap is what lies between two parts.
const partGap = "  "

// fitParts writes parts into one line.
func fitParts(width int, parts []part, colour bool) string {
	parts = append([]part(nil), parts...)
	for len(parts) > 1 && partsWidth(parts) > width {
		worst := 0
		for i, p := range parts {
			if p.rank >= parts[worst].rank {
				worst = i
			}
		}
		parts = append(parts[:worst], parts[worst+1:]...)
	}
	if len(parts) == 1 && partsWidth(parts) > width {
		parts[0].text = cut(parts[0].text, width, false)
	}
	return joinParts(parts, colour)
}

// flowParts writes parts into as many lines as they need.
func flowParts(width int, parts []part, colour bool) (lines []string) {
	var line []part
	for _, p := range parts {
		if len(line) > 0 && partsWidth(append(line, p)) > width {
			lines = append(lines, joinParts(line, colour))
			line = nil
		}
		if textWidth(p.text) > width {
			p.text = cut(p.text, width, false)
		}
		line = append(line, p)
	}
	return append(lines, joinParts(line, colour))
}

func partsWidth(parts []part) int {
	sum := (len(parts) - 1) * len(partGap)
	for _, p := range parts {
		sum += textWidth(p.text)
	}
	return sum
}

func joinParts(parts []part, colour bool) string {
	s := screen{style: tableStyle{Colour: colour}}
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.text
		if p.style != "" {
			texts[i] = s.paint(p.style, p.text)
		}
	}
	return strings.Join(texts, partGap)
}
