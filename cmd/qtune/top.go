// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/qtune/qtune/collector"
)

type topOptions struct {
	Global *globalOptions

	selection
	Interval time.Duration
	Agent    string
	Syn      string
	Deep     bool

	Out, Err io.Writer

	socket string // of the local agent
	syn    collector.SynMode
}

func topCommand(global *globalOptions) *cobra.Command {
	o := topOptions{Global: global, socket: agentSocket}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch every TCP listener live, full screen",
		Long: `Watch every TCP listener live: the columns of inspect, the worst first, over a window
that slides along. Enter opens one listener with all that is known of it, what was
found, and the course of its accept queue. ? shows the keys.

It asks the agent of this host when one answers, and else reads this kernel itself,
the last 60 looks being its window; reading takes at most a tenth of a CPU, so that
on a very large host looks come less often than --interval asks. The head says which
of the two it was. With --host a recording is played.

User and password of an agent go into its URL (https://USER:PASSWORD@HOST:PORT), where
other users of this machine can see them. Its certificate must be one that this host
trusts, or that the file named by SSL_CERT_FILE does.`,
		Example: `  sudo qtune top
  sudo qtune top --port 443 --sort accept   # one port, the fullest first
  sudo qtune top --problems                 # only what is wrong
  qtune top --agent http://web7:9794        # another host, through its agent
  sudo qtune top --agent none               # this kernel, agent or not
  qtune top --host test/hosts/pods          # a recorded host, no root needed`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if err := noZero(cmd.Flags()); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	o.bind(f, "loss")
	f.DurationVar(&o.Interval, "interval", time.Second, "how often to look, from 100ms to 1m")
	f.StringVar(&o.Agent, "agent", "", "ask this agent: http://HOST:PORT, https://HOST:PORT or unix:PATH; none for this kernel")
	bindReading(f, &o.Syn, &o.Deep)
	return cmd
}

func (o *topOptions) run(ctx context.Context) error {
	search, err := o.search(o.Global, o.Deep)
	if err != nil {
		return err
	}
	if o.syn, err = parseSynMode(o.Syn); err != nil {
		return err
	}
	if o.Interval < 100*time.Millisecond || o.Interval > time.Minute {
		return usageError("--interval %v: want 100ms to 1m", o.Interval)
	}
	out, ok := o.Out.(*os.File)
	if !ok || !isTerminal(out) || os.Getenv("TERM") == "dumb" {
		return usageError("top fills a terminal, and there is none: to print what there is, use qtune inspect")
	}
	if f, ok := o.Err.(*os.File); ok && isTerminal(f) {
		o.Global.Log = slog.New(slog.DiscardHandler) // it would write across the screen
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := o.source(ctx, search)
	if err != nil {
		return err
	}
	m := newTopModel(o.selection, wantsColour(o.Out), func() tea.Msg {
		l, err := s.next(ctx)
		return lookMsg{l, err}
	})
	end, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
	if err != nil && (ctx.Err() == nil || !errors.Is(err, tea.ErrProgramKilled)) {
		return err
	}
	if m, ok := end.(topModel); ok {
		return m.fatal
	}
	return nil
}
