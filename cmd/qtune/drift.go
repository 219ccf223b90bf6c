// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tuner"
)

type driftOptions struct {
	changing
	Output string

	Out io.Writer
}

func driftCommand(global *globalOptions) *cobra.Command {
	o := driftOptions{changing: changing{Global: global}}
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Say which confirmed values are no longer what they were set to",
		Long: `Read back every value that was confirmed, and say which are no longer what qtune set
them to, because somebody else wrote them. It changes nothing: two writers that both
insist would never stop. Find the other one, or set the value again by apply.` + exitHelp(errDrift, host.ErrPermission),
		Example: `  sudo qtune drift
  sudo qtune drift -o json || notify`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			return o.run(cmd.Context())
		},
	}
	o.bind(cmd.Flags())
	cmd.Flags().StringVarP(&o.Output, "output", "o", outputText, "text, json or yaml")
	return cmd
}

// A driftDocument is what -o json prints.
type driftDocument struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Drifts     []tuner.Drift `json:"drifts"`
}

func (o *driftOptions) run(ctx context.Context) error {
	if err := checkOutput(o.Output); err != nil {
		return err
	}
	t, now, err := o.opening()
	if err != nil {
		return err
	}
	all, err := t.Drift(ctx, now)
	if err != nil {
		return err
	}
	for i := range all {
		makePrintable(&all[i])
	}
	aside, err := setAside(t)
	if err != nil {
		return err
	}
	confirmed, err := anyConfirmed(ctx, t, now)
	if err != nil {
		return err
	}
	d := driftDocument{tuner.APIVersion, "Drift", append([]tuner.Drift{}, all...)}
	err = writeText(o.Out, o.Output, d, func(s *screen) {
		s.drifts(all, confirmed)
		s.setAside(aside)
	})
	if err == nil && len(all) > 0 {
		return errDrift
	}
	return err
}

// anyConfirmed reports whether there is something that could have drifted.
func anyConfirmed(ctx context.Context, t *hostTuner, now tuner.Now) (bool, error) {
	all, err := history(ctx, t)
	return slices.ContainsFunc(all, func(tx *tuner.Transaction) bool {
		return tx.State == tuner.Confirmed && tx.BootID == now.BootID
	}), err
}

func (s *screen) drifts(all []tuner.Drift, confirmed bool) {
	switch {
	case !confirmed:
		s.say("Nothing is confirmed since the last boot, so nothing can have drifted.")
		return
	case len(all) == 0:
		s.say("No drift: every value is what was confirmed.")
		return
	}
	s.say("%s not what was confirmed:", s.paint(styleYel, count(len(all), "value")))
	for i := range all {
		step := &all[i].Step
		seen := "not known"
		if step.Seen != nil {
			seen = fmt.Sprint(*step.Seen)
		}
		fmt.Fprintln(s.w)
		s.subject(scopeText(&step.Scope), stepName(step))
		s.detail("is", fmt.Sprintf("%s, and was set to %d by %s", seen, step.To, all[i].Transaction))
		for _, by := range step.SetBy {
			s.detail("set by", setterText(by))
		}
		if step.Message != "" {
			s.detail("why", step.Message)
		}
	}
}
