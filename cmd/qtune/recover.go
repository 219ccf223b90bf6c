// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tuner"
)

type recoverOptions struct {
	changing
	Orphaned bool
	Output   string

	Out io.Writer
}

func recoverCommand(global *globalOptions) *cobra.Command {
	o := recoverOptions{changing: changing{Global: global}}
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Undo what was begun and not finished, and trials that are over",
		Long: `Undo every transaction that is open and has to be: one that was begun and not
finished, a trial past its deadline, and note what a reboot undid. A trial that still
runs is left alone, except with --orphaned: that is for a host on which nobody waits
for it any more.

It is safe to run at any time and any number of times. Whatever somebody else wrote
meanwhile is left. systemd runs it at the deadline of a trial, at boot and when the
agent stops.` + exitHelp(tuner.ErrConflict, host.ErrPermission, tuner.ErrBusy, tuner.ErrIncomplete),
		Example: `  sudo qtune recover
  sudo qtune recover --orphaned    # trials that still run, too`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	o.bind(f)
	f.BoolVar(&o.Orphaned, "orphaned", false, "also trials before their deadline")
	f.StringVarP(&o.Output, "output", "o", outputText, "text, json or yaml")
	return cmd
}

func (o *recoverOptions) run(ctx context.Context) error {
	if err := checkOutput(o.Output); err != nil {
		return err
	}
	t, now, err := o.opening()
	if err != nil {
		return err
	}
	done, err := t.Recover(ctx, now, o.Orphaned)
	for _, tx := range done {
		makePrintable(tx)
	}
	aside, unread := setAside(t)
	e := writeText(o.Out, o.Output, historyOf(done, aside), func(s *screen) {
		if len(done) == 0 && err == nil {
			s.say("Nothing to recover.")
		}
		for _, tx := range done {
			s.decided(tx)
		}
		s.setAside(aside)
	})
	return errors.Join(err, unread, e)
}
