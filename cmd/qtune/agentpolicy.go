// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// policyFile is where the policy of a host lies.
const policyFile = "/etc/qtune/policy.yaml"

// readPolicy reads a policy file.
func readPolicy(path string) (*policy.Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	defer f.Close()
	return policy.Read(path, f)
}

// policy returns what the agent goes by: its file, or without one the default, which
// allows nothing to be changed.
func (o *agentOptions) policy() (*policy.Policy, error) {
	p, err := readPolicy(o.Policy)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && o.Mode == string(policy.Enforce):
		return nil, fmt.Errorf("--mode enforce: there is no %s, and without a policy that sets bounds nothing is changed: write one (docs/policy.md), or use --mode advise", o.Policy)
	case missing && o.Policy == policyFile:
		byDefault := policy.Default()
		return &byDefault, nil
	}
	return p, err
}

// reload has the agent read its policy again at SIGHUP.
func (o *agentOptions) reload() (r agent.Reload, stop func()) {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	return agent.Reload{Signal: hangUp, Read: func() (*policy.Policy, error) { return readPolicy(o.Policy) }}, func() { signal.Stop(hangUp) }
}

// enforcement returns what mode enforce needs, nil in other modes.
func (o *agentOptions) enforcement(live *host.Live, p *policy.Policy, log *slog.Logger) *agent.Enforcement {
	if o.Mode != string(policy.Enforce) {
		return nil
	}
	if p.Mode != policy.Enforce {
		log.Warn("the policy allows no changes: they are recommended only", "policy", p.Revision(), "mode", p.Mode)
	}
	var effects agent.Effects = tuner.New(live, tuner.Options{Dir: o.StateDir, Lock: o.LockFile, Root: o.Global.Rootfs, Log: log})
	if o.Tuner != "" {
		effects = tuner.NewRemote(o.Tuner)
	}
	return &agent.Enforcement{
		Tuner: effects,
		Actor: tuner.Actor{UID: uint32(os.Getuid()), PID: os.Getpid()},
	}
}
