// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

type explainOptions struct {
	changing

	Backlog       int64
	Somaxconn     int64
	MaxSynBacklog int64
	Syncookies    int64
	Kernel        string
	Output        string

	given func(flag string) bool
	Out   io.Writer
}

func explainCommand(global *globalOptions) *cobra.Command {
	o := explainOptions{changing: changing{Global: global}}
	cmd := &cobra.Command{
		Use:   "explain [CODE | TX]",
		Short: "Compute the limits of a listener's queues, or explain a finding or a change",
		Long: `Without an argument: the limits of both queues of a listener, step by step, by
the rules of the kernel in question, beside what textbooks say; what they take in
memory; and what each change would do, now and after the next listen(2).
What is not given is this host's; without --backlog the program asks for as much
as somaxconn allows.

With the code of a finding: what it means, how to confirm it by hand, what to do
and what not. With the id of a transaction, or its start: what was changed, why, by
whom, and what became of it.`,
		Example: `  qtune explain --backlog 511                      # on this host
  qtune explain --backlog 128 --tcp-syncookies 0   # what if
  qtune explain --backlog 0 --kernel 5.10.223 --tcp-syncookies 0
  qtune explain --kernel 3.10.0-1160.el7 --backlog 1024 --somaxconn 1024 -o json
  qtune explain accept-queue-overflow              # a finding
  sudo qtune explain 01JDK8                        # a change (qtune history)`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("explain takes one code or transaction, or none (try qtune explain --help)")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var codes []string
			for _, p := range advisor.Pages() {
				codes = append(codes, string(p.Code))
			}
			return codes, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Out = cmd.OutOrStdout()
			o.given = cmd.Flags().Changed
			switch {
			case len(args) == 1 && isTransaction(args[0]):
				return o.explainTransaction(cmd.Context(), args[0])
			case len(args) == 1:
				return o.explainCode(args[0])
			}
			return o.explainLimits(cmd.Context())
		},
	}
	f := cmd.Flags()
	o.bind(f)
	f.Int64Var(&o.Backlog, "backlog", 0, "what the program gives to listen(2)")
	f.Int64Var(&o.Somaxconn, "somaxconn", 0, "net.core.somaxconn of its namespace")
	f.Int64Var(&o.MaxSynBacklog, "tcp-max-syn-backlog", 0, "net.ipv4.tcp_max_syn_backlog of its namespace")
	f.Int64Var(&o.Syncookies, "tcp-syncookies", 0, "net.ipv4.tcp_syncookies of its namespace: 0, 1 or 2")
	f.StringVar(&o.Kernel, "kernel", "", "a kernel version, as uname -r has it: 6.1.170, 3.10.0-1160.el7")
	for _, name := range []string{"backlog", "somaxconn", "tcp-max-syn-backlog", "tcp-syncookies", "kernel"} {
		f.Lookup(name).DefValue = "this host's"
	}
	f.Lookup("backlog").DefValue = "as much as somaxconn"
	f.StringVarP(&o.Output, "output", "o", "table", "table, json or yaml")
	return cmd
}

// isTransaction reports whether an argument is the start of a transaction's id: a
// ULID begins with a digit, and no code does.
func isTransaction(arg string) bool { return arg != "" && arg[0] >= '0' && arg[0] <= '9' }

// explainTransaction says all of a transaction, and what the agent decided about it
// if it does remember.
func (o *explainOptions) explainTransaction(ctx context.Context, id string) error {
	t, now, err := o.opening()
	if err != nil {
		return err
	}
	tx, err := find(ctx, t, id)
	if err != nil {
		return err
	}
	return writeAs(o.Out, o.Output, documentOf(tx), func() error {
		s := newTextScreen(o.Out)
		s.transaction(tx, now)
		for _, d := range o.decisions(ctx, tx.ID) {
			fmt.Fprintf(s.w, "\n%s", d.Text())
		}
		return s.w.Flush()
	})
}

// decisions returns what the agent of this host decided about a transaction, nothing
// when it does not answer.
func (o *explainOptions) decisions(ctx context.Context, tx string) []inspection.Decision {
	client, err := newAgentClient(unixScheme + agentSocket)
	if err != nil || !o.usual() {
		return nil
	}
	all, err := client.decisions(ctx)
	if err != nil {
		return nil
	}
	return inspection.DecisionsOf(all, tx)
}

// explainCode explains a finding.
func (o *explainOptions) explainCode(code string) error {
	for _, flag := range []string{"backlog", "somaxconn", "tcp-max-syn-backlog", "tcp-syncookies", "kernel"} {
		if o.given(flag) {
			return usageError("explain %s: a finding is explained without --%s", code, flag)
		}
	}
	p, ok := findingPage(code)
	if !ok {
		var codes []string
		for _, p := range advisor.Pages() {
			codes = append(codes, string(p.Code))
		}
		return usageError("explain %s: no such finding; there are %s", code, strings.Join(codes, ", "))
	}
	return writeAs(o.Out, o.Output, p, func() error { return writeFindingPage(o.Out, &p, terminalWidth(o.Out)) })
}

