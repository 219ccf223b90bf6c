// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/sysctl"
	"github.com/qtune/qtune/tuner"
)

type applyOptions struct {
	planning
	changing

	ConfirmWithin time.Duration
	NoTrial       bool
	Yes           bool
	Persist       bool
	ShadowedOK    bool
	DryRun        bool
	Output        string

	In  io.Reader
	Out io.Writer // data

	words       io.Writer // what people read: Out, or Err beside -o json
	within      bool      // --confirm-within was given
	planFile    string
	interactive bool // a person can be asked
}

const (
	usualTrial = 10 * time.Minute
	minTrial   = time.Second
	maxTrial   = 24 * time.Hour
)

func applyCommand(global *globalOptions) *cobra.Command {
	o := applyOptions{planning: planning{Global: global, socket: agentSocket}, changing: changing{Global: global}}
	cmd := &cobra.Command{
		Use:   "apply [PLAN | KEY=VALUE...]",
		Short: "Change what plan shows, on trial first, and undo it unless it is confirmed",
		Long: `Show the plan, ask, write down how to undo it, change it, and read every value back.
At a terminal the change is on trial: it is undone after --confirm-within unless
somebody keeps it. Who undoes it is the agent of this host when it enforces, else a
timer of systemd, else this command, which then stays, shows the effect and asks; no
answer, Ctrl-C and a lost terminal are a no. A reboot during a trial undoes it, too.
--yes asks nothing and makes no trial, unless --confirm-within is given, and then
only raises values, within the guard rails.

Only what is still as planned is changed: a value that somebody else writes is never
overwritten. PLAN is a file that plan --out wrote; it is refused when a value it
starts from has moved. Otherwise:

` + planSources + exitHelp(tuner.ErrConflict, errShadowed, tuner.ErrRail, host.ErrPermission, tuner.ErrBusy, tuner.ErrOpen, tuner.ErrVerify, errNotKept,
			tuner.ErrIncomplete, tuner.ErrStale, host.ErrUnsupported, tuner.ErrNoGuardian, errUsage, context.Canceled),
		Example: `  sudo qtune apply                                       # what the findings advise
  sudo qtune apply --live-resize --confirm-within 30m    # running listeners, too
  sudo qtune apply plan.json                             # what was reviewed, nothing else
  sudo qtune apply net.core.somaxconn=8192 --persist     # the host's, at boot, too
  sudo qtune apply --listener 0.0.0.0:80=4096 --pod shop/cart-0
  sudo qtune apply -f /etc/qtune/policy.yaml --yes       # in a play: idempotent
  sudo qtune apply --dry-run                             # may I?`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.In, o.Out = cmd.InOrStdin(), cmd.OutOrStdout()
			if err := o.begin(cmd.Flags(), args, cmd.ErrOrStderr()); err != nil {
				return err
			}
			o.within = cmd.Flags().Changed("confirm-within")
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	o.planning.bind(f)
	o.changing.bind(f)
	f.DurationVar(&o.ConfirmWithin, "confirm-within", usualTrial, "how long the trial lasts: it is undone then unless confirmed")
	f.BoolVar(&o.NoTrial, "no-trial", false, "keep it at once; only values that become larger")
	f.BoolVarP(&o.Yes, "yes", "y", false, "ask nothing")
	f.BoolVar(&o.Persist, "persist", false, "when it is confirmed, also write the host's values to /etc/sysctl.d/60-qtune.conf")
	f.BoolVar(&o.ShadowedOK, "shadowed-ok", false, "even if another file wins over that one at boot")
	f.BoolVar(&o.DryRun, "dry-run", false, "show the plan and whether each step would be allowed, and change nothing")
	f.StringVarP(&o.Output, "output", "o", outputText, "text, json or yaml: of the transaction")
	return cmd
}

// check says what is wrong with the flags.
func (o *applyOptions) check() error {
	if err := checkOutput(o.Output); err != nil {
		return err
	}
	if len(o.Args) == 1 && !strings.Contains(o.Args[0], "=") {
		o.planFile, o.Args = o.Args[0], nil
	}
	switch {
	case o.planning.Global.Host != "":
		return usageError("--host reads a recording, which cannot be changed; plan shows what would be")
	case o.planFile != "" && len(o.Listeners) > 0:
		return usageError("a saved plan is applied as it is: --listener has no use with it")
	case o.within && o.NoTrial:
		return usageError("--confirm-within and --no-trial exclude each other")
	case o.ConfirmWithin < minTrial || o.ConfirmWithin > maxTrial:
		return usageError("--confirm-within %v: want %v to %v", o.ConfirmWithin, minTrial, maxTrial)
	case o.ShadowedOK && !o.Persist:
		return usageError("--shadowed-ok is about the file of --persist")
	}
	o.interactive = isPerson(o.In, o.Err)
	if !o.interactive && !o.Yes && !o.DryRun {
		return usageError("apply asks before it changes anything, and nobody can be asked here: --yes, or --dry-run")
	}
	return nil
}

// trial returns how long the trial lasts, 0 for none.
func (o *applyOptions) trial() time.Duration {
	if o.NoTrial || o.Yes && !o.within {
		return 0
	}
	return o.ConfirmWithin
}

func (o *applyOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	o.words = o.Out
	if o.Output != outputText {
		o.words = o.Err
	}
	p, in, err := o.plans(ctx)
	if err != nil {
		return err
	}
	s := newTextScreen(o.words)
	s.plan(p)
	if p.Empty() && len(p.Refusals) == 0 && in != nil {
		s.say("%s", o.whyNothing(in))
	}
	if in != nil {
		s.unread(in)
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	if err := o.allowed(p); err != nil || p.Empty() {
		return err
	}
	if o.Persist {
		o.say("When it is confirmed, the host's values are also written to /etc/sysctl.d/%s.", sysctl.PersistName)
	}
	t, err := o.tuner()
	if err != nil {
		return err
	}
	if o.DryRun {
		return o.dryRun(ctx, t, p)
	}
	var asked *prompter // nil: what stands in the input is for somebody else
	if o.interactive {
		asked = newPrompter(o.In, o.Err)
	}
	if !o.Yes {
		switch yes, err := asked.ask(ctx, "apply?"); {
		case err != nil:
			return err
		case !yes:
			return errDeclined
		}
		o.say("")
	}
	return o.apply(ctx, t, p, in, asked)
}

// errDeclined is an error, so that what was to follow does not.
var errDeclined = errors.New("nothing was changed")
