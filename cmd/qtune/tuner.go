// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

type tunerOptions struct {
	changing
	Socket  string
	Ceiling string
}

func tunerCommand(global *globalOptions) *cobra.Command {
	o := tunerOptions{changing: changing{Global: global}}
	cmd := &cobra.Command{
		Use:   "tuner",
		Short: "Change this host for an agent that may not itself, within a ceiling",
		Long: `Change this host for an agent that runs without the right to: the agent asks over a
unix socket that only root can use, and this process, which opens no port and reads
nothing from a network, decides by itself. It looks at the host anew for each
request, computes every guard rail, and refuses lower values, other settings,
sockets that are no listeners, and whatever the ceiling does not allow: a policy file
(docs/policy.md) with mode enforce, read again for each request. It undoes trials
at their deadline and, when it ends, those that are open.

It decides only what it began; what people apply stays theirs.`,
		Example: `  sudo qtune tuner --ceiling /etc/qtune/ceiling.yaml`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := global.Log
			if !cmd.Flags().Changed("log-level") {
				var err error
				if log, err = newLog(cmd.ErrOrStderr(), "info", global.LogFormat); err != nil {
					return err
				}
			}
			return o.run(cmd.Context(), log)
		},
	}
	f := cmd.Flags()
	o.bind(f)
	f.StringVar(&o.Socket, "socket", tuner.ServerSocket, "where to be asked")
	f.StringVar(&o.Ceiling, "ceiling", "/etc/qtune/ceiling.yaml", "the policy file that bounds every request")
	return cmd
}

func (o *tunerOptions) run(ctx context.Context, log *slog.Logger) error {
	if _, err := o.ceiling(); err != nil {
		return err // rather now than at the first request
	}
	t, err := o.tuner()
	if err != nil {
		return err
	}
	l, err := tuner.ListenServer(ctx, o.Socket)
	if err != nil {
		return err
	}
	log.Info("qtune tuner", "version", version, "socket", o.Socket, "ceiling", o.Ceiling)
	return tuner.NewServer(t.live, t.Tuner, tuner.ServerOptions{Ceiling: o.ceiling, Log: log}).Serve(ctx, l)
}

// ceiling reads the ceiling as it is now.
func (o *tunerOptions) ceiling() (*policy.Policy, error) {
	p, err := readPolicy(o.Ceiling)
	if err != nil {
		return nil, fmt.Errorf("the ceiling: %w", err)
	}
	return p, nil
}
