// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

type planOptions struct {
	planning
	SaveAs           string
	Output           string
	DetailedExitCode bool

	Out io.Writer
}

// planSources says where a plan comes from, in the help of plan and apply.
const planSources = `What is planned comes from one of these:

  nothing     what the findings of this host advise: its agent's last ten minutes,
              or what is seen while watching (--for)
  -f FILE     a policy (docs/policy.md): at least what it wants
  KEY=VALUE   net.core.somaxconn, net.ipv4.tcp_max_syn_backlog, net.ipv4.tcp_syncookies;
              in the host's namespace unless --netns, --pid, --pod, --container or
              --port say another
  --listener  the limit of one running listener`

func planCommand(global *globalOptions) *cobra.Command {
	o := planOptions{planning: planning{Global: global, socket: agentSocket}}
	cmd := &cobra.Command{
		Use:   "plan [KEY=VALUE...]",
		Short: "Show what apply would change, why, and at what cost",
		Long: `Show what apply would change, why, at what cost in memory and waiting time, which
running listeners feel it now and which only when they listen again, who else sets
the same key, what a guard rail refuses, and what only the application can do. It
writes nothing on the host, and needs no more rights than inspect.

` + planSources + exitHelp(errChanges, errUsage),
		Example: `  sudo qtune plan                                   # what the findings advise
  sudo qtune plan --live-resize --for 30s           # running listeners, too
  sudo qtune plan -f /etc/qtune/policy.yaml --detailed-exitcode
  sudo qtune plan net.core.somaxconn=8192 --pod shop/cart-0
  sudo qtune plan --listener 0.0.0.0:80=4096 --out plan.json
  sudo qtune apply plan.json                        # then that, and nothing else`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Out = cmd.OutOrStdout()
			if err := o.begin(cmd.Flags(), args, cmd.ErrOrStderr()); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	o.bind(f)
	f.StringVar(&o.SaveAs, "out", "", "save the plan in this file, for apply")
	f.StringVarP(&o.Output, "output", "o", outputText, "text, json or yaml")
	f.BoolVar(&o.DetailedExitCode, "detailed-exitcode", false, "exit with 2 when there are changes")
	return cmd
}

func (o *planOptions) run(ctx context.Context) error {
	if err := checkOutput(o.Output); err != nil {
		return err
	}
	p, in, err := o.plan(ctx)
	if err != nil {
		return err
	}
	if o.SaveAs != "" {
		if err := savePlan(o.SaveAs, p); err != nil {
			return err
		}
	}
	err = writeText(o.Out, o.Output, p, func(s *screen) {
		s.plan(p)
		o.after(s, p, in)
	})
	if err == nil && o.DetailedExitCode && len(p.Steps) > 0 {
		return errChanges
	}
	return err
}

// after says what a reader of the plan does next.
func (o *planOptions) after(s *screen, p *tuner.Plan, in *inspection.Inspection) {
	s.unread(in)
	switch {
	case len(p.Steps) > 0 && o.SaveAs != "":
		s.say("Nothing was written but %s. To do it: sudo qtune apply %s", o.SaveAs, o.SaveAs)
	case len(p.Steps) > 0 && o.Global.Host == "":
		s.say("Nothing was written. To do it: qtune apply instead of qtune plan, as root.")
	case len(p.Steps) > 0:
		s.say("This is a recorded host, which cannot be changed.")
	case len(p.Refusals) == 0:
		s.say("%s", o.whyNothing(in))
	}
}

// whyNothing says why there is nothing to plan.
func (p *planning) whyNothing(in *inspection.Inspection) string {
	switch {
	case p.PolicyFile != "":
		return "Everything is at least what the policy wants."
	case p.explicit():
		return "Everything is as it was asked for, or larger."
	case in.Window.Source == inspection.SourceNone:
		return "No finding asks for a change. One snapshot tells no rates, and so finds little."
	case in.Window.Source == inspection.SourceAgent:
		return fmt.Sprintf("In the %.0f s its agent has watched, no finding asks for a change.", in.Window.Seconds)
	}
	return fmt.Sprintf("In %.1f s no finding asks for a change. That says nothing about a busier moment (--for 60s).", in.Window.Seconds)
}

// unread lists what could not be read, and so is not in a plan.
func (s *screen) unread(in *inspection.Inspection) {
	const few = 5
	for i, e := range in.Errors {
		if i == few {
			s.say("and %s more", count(len(in.Errors)-few, "error"))
			break
		}
		where := ""
		if e.Netns != 0 {
			where = fmt.Sprintf("net:[%d]: ", e.Netns)
		}
		s.say("not read: %s%s: %s", where, e.Stage, e.Message)
	}
}

// outputText is the value of -o for people.
const outputText = "text"

func checkOutput(output string) error {
	switch output {
	case outputText, "json", "yaml":
		return nil
	}
	return usageError("-o %s: want text, json or yaml", output)
}

// writeText writes a document in the form that -o asks for; write does it for
// people.
func writeText(w io.Writer, output string, document any, write func(*screen)) error {
	if output != outputText {
		return writeAs(w, output, document, nil)
	}
	s := newTextScreen(w)
	write(s)
	return s.w.Flush()
}

// newTextScreen returns a screen of sentences.
func newTextScreen(w io.Writer) *screen {
	s := &screen{w: newWriter(w), style: tableStyle{Width: terminalWidth(w), Colour: wantsColour(w)}}
	if s.style.Width == 0 {
		s.style.Width = usualWidth
	}
	return s
}

// listed returns the first few texts of many, and how many more there are.
func listed(all []string) string {
	const few = 4
	if len(all) <= few+1 {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
}
