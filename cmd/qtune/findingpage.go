// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/qtune/qtune/advisor"
)

// findingPage returns the page of a code.
func findingPage(code string) (advisor.Page, bool) {
	pages := advisor.Pages()
	i := slices.IndexFunc(pages, func(p advisor.Page) bool { return string(p.Code) == code })
	if i < 0 {
		return advisor.Page{}, false
	}
	return pages[i], true
}

// writeFindingPage writes all there is to say of a kind of finding.
func writeFindingPage(w io.Writer, p *advisor.Page, width int) error {
	s := screen{w: newWriter(w), style: tableStyle{Width: width}}
	s.say("%s (%s): %s", p.Code, p.Severity, p.Title)
	for _, part := range pageParts(p) {
		fmt.Fprintln(s.w)
		s.say("%s: %s", part.title, part.text)
	}
	return s.w.Flush()
}

type pagePart struct{ title, text string }

// pageParts returns the parts of a page in the order they are read.
func pageParts(p *advisor.Page) []pagePart {
	return []pagePart{
		{"What it means", p.Means},
		{"How to confirm it by hand", p.Confirm},
		{"What to do", p.Do},
		{"What not to do", p.Avoid},
	}
}
