// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/qtune/qtune/advisor"
)

//go:generate go test -count=1 -run ^TestDocsAreFresh$ -update .

// TestDocsAreFresh compares docs/cli.md and the man pages with the commands, and
// docs/findings.md with the checks.
func TestDocsAreFresh(t *testing.T) {
	root := rootCommand()
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd()
	compareGolden(t, "../../docs/cli.md", cliPage(t, root))
	compareGolden(t, "../../docs/findings.md", findingsPage())

	pages := t.TempDir()
	header := &doc.GenManHeader{Section: "1", Source: "qtune", Date: &time.Time{}}
	if err := doc.GenManTree(root, header, pages); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(pages, "*.1"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no man pages: %v", err)
	}
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		compareGolden(t, filepath.Join("../../docs/man", filepath.Base(file)), page)
	}
}

// cliPage returns one page of Markdown for all commands.
func cliPage(t *testing.T, root *cobra.Command) []byte {
	t.Helper()
	var page bytes.Buffer
	page.WriteString("# Commands\n\nWritten by `make generate` from the commands themselves.\n\n")
	inPage := func(file string) string { // cobra links to a file for each command
		return "#" + strings.ReplaceAll(strings.TrimSuffix(file, ".md"), "_", "-")
	}
	var write func(*cobra.Command)
	write = func(c *cobra.Command) {
		if err := doc.GenMarkdownCustom(c, &page, inPage); err != nil {
			t.Fatal(err)
		}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				write(sub)
			}
		}
	}
	write(root)
	return page.Bytes()
}

// findingsPage returns one page of Markdown for all codes.
func findingsPage() []byte {
	var page bytes.Buffer
	page.WriteString(`# Findings

What ` + "`qtune inspect`" + ` can find, written by ` + "`make generate`" + ` from the checks themselves;
` + "`qtune explain CODE`" + ` prints the same. Critical: connections are being lost. Warning: they are
about to be, or the application is at fault. Both need movement within the window, or a queue
over its limit now. Info: a setting that bears on another finding, or something of the past.
A deeper cause silences its symptoms.

| code | severity | |
|---|---|---|
`)
	pages := advisor.Pages()
	for _, p := range pages {
		fmt.Fprintf(&page, "| [%s](#%s) | %s | %s |\n", p.Code, p.Code, p.Severity, p.Title)
	}
	for _, p := range pages {
		fmt.Fprintf(&page, "\n## %s\n\n%s: %s.\n", p.Code, upperFirst(string(p.Severity)), p.Title)
		for _, part := range pageParts(&p) {
			fmt.Fprintf(&page, "\n**%s.** %s\n", part.title, part.text)
		}
	}
	return page.Bytes()
}
