// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"context"
	"os"
	"strings"
	"time"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// guard arranges who undoes the trial.
func (o *applyOptions) guard(ctx context.Context) (*tuner.Guard, error) {
	return tuner.Arrange(ctx, tuner.GuardOptions{
		Trial: o.trial(), Enforcing: o.enforcing, Recover: o.recoverCommand(), Foreground: o.interactive,
	})
}

// enforcing reports whether the agent of this host decides transactions.
func (o *applyOptions) enforcing(ctx context.Context) bool {
	if !o.usual() || o.Agent == noAgent {
		return false // it looks elsewhere
	}
	client, err := newAgentClient(cmp.Or(o.Agent, unixScheme+o.socket))
	if err != nil {
		return false
	}
	in, err := client.inspection(ctx)
	return err == nil && stale(in, time.Now()) == nil && in.Agent != nil && in.Agent.Mode == string(policy.Enforce)
}

// recoverCommand returns what systemd runs at the deadline, nil when it would not
// find this program.
func (o *applyOptions) recoverCommand() []string {
	self, err := os.Executable()
	if err != nil || o.changing.Global.Rootfs != "/" { // in a container
		return nil
	}
	if _, err := os.Stat(self); err != nil { // replaced while it runs
		return nil
	}
	command := []string{self, "recover"}
	if !o.usual() {
		command = append(command, "--state-dir", o.StateDir, "--lock-file", o.LockFile)
	}
	return command
}

// actor says who we are.
func (o *applyOptions) actor(p *tuner.Plan) tuner.Actor {
	a := tuner.Actor{UID: uint32(os.Getuid()), PID: os.Getpid(), Comm: "qtune"}
	if o.PolicyFile != "" {
		a.Policy = p.Policy
	}
	return a
}

// why says in the journal what was asked for.
func (o *applyOptions) why() string {
	switch {
	case o.planFile != "":
		return "a saved plan: " + o.planFile
	case o.PolicyFile != "":
		return "what the policy wants: " + o.PolicyFile
	case o.explicit():
		var all []string
		all = append(all, o.Args...)
		for _, l := range o.Listeners {
			all = append(all, "--listener "+l)
		}
		return "asked for by name: " + strings.Join(all, " ")
	}
	return "what the findings advise"
}
