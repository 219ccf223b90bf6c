// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// terminalWidth returns how many columns w has, 0 when it is no terminal.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// progressDelay is how long work may take before anybody wants to hear of it.
const progressDelay = 2 * time.Second

// A progress is one line on a terminal that says what takes so long.
type progress struct {
	w       io.Writer // nil: nobody watches
	started time.Time
	shown   bool
}

func newProgress(w io.Writer) *progress {
	p := &progress{started: time.Now()}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		p.w = w
	}
	return p
}

// say shows what is being done; of 0 means that nobody knows how much there is.
func (p *progress) say(doing string, done, of int) {
	if p.w == nil || time.Since(p.started) < progressDelay {
		return
	}
	p.shown = true
	if of > 0 {
		doing = fmt.Sprintf("%s: %d of %d", doing, done, of)
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", doing)
}

// clear takes the line away again.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
