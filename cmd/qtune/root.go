// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
)

// knownCommand refuses a command that there is not.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return usageError("unknown command %q (try qtune --help)", args[0])
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no argument %q (try %s --help)", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// globalOptions are the flags of every command.
type globalOptions struct {
	Host      string // a recording
	Rootfs    string
	LogLevel  string
	LogFormat string

	Log *slog.Logger // as the flags want it
}

func rootCommand() *cobra.Command {
	var o globalOptions
	cmd := &cobra.Command{
		Use:     "qtune",
		Short:   "Explain and tune the listen queues of a host's TCP servers",
		Version: version,
		Long: `qtune says, for every TCP listener of every network namespace of this host, how
full its two queues are, who set their limit, and whether it loses connections.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			o.Log, err = newLog(cmd.ErrOrStderr(), o.LogLevel, o.LogFormat)
			return err
		},
	}
	f := cmd.PersistentFlags()
	f.StringVar(&o.Host, "host", "", "read a recording made by 'qtune record' instead of this host")
	f.StringVar(&o.Rootfs, "rootfs", "/", "where the host's /proc, /sys and /var/log are seen, from inside a container")
	f.StringVar(&o.LogLevel, "log-level", "warn", "debug, info, warn or error")
	f.StringVar(&o.LogFormat, "log-format", "text", "text or json")
	cmd.SuggestionsMinimumDistance = 2
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%v", err) })
	cmd.AddCommand(agentCommand(&o), inspectCommand(&o), topCommand(&o), explainCommand(&o), recordCommand(&o), selftestCommand(&o), versionCommand(),
		planCommand(&o), applyCommand(&o), confirmCommand(&o), rollbackCommand(&o), recoverCommand(&o), historyCommand(&o), driftCommand(&o), tunerCommand(&o))
	return cmd
}

// newLog makes the log of a command.
func newLog(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usageError("--log-level %s: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, usageError("--log-format %s: want text or json", format)
}

// open returns the host to read: this one or a recording.
func (o *globalOptions) open() (collector.Host, error) {
	if o.Host == "" {
		return host.NewLive(o.Rootfs)
	}
	return host.OpenRecording(o.Host)
}

// bindReading adds the flags of the commands that read a host.
func bindReading(f *pflag.FlagSet, syn *string, deep *bool) {
	f.StringVar(syn, "syn", "auto", "count SYN queues: auto (where counters ask for it), all or never")
	f.BoolVar(deep, "deep", false, "look for namespaces in every descriptor and thread, too")
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of qtune",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "qtune %s (%s %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