// explainLimits computes the limits of a listener.
func (o *explainOptions) explainLimits(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	s, assumed, err := o.setup(ctx)
	if err != nil {
		return err
	}
	e := inspection.Explain(&s)
	return writeAs(o.Out, o.Output, e, func() error { return writeExplanation(o.Out, e, assumed, terminalWidth(o.Out)) })
}

// check refuses what no kernel takes.
func (o *explainOptions) check() error {
	for _, v := range []struct {
		flag     string
		n        int64
		min, max int64
	}{
		{"backlog", o.Backlog, math.MinInt32, math.MaxInt32},
		{"somaxconn", o.Somaxconn, 0, math.MaxInt32},
		{"tcp-max-syn-backlog", o.MaxSynBacklog, math.MinInt32, math.MaxInt32},
		{"tcp-syncookies", o.Syncookies, 0, math.MaxUint8},
	} {
		if o.given(v.flag) && (v.n < v.min || v.n > v.max) {
			return usageError("--%s %d: the kernel takes %d to %d", v.flag, v.n, v.min, v.max)
		}
	}
	return nil
}

// tableOf24GiB is how many entries the table of connections has on a host of that
// much memory [measured on 6.18]: what tcp_max_syn_backlog starts from.
const tableOf24GiB = 262144

// setup fills in what was not given: from this host, or the defaults of the kernel
// in question where another kernel was asked for or the host cannot be read. It
// returns in words what was assumed.
func (o *explainOptions) setup(ctx context.Context) (s tcpq.Setup, assumed []string, err error) {
	s = tcpq.Setup{Somaxconn: o.Somaxconn, MaxSynBacklog: o.MaxSynBacklog, Syncookies: o.Syncookies}
	whose := "of this host"
	if o.Global.Host != "" {
		whose = "of the recorded host"
	}
	var known *tcpq.Namespace
	if o.given("kernel") {
		if s.Kernel, err = tcpq.ParseVersion(o.Kernel, ""); err != nil {
			return s, nil, usageError("--kernel %s: not a kernel version, want 6.1.170 or 3.10.0-1160.el7", o.Kernel)
		}
		whose = "the default of that kernel"
	} else {
		s.Kernel, known, err = o.readHost(ctx)
		if err != nil {
			return s, nil, err
		}
		assumed = append(assumed, "kernel "+whose)
	}
	fill := func(flag string, k tcpq.Sysctl, value *int64, fallback int64, on string) {
		if o.given(flag) {
			return
		}
		from := whose
		if known != nil {
			if v, ok := known.Sysctls.Get(k); ok {
				*value = v
				assumed = append(assumed, fmt.Sprintf("%s %s", k, from))
				return
			}
		}
		*value = fallback
		assumed = append(assumed, fmt.Sprintf("%s the default of that kernel%s", k, on))
	}
	maxSyn := int64(tableOf24GiB / 256)
	if s.Kernel.Has(tcpq.MaxSynBacklogByMemory) {
		maxSyn = tableOf24GiB / 128
	}
	fill("somaxconn", tcpq.Somaxconn, &s.Somaxconn, tcpq.DefaultSomaxconn(s.Kernel), "")
	fill("tcp-max-syn-backlog", tcpq.TCPMaxSynBacklog, &s.MaxSynBacklog, maxSyn, " on a host of 24 GiB")
	fill("tcp-syncookies", tcpq.TCPSyncookies, &s.Syncookies, 1, "")
	s.Backlog = int32(o.Backlog)
	if !o.given("backlog") {
		s.Backlog = int32(s.Somaxconn)
		assumed = append(assumed, "a backlog as large as somaxconn")
	}
	return s, assumed, nil
}

// readHost reads version and settings of the host, or of what of it may be seen.
func (o *explainOptions) readHost(ctx context.Context) (tcpq.Version, *tcpq.Namespace, error) {
	h, err := o.Global.open()
	if err != nil {
		return tcpq.Version{}, nil, err
	}
	for _, search := range []host.Search{{Host: true}, {PID: os.Getpid()}} {
		c := collector.New(h, collector.Options{Search: search, Syn: collector.SynNever, Log: o.Global.Log})
		s, err := c.Snapshot(ctx, nil)
		if err == nil && len(s.Namespaces) > 0 && s.Namespaces[0].Denied == nil {
			return s.Kernel, &s.Namespaces[0], nil
		}
		if ctx.Err() != nil {
			return tcpq.Version{}, nil, ctx.Err()
		}
		if o.Global.Host != "" {
			break
		}
	}
	info, err := h.Info()
	return info.Kernel, nil, err
}
