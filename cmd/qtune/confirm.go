// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tuner"
)

// A decideOptions says which transaction is decided.
type decideOptions struct {
	changing
	ID     string
	Output string

	Out io.Writer
}

func confirmCommand(global *globalOptions) *cobra.Command {
	return decideCommand(global, &cobra.Command{
		Use:   "confirm [TX]",
		Short: "Keep what a trial changed",
		Long: `Keep what a trial changed. Without TX the only transaction that is open is meant; the
start of its id is enough, if no other begins so. What apply --persist asked for is
written to /etc/sysctl.d/60-qtune.conf now.` + exitHelp(tuner.ErrConflict, host.ErrPermission, tuner.ErrBusy, tuner.ErrLate, tuner.ErrIncomplete),
		Example: `  sudo qtune confirm
  sudo qtune confirm 01JDK8`,
	}, func(ctx context.Context, t *hostTuner, now tuner.Now, id string) (*tuner.Transaction, error) {
		return t.Confirm(ctx, now, id)
	})
}

func rollbackCommand(global *globalOptions) *cobra.Command {
	return decideCommand(global, &cobra.Command{
		Use:   "rollback [TX]",
		Short: "Undo a transaction, on trial or confirmed",
		Long: `Undo a transaction: write each old value back and read it again. Without TX the
only one that is open is meant. One that was confirmed can be undone, too, as long as
its values are still the ones it wrote: what somebody else wrote since is left, and
said (exit 10).` + exitHelp(tuner.ErrConflict, host.ErrPermission, tuner.ErrBusy, tuner.ErrIncomplete),
		Example: `  sudo qtune rollback            # the trial that is open
  sudo qtune history             # which there were
  sudo qtune rollback 01JDK8     # one that was confirmed`,
	}, func(ctx context.Context, t *hostTuner, now tuner.Now, id string) (*tuner.Transaction, error) {
		return t.Rollback(ctx, now, id, byOperator)
	})
}

// byOperator is the reason of what a person decided.
const byOperator = "operator"

// decide is what is done to a transaction.
type decide func(ctx context.Context, t *hostTuner, now tuner.Now, id string) (*tuner.Transaction, error)

// decideCommand fills in what confirm and rollback share.
func decideCommand(global *globalOptions, cmd *cobra.Command, do decide) *cobra.Command {
	o := decideOptions{changing: changing{Global: global}}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError("%s takes one transaction, or none", cmd.CommandPath())
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Out = cmd.OutOrStdout()
		if len(args) == 1 {
			o.ID = args[0]
		}
		return o.run(cmd.Context(), do)
	}
	o.bind(cmd.Flags())
	cmd.Flags().StringVarP(&o.Output, "output", "o", outputText, "text, json or yaml")
	return cmd
}

func (o *decideOptions) run(ctx context.Context, do decide) error {
	if err := checkOutput(o.Output); err != nil {
		return err
	}
	t, now, err := o.opening()
	if err != nil {
		return err
	}
	tx, err := find(ctx, t, o.ID)
	if err != nil {
		return err
	}
	tx, err = do(ctx, t, now, tx.ID)
	return showTransaction(o.Out, o.Output, tx, err)
}

// showTransaction writes a transaction, if there is one, and returns the error of
// what was done with it.
func showTransaction(w io.Writer, output string, tx *tuner.Transaction, err error) error {
	if tx == nil {
		return err
	}
	makePrintable(tx)
	if e := writeText(w, output, documentOf(tx), func(s *screen) { s.decided(tx) }); e != nil && err == nil {
		return e
	}
	return err
}
