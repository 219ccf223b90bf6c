// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// A prompter asks a person questions.
type prompter struct {
	w       io.Writer
	answers <-chan string // closed at the end of the input
}

// newPrompter returns one that reads from in as long as the process lives.
func newPrompter(in io.Reader, w io.Writer) *prompter {
	answers := make(chan string)
	go func() {
		defer close(answers)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			answers <- lines.Text()
		}
	}()
	return &prompter{w: w, answers: answers}
}

// ask asks and waits for the answer. Whatever is not a yes is a no, the end of the
// input, too.
func (p *prompter) ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprint(p.w, question, " [y/N] ")
	select {
	case answer, ok := <-p.answers:
		if !ok {
			fmt.Fprintln(p.w)
		}
		return isYes(answer), nil
	case <-ctx.Done():
		fmt.Fprintln(p.w)
		return false, ctx.Err()
	}
}

func isYes(answer string) bool {
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

// isPerson reports whether a person can be asked: what is read is a terminal, and
// so is where questions are written.
func isPerson(in io.Reader, w io.Writer) bool {
	i, ok := in.(*os.File)
	if !ok || !isTerminal(i) {
		return false
	}
	o, ok := w.(*os.File)
	return ok && isTerminal(o)
}
