// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/exporter"
	"github.com/qtune/qtune/exporter/page"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// agentSocket is where the agent of a host is asked by inspect and top.
const agentSocket = "/run/qtune/agent.sock"

type agentOptions struct {
	Global *globalOptions

	Mode        string
	Policy      string // file
	StateDir    string // of mode enforce
	LockFile    string // of mode enforce
	Tuner       string // a socket, of mode enforce
	Socket      string
	Step        time.Duration
	MaxSampleHz int
	CPUBudget   float64 // per cent of a CPU
	PeakWindow  time.Duration
	Syn         string

	Web      exporter.Web
	Exporter exporter.Options
}

func agentCommand(global *globalOptions) *cobra.Command {
	o := agentOptions{Global: global}
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Watch this host without end, for Prometheus, the status page, inspect and top",
		Long: `Watch this host without end: sample the queues of its listeners, keep the last ten
minutes, judge them, and serve what is known:

  /                    a status page
  /metrics             for Prometheus (docs/metrics.md)
  /api/v1/inspection   what inspect -o json prints
  /-/healthy /-/ready  for whoever looks after it

Queues are looked at once a second where somebody connects, those that fill or lost
something up to --max-sample-hz times. Every activity has a budget of CPU time, and
all have one together: on a large host they are done less often. Mode observe tells
lengths, limits and losses; mode advise also what is wrong and what to do. Neither
changes anything on the host.

Mode enforce also does it, within the bounds of the policy file and only where that
allows it: a listener that loses connections in bursts and works them off gets a
longer queue, on trial, and keeps it if that is proven to help (docs/loop.md). On
SIGTERM a trial is rolled back; what was confirmed stays. SIGHUP reads the policy
again.`,
		Example: `  sudo qtune agent                                       # http://127.0.0.1:9794
  sudo qtune agent --web.listen-address :9794 --web.config.file web.yml
  qtune agent --rootfs /host --mode observe              # in a container
  sudo qtune agent --mode enforce --policy /etc/qtune/policy.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := global.Log
			if !cmd.Flags().Changed("log-level") {
				var err error
				if log, err = newLog(cmd.ErrOrStderr(), "info", global.LogFormat); err != nil {
					return err
				}
			}
			return runAgent(cmd.Context(), o, log)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Mode, "mode", string(policy.Advise), "observe, advise or enforce")
	f.StringArrayVar(&o.Web.Addresses, "web.listen-address", []string{"127.0.0.1:9794"}, "where to serve HTTP; may be given several times")
	f.StringVar(&o.Policy, "policy", policyFile, "what may be recommended and changed (docs/policy.md); read again at SIGHUP")
	f.StringVar(&o.StateDir, "state-dir", tuner.StateDir, "where the journal of changes lies (mode enforce)")
	f.StringVar(&o.LockFile, "lock-file", tuner.LockFile, "what keeps two qtunes from changing this host at once (mode enforce)")
	f.StringVar(&o.Tuner, "tuner", "", "the socket of a qtune tuner, which changes the host in the agent's place (mode enforce); empty: the agent does it itself")
	f.BoolVar(&o.Web.Systemd, "web.systemd-socket", false, "serve on the sockets that systemd hands over")
	f.StringVar(&o.Web.ConfigFile, "web.config.file", "", "TLS and basic auth, as of the Prometheus exporter toolkit")
	f.StringVar(&o.Socket, "socket", agentSocket, "unix socket for inspect and top of this host; empty for none")
	f.DurationVar(&o.Step, "step", agent.DefaultStep, "time between two looks at counters and findings; listeners are looked for every 3, sysctls every 6, the window is 120 of them")
	f.IntVar(&o.MaxSampleHz, "max-sample-hz", 100, "how often in a second a queue that fills is looked at, at most")
	f.Float64Var(&o.CPUBudget, "cpu-budget", 1, "per cent of a CPU that each activity may take; all together one and a quarter")
	f.DurationVar(&o.PeakWindow, "peak-window", time.Minute, "over which the peak of a queue is kept")
	f.StringVar(&o.Syn, "syn", "auto", "count SYN queues: auto (where counters ask for it), all or never")
	f.StringVar((*string)(&o.Exporter.Series), "series", string(exporter.SeriesAll), "all, or active: of listeners with loss, a queue over a quarter full or a finding within the last hour")
	f.IntVar(&o.Exporter.MaxListeners, "max-listeners", 1000, "with series of their own; the rest is summed in listener=\"other\"")
	f.IntVar(&o.Exporter.MaxListenersPerNetns, "max-listeners-per-netns", 256, "the same, in one network namespace")
	f.BoolVar(&o.Exporter.Pprof, "pprof", false, "serve /debug/pprof/")
	return cmd
}

// check says what is wrong with the flags.
func (o *agentOptions) check() error {
	switch {
	case o.Global.Host != "":
		return usageError("agent watches this host: --host has no use here")
	case o.Mode != string(policy.Observe) && o.Mode != string(policy.Advise) && o.Mode != string(policy.Enforce):
		return usageError("--mode %s: want observe, advise or enforce", o.Mode)
	case o.Tuner != "" && o.Mode != string(policy.Enforce):
		return usageError("--tuner %s: mode %s changes nothing", o.Tuner, o.Mode)
	case o.Step < 100*time.Millisecond || o.Step > time.Minute:
		return usageError("--step %v: want 100ms to 1m", o.Step)
	case o.MaxSampleHz < 1 || o.MaxSampleHz > 1000:
		return usageError("--max-sample-hz %d: want 1 to 1000", o.MaxSampleHz)
	case o.CPUBudget <= 0 || o.CPUBudget > 100:
		return usageError("--cpu-budget %g: want more than 0 and at most 100 per cent", o.CPUBudget)
	case o.PeakWindow < 5*time.Second || o.PeakWindow > time.Hour:
		return usageError("--peak-window %v: want 5s to 1h", o.PeakWindow)
	case o.Exporter.Series != exporter.SeriesAll && o.Exporter.Series != exporter.SeriesActive:
		return usageError("--series %s: want all or active", o.Exporter.Series)
	case o.Exporter.MaxListeners < 1 || o.Exporter.MaxListenersPerNetns < 1:
		return usageError("--max-listeners and --max-listeners-per-netns: want 1 or more")
	}
	return nil
}

// giveUp takes from an agent that changes nothing itself what it could do so with: it
// reads what others wrote, and serves a network.
func (o *agentOptions) giveUp(live *host.Live, log *slog.Logger) {
	if o.Mode == string(policy.Enforce) && o.Tuner == "" {
		return
	}
	live.Info() //nolint:errcheck // tells later; on some kernels it tries, once, what would not be possible any more
	if err := host.GiveUpChanging(); err != nil {
		log.Warn("keep all rights", "error", err)
	}
}

// The agent's heap is small and lives long: collecting it a little more often keeps
// the process small, and costs little.
const (
	agentGCPercent   = 50
	agentMemoryLimit = 40 << 20 // from where on it is collected as often as it takes
)

func runAgent(ctx context.Context, o agentOptions, log *slog.Logger) error {
	if err := o.check(); err != nil {
		return err
	}
	syn, err := parseSynMode(o.Syn)
	if err != nil {
		return err
	}
	debug.SetGCPercent(agentGCPercent)
	debug.SetMemoryLimit(agentMemoryLimit)
	live, err := host.NewLive(o.Global.Rootfs)
	if err != nil {
		return err
	}
	wishes, err := o.policy()
	if err != nil {
		return err
	}
	o.giveUp(live, log)
	reload, ignore := o.reload()
	defer ignore()
	var exp *exporter.Exporter
	serving := make(chan struct{})
	o.Web.Listening = func([]net.Addr) { close(serving) }
	watcher := agent.New(live, agent.Options{
		Version: version, Mode: policy.Mode(o.Mode),
		Step: o.Step, MaxSampleHz: o.MaxSampleHz, CPUShare: o.CPUBudget / 100, PeakWindow: o.PeakWindow,
		Syn: syn, Policy: *wishes, Log: log, Serving: serving,
		Reload: reload, Enforce: o.enforcement(live, wishes, log),
		Publish: func(in *inspection.Inspection, took time.Duration) {
			exp.Publish(in)
			exp.Collected(took, in.Errors)
		},
	})
	o.Exporter.Version, o.Exporter.Log = version, log
	o.Exporter.Page = page.Handler(watcher, version)
	o.Exporter.Decisions = watcher.Decisions
	if exp, err = exporter.New(watcher, o.Exporter); err != nil {
		return err
	}
	log.Info("qtune agent", "version", version, "mode", o.Mode, "policy", wishes.Revision())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return watcher.Run(ctx) })
	g.Go(func() error { return exp.Serve(ctx, o.Web) })
	if o.Socket != "" {
		g.Go(func() error { return exp.ServeLocal(ctx, o.Socket) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}
