// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
)

type recordOptions struct {
	Global *globalOptions

	Dir    string
	For    time.Duration
	Syn    string
	Deep   bool
	Redact bool

	Out, Err io.Writer
}

func recordCommand(global *globalOptions) *cobra.Command {
	o := recordOptions{Global: global}
	cmd := &cobra.Command{
		Use:   "record DIR",
		Short: "Save what qtune reads of this host, to be looked at elsewhere",
		Long: `Save what qtune reads of this host in the folder DIR: sockets, counters and sysctls
of every namespace, and the processes that hold listeners. Every command that only
reads takes it with --host DIR.

Command lines are saved without their arguments, because those may hold secrets.
--redact also replaces the names of hosts, namespaces, units, containers and pods,
and all addresses, each always by the same substitute.`,
		Example: `  sudo qtune record /tmp/web7 --for 10s --redact
  qtune inspect --host /tmp/web7`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("record wants one argument: the folder to write")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = args[0]
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return record(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.For, "for", time.Second, "watch for this long; 0 saves one snapshot")
	bindReading(f, &o.Syn, &o.Deep)
	f.BoolVar(&o.Redact, "redact", false, "replace names and addresses")
	return cmd
}

func record(ctx context.Context, o recordOptions) error {
	if o.Global.Host != "" {
		return usageError("record reads this host: --host has no use here")
	}
	syn, err := parseSynMode(o.Syn)
	if err != nil {
		return err
	}
	live, err := host.NewLive(o.Global.Rootfs)
	if err != nil {
		return err
	}
	r, err := host.NewRecorder(live, o.Dir, version, o.Redact)
	if err != nil {
		return err
	}
	progress := newProgress(o.Err)
	c := collector.New(r, collector.Options{Search: host.Search{Deep: o.Deep}, Syn: syn, Progress: progress.say, Log: o.Global.Log})
	if o.For > 0 {
		_, _, err = c.Watch(ctx, o.For, windowSlots)
	} else {
		_, err = c.Snapshot(ctx, nil)
	}
	progress.clear()
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	_, err = fmt.Fprintf(o.Err, "recorded %s in %s; look at it with: qtune inspect --host %s\n", count(r.Steps(), "step"), o.Dir, o.Dir)
	return err
}
