// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

//go:generate go test -count=1 -run ^TestDocsAreFresh$ -update .

// TestDocsAreFresh compares docs/cli.md and the man pages with the commands.
func TestDocsAreFresh(t *testing.T) {
	root := rootCommand()
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd()
	compareGolden(t, "../../docs/cli.md", cliPage(t, root))

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
