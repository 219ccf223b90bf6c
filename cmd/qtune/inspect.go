// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
	"github.com/spf13/cobra"
)

// windowSlots is into how many slots a watched span is cut.
const windowSlots = 10

type inspectOptions struct {
	Global *globalOptions

	selection
	Agent  string
	For    time.Duration
	Syn    string
	Deep   bool
	Output string

	Brief            bool
	DetailedExitCode bool

	Out, Err io.Writer

	forGiven bool
	socket   string // of the agent of this host
}

func inspectCommand(global *globalOptions) *cobra.Command {
	o := inspectOptions{Global: global, socket: agentSocket}
	cmd := &cobra.Command{
		Use:   "inspect",
		Short: "Show every TCP listener with its two queues, its limit and its owner",
		Long: `Show every TCP listener of every network namespace of this host: its accept queue
and SYN queue (length/limit), the packets discarded for it, how many of its new
connections the kernel refused meanwhile, who set its limit and who owns it. Then
what was found, with its evidence and its remedy; explain CODE says more of it.

When an agent runs on this host it is asked for its last ten minutes. Otherwise, or
with --for, inspect watches itself, for one second by default; Ctrl-C ends that
early and shows what was seen. --for 0 takes one snapshot and tells no rates. As
root it sees everything; otherwise it shows what you may see and says what is
missing.`,
		Example: `  sudo qtune inspect                        # every listener
  sudo qtune inspect --for 30s --sort loss  # watch longer, the worst first
  sudo qtune inspect --port 443 -o wide     # one port in all namespaces
  sudo qtune inspect --pod shop/cart-0      # one pod
  sudo qtune inspect --problems --for 1m    # only what is wrong
  sudo qtune inspect --netns /run/netns/blue --for 0 -o json
  qtune inspect --host test/hosts/plain     # a recorded host, no root needed`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			o.forGiven = cmd.Flags().Changed("for")
			if err := noZero(cmd.Flags()); err != nil {
				return err
			}
			return inspect(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	o.bind(f, "netns")
	f.StringVar(&o.Agent, "agent", "", "the agent to ask: http://HOST:PORT, https://HOST:PORT or unix:PATH; none: look yourself (default: this host's, when it answers)")
	f.DurationVar(&o.For, "for", time.Second, "watch for this long; 0 takes one snapshot")
	bindReading(f, &o.Syn, &o.Deep)
	f.StringVarP(&o.Output, "output", "o", "table", "table, wide, json or yaml")
	f.BoolVar(&o.Brief, "brief", false, "three sentences for a ticket: what was looked at, the worst, the remedy")
	f.BoolVar(&o.DetailedExitCode, "detailed-exitcode", false, "exit with 2 when connections are being lost (a critical finding)")
	return cmd
}

// gcPercent is for a command that runs once: garbage is first collected at
// 64 MiB, which ten thousand listeners do not reach. At the usual 100 half its
// time goes into collecting what the end of the process frees anyway [measured].
const gcPercent = 1600

// memoryLimit is from where on memory counts more than time.
const memoryLimit = 256 << 20

func inspect(ctx context.Context, o inspectOptions) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	search, err := o.search()
	if err != nil {
		return err
	}
	in, err := o.askAgent(ctx, search)
	if in == nil && err == nil {
		in, err = o.read(ctx, search)
	}
	if err != nil {
		return err
	}
	return o.show(in)
}

// show writes what was asked for of an inspection, in the form that was.
func (o *inspectOptions) show(in *inspection.Inspection) error {
	whole := wholeProblems(in)
	in = o.Filter.of(in)
	style := tableStyle{
		Wide: o.Output == "wide", Width: terminalWidth(o.Out), Colour: wantsColour(o.Out), Brief: o.Brief,
		Recorded: o.Global.Host != "", Filtered: o.Filter != filter{}, Problems: o.Problems,
		Of: len(in.Listeners), Hidden: whole - wholeProblems(in),
	}
	if o.Problems {
		in = problemsOnly(in)
	}
	sortListeners(in.Listeners, listenerOrders[o.Sort])
	output := o.Output
	if output == "wide" {
		output = "table"
	}
	if err := writeAs(o.Out, output, in, func() error { return writeTable(o.Out, in, style) }); err != nil {
		return err
	}
	if o.DetailedExitCode && hasCritical(in) {
		return errCritical
	}
	return nil
}

// search checks the options and turns them into what to look for.
func (o *inspectOptions) search() (host.Search, error) {
	switch o.Output {
	case "table", "wide":
	case "json", "yaml":
		if o.Brief {
			return host.Search{}, usageError("--brief is for people: it goes with -o table")
		}
	default:
		return host.Search{}, usageError("-o %s: want table, wide, json or yaml", o.Output)
	}
	if o.For < 0 {
		return host.Search{}, usageError("--for %v: a time cannot be negative", o.For)
	}
	return o.selection.search(o.Global, o.Deep)
}

// read takes a snapshot, or watches for the time asked.
func (o *inspectOptions) read(ctx context.Context, search host.Search) (*inspection.Inspection, error) {
	syn, err := parseSynMode(o.Syn)
	if err != nil {
		return nil, err
	}
	h, err := o.Global.open()
	if err != nil {
		return nil, err
	}
	progress := newProgress(o.Err)
	defer progress.clear()
	c := collector.New(h, collector.Options{Search: search, Syn: syn, Progress: progress.say, Log: o.Global.Log})
	var s *tcpq.Snapshot
	var w *tcpq.Window
	switch rec, recorded := h.(*host.Recording); {
	case o.For == 0:
		s, err = c.Snapshot(ctx, nil)
	case recorded:
		s, w, err = c.Replay(ctx, rec)
	default:
		s, w, err = c.Watch(ctx, o.For, windowSlots)
	}
	if err != nil {
		return nil, err
	}
	if err := nothingRead(s); err != nil {
		return nil, err
	}
	p := policy.Default()
	return inspection.From(s, w, advisor.Advise(s, w, &p)), nil
}

// parseSynMode reads the value of --syn.
func parseSynMode(s string) (collector.SynMode, error) {
	switch m := collector.SynMode(s); m {
	case collector.SynAuto, collector.SynAll, collector.SynNever:
		return m, nil
	}
	return "", usageError("--syn %s: want auto, all or never", s)
}

// nothingRead returns an error when the listeners of not one namespace could be
// read. Some of them, from a dump that broke off, are something.
func nothingRead(s *tcpq.Snapshot) error {
	var why error
	for i := range s.Namespaces {
		switch n := &s.Namespaces[i]; {
		case n.Listed, len(n.Listeners) > 0:
			return nil
		case why != nil:
		case n.Denied != nil:
			why = fmt.Errorf("no network namespace could be read, net:[%d]: %w", n.ID.Inode, n.Denied)
		default:
			why = fmt.Errorf("no listener could be read, net:[%d]: %s", n.ID.Inode, n.Err)
		}
	}
	if why == nil {
		return fmt.Errorf("no network namespace could be read: %w", host.ErrGone)
	}
	return why
}

// wantsColour reports whether w is a terminal whose user has nothing against it.
func wantsColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
