// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/exporter"
	"github.com/qtune/qtune/tcpq"
)

//go:generate go test -count=1 -run ^TestDocsAreFresh$ -update .

// TestDocsAreFresh compares docs/cli.md and the man pages with the commands,
// docs/findings.md with the checks, docs/kernel-rules.md with the tables, and
// docs/metrics.md with the rows of the exporter.
func TestDocsAreFresh(t *testing.T) {
	root := rootCommand()
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd()
	compareGolden(t, "../../docs/cli.md", cliPage(t, root))
	compareGolden(t, "../../docs/findings.md", findingsPage())
	compareGolden(t, "../../docs/kernel-rules.md", rulesPage())
	compareGolden(t, "../../docs/metrics.md", metricsPage())

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

// rulesPage returns one page of Markdown for what the kernel does.
func rulesPage() []byte {
	var page bytes.Buffer
	page.WriteString(`# The kernel's rules

What Linux does with the queues of a listening TCP socket, written by ` + "`make generate`" + ` from the
tables that ` + "`qtune explain`" + ` and the advice stand on. *Measured*: tried on running kernels, and
tried again by ` + "`qtune selftest`" + ` where it can be; *read*: in the kernel's source; *known*: not
verified. Stable branches took some rules earlier; distributions that hide their patch level
(el8, el9, Ubuntu) may have, and then qtune tries it in a namespace of its own.

## Rules

| rule | kernels | what the kernel does | how it is known |
|---|---|---|---|
`)
	for r := range tcpq.Rule(tcpq.NumRules) {
		info := r.Info()
		kernels := info.Range()
		for _, branch := range slices.SortedFunc(maps.Keys(info.Stable), func(a, b [2]int) int { return cmp.Or(a[0]-b[0], a[1]-b[1]) }) {
			kernels += fmt.Sprintf(", %d.%d.%d", branch[0], branch[1], info.Stable[branch])
		}
		for _, vendor := range info.Vendors {
			kernels += ", " + vendor
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s: %s |\n", info.ID, kernels, info.Says, info.Proof, info.Where)
	}
	page.WriteString(`
## Sysctls

A new namespace starts with the kernel's own values. *At once*: a running listener feels a
change; otherwise the next listen(2) does. Before the kernel named, one value holds for the whole host.

| sysctl | per namespace | felt | what it does |
|---|---|---|---|
`)
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		info := s.Info()
		scope := fmt.Sprintf("since %d.%d", info.PerNetns[0], info.PerNetns[1])
		switch info.PerNetns {
		case [2]int{}:
			scope = "never: the host's"
		case [2]int{2, 6}:
			scope = "wherever it exists"
		}
		felt := "at the next listen(2)"
		if info.Live {
			felt = "at once"
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", info.Name, scope, felt, info.Help)
	}
	page.WriteString(`
## Counters

Of a namespace, since it was made. They count packets: a client that tries again counts again.

| counter | where | moves when |
|---|---|---|
`)
	for c := range tcpq.Counter(tcpq.NumCounters) {
		info := c.Info()
		fmt.Fprintf(&page, "| %s | %s | %s |\n", info.Name, info.Group, info.Help)
	}
	return page.Bytes()
}

// metricsPage returns one page of Markdown for all metrics.
func metricsPage() []byte {
	var page bytes.Buffer
	page.WriteString(`# Metrics

What ` + "`qtune agent`" + ` tells at ` + "`/metrics`" + `, written by ` + "`make generate`" + ` from the exporter's own
tables. Beside these there are the usual go_* and process_* of the agent itself. All series of one
scrape are of one step, except those about the agent.

**Labels.** *netns* is the inode number of the network namespace, as ` + "`lsns -t net`" + ` shows it. *listener* is
ADDR[%DEV]:PORT; members of a reuse-port group are told apart by #INODE, the socket's. *namespace* and *pod* are
those of the listener's owner, and empty when it has none: scrape with ` + "`honor_labels: true`" + `, so that a listener
keeps its own and gets those of the agent's pod neither in their place nor where it has none.

**Counters** never run backwards while a socket or a namespace lives; a successor with the same labels begins with its
own count, which is a counter reset like any other. They count packets, so a client that tries again counts again.
What ended is told for ten minutes: what it counted last, if it counted anything.

**Caps.** A node has series of its own for at most 1000 listeners, 256 in a namespace, and 1000 namespaces: those
with loss in the window first, then the fullest, then those that discarded most; who has series stays unless another is clearly
ahead. The others of a namespace are added up in *listener="other"*; what they counted there is not counted again
when they get series of their own. With ` + "`--series active`" + ` the same holds for all that had no loss, no queue over a
quarter full and no finding within the last hour.

| metric | type | labels | |
|---|---|---|---|
`)
	for _, m := range exporter.Metrics() {
		labels := strings.Join(m.Labels, ", ")
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", m.Name, m.Type, labels, m.Help)
	}
	return page.Bytes()
}
