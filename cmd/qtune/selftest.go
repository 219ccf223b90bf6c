// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/selftest"
)

type selftestOptions struct {
	Global *globalOptions

	Rules  []string
	Output string

	Out, Err io.Writer
}

// holdCommandName is the hidden command of the process that a listener is handed
// to.
const holdCommandName = "hold"

func selftestCommand(global *globalOptions) *cobra.Command {
	o := selftestOptions{Global: global}
	cmd := &cobra.Command{
		Use:   "selftest [RULE...]",
		Short: "Prove the rules of the listen queues on this kernel",
		Long: `Try on the running kernel each rule by which qtune judges: in network namespaces
of its own, with forged clients, and read as inspect reads. It shows what was
predicted for this kernel beside what was observed.

Nothing of the host is touched and nothing is left behind. It takes a few seconds
and needs CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW. What cannot be tried here is
skipped, with the reason. It exits with 1 when the kernel contradicts a rule.`,
		Example: `  sudo qtune selftest
  sudo qtune selftest -o wide             # every case
  sudo qtune selftest three-quarters      # one rule
  sudo qtune selftest -o json | jq '.rules[] | select(.outcome == "mismatch")'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Rules = args
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runSelftest(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.Output, "output", "o", "table", "table, wide, json or yaml")
	cmd.AddCommand(&cobra.Command{
		Use:    holdCommandName,
		Short:  "Keep what was handed over open until standard input ends",
		Hidden: true,
		Args:   noArgs,
		RunE:   func(*cobra.Command, []string) error { return selftest.Hold() },
	})
	return cmd
}

func runSelftest(ctx context.Context, o selftestOptions) error {
	switch o.Output {
	case "table", "wide", "json", "yaml":
	default:
		return usageError("-o %s: want table, wide, json or yaml", o.Output)
	}
	if o.Global.Host != "" {
		return usageError("selftest tries this host's kernel: --host has no use here")
	}
	live, err := host.NewLive(o.Global.Rootfs)
	if err != nil {
		return err
	}
	info, err := live.Info()
	if err != nil {
		return err
	}
	progress := newProgress(o.Err)
	results, err := selftest.Run(ctx, live, selftest.Options{
		Only:     o.Rules,
		Holder:   []string{"/proc/self/exe", "selftest", holdCommandName},
		Progress: progress.say,
	})
	progress.clear()
	if errors.Is(err, selftest.ErrUnknownRule) {
		return usageError("%v", err)
	}
	if err != nil {
		return fmt.Errorf("selftest: %w", err)
	}
	report := selftest.NewReport(info.Kernel.Release, results)
	if err := o.write(report); err != nil {
		return err
	}
	if !report.Holds() {
		return fmt.Errorf("%s of %d could not be proved on this kernel", count(report.Summary.Tried-report.Summary.Hold, "rule"), report.Summary.Tried)
	}
	return nil
}

func (o *selftestOptions) write(report *selftest.Report) error {
	output := o.Output
	if output == "wide" {
		output = "table"
	}
	return writeAs(o.Out, output, report, func() error { return o.writeTable(report) })
}

func (o *selftestOptions) writeTable(report *selftest.Report) error {
	w := newWriter(o.Out)
	width, colour := terminalWidth(o.Out), wantsColour(o.Out)
	fmt.Fprintf(w, "Linux %s: the rules of the listen queues, tried\n\n", report.Kernel)
	if o.Output == "wide" {
		wideSelftest(report).write(w, 0, colour)
	} else {
		selftestTable(report).write(w, width, colour)
	}
	selftestFootnotes(w, report, width)
	return w.Flush()
}

// selftestTable has a row for each rule, with one of its cases.
func selftestTable(report *selftest.Report) *table {
	t := &table{columns: []column{
		{title: "OK"},
		{title: "RULE", least: 12},
		{title: "CASES", right: true},
		{title: "ONE OF THEM", least: 12},
		{title: "PREDICTED", least: 12},
		{title: "OBSERVED", least: 12},
	}}
	for i := range report.Rules {
		g := &report.Rules[i]
		c := g.Example()
		facts := c.Facts[:min(len(c.Facts), 2)] // the first say most
		if c.Outcome == selftest.Mismatch {
			facts = c.Wrong()
		}
		t.rows = append(t.rows, row{style: outcomeStyle(g.Outcome), cells: []string{
			outcomeText(g.Outcome), g.ID, strconv.Itoa(len(g.Cases)), orDash(c.Case), predictedText(facts), observedText(facts),
		}})
	}
	return t
}

// wideSelftest has a row for each case, with all its facts.
func wideSelftest(report *selftest.Report) *table {
	t := &table{columns: []column{{title: "OK"}, {title: "RULE"}, {title: "CASE"}, {title: "PREDICTED"}, {title: "OBSERVED"}}}
	for i := range report.Rules {
		g := &report.Rules[i]
		for _, c := range g.Cases {
			t.rows = append(t.rows, row{style: outcomeStyle(c.Outcome), cells: []string{
				outcomeText(c.Outcome), g.ID, orDash(c.Case), predictedText(c.Facts), observedText(c.Facts),
			}})
		}
	}
	return t
}

// selftestFootnotes says what is to be said of what did not go well, and sums up.
func selftestFootnotes(w *bufio.Writer, report *selftest.Report, width int) {
	fmt.Fprintln(w)
	for i := range report.Rules {
		g := &report.Rules[i]
		if g.Outcome == selftest.Mismatch {
			fmt.Fprintln(w, wrap(fmt.Sprintf("%s (%s): %s", g.ID, g.Range, g.Says), width))
		}
		said := ""
		for _, c := range g.Cases {
			text := ""
			switch {
			case c.Outcome == selftest.Mismatch:
				text = fmt.Sprintf("  %s: predicted %s; observed %s", orDash(c.Case), predictedText(c.Wrong()), observedText(c.Wrong()))
			case c.Outcome == selftest.Skipped && g.Outcome == selftest.Skipped:
				text = fmt.Sprintf("skipped: %s: %s", g.ID, c.Why)
			case c.Why != "":
				text = fmt.Sprintf("%s: %s: %s: %s", c.Outcome, g.ID, orDash(c.Case), c.Why)
			}
			if text != "" && text != said { // several cases may lack the same thing
				fmt.Fprintln(w, wrap(text, width))
			}
			said = text
		}
	}
	s := report.Summary
	fmt.Fprintf(w, "%d of %d rules hold on Linux %s; %d skipped\n", s.Hold, s.Tried, report.Kernel, s.Skipped)
}

func outcomeText(o selftest.Outcome) string {
	switch o {
	case selftest.Pass:
		return "ok"
	case selftest.Skipped:
		return "-"
	case selftest.Mismatch:
		return "NO"
	}
	return string(o)
}

func outcomeStyle(o selftest.Outcome) string {
	switch o {
	case selftest.Pass:
		return ""
	case selftest.Skipped:
		return styleDim
	case selftest.Mismatch:
		return styleRed
	}
	return styleYel
}

func predictedText(facts []selftest.Fact) string {
	return factsText(facts, func(f selftest.Fact) int64 { return f.Predicted })
}

func observedText(facts []selftest.Fact) string {
	return factsText(facts, func(f selftest.Fact) int64 { return f.Observed })
}

func factsText(facts []selftest.Fact, number func(selftest.Fact) int64) string {
	parts := make([]string, len(facts))
	for i, f := range facts {
		parts[i] = f.Name + " " + strconv.FormatInt(number(f), 10)
	}
	return orDash(strings.Join(parts, ", "))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
