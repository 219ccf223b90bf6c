// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/qtune/qtune/tuner"
)

type historyOptions struct {
	changing
	Output string

	Out io.Writer
}

func historyCommand(global *globalOptions) *cobra.Command {
	o := historyOptions{changing: changing{Global: global}}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List what qtune changed on this host",
		Long: `List the transactions of the journal, the newest first: what was changed, from what
to what, and what became of it. Those that are open come to an end by confirm,
rollback or recover. explain TX says all of one.`,
		Example: `  sudo qtune history
  sudo qtune history -o json | jq '.transactions[] | select(.state == "confirmed")'
  sudo qtune explain 01JDK8`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			return o.run(cmd.Context())
		},
	}
	o.bind(cmd.Flags())
	cmd.Flags().StringVarP(&o.Output, "output", "o", "table", "table, json or yaml")
	return cmd
}

func (o *historyOptions) run(ctx context.Context) error {
	t, now, err := o.opening()
	if err != nil {
		return err
	}
	all, unread := history(ctx, t)
	if all == nil && unread != nil {
		return unread
	}
	aside, err := setAside(t)
	if err != nil {
		return err
	}
	err = writeAs(o.Out, o.Output, historyOf(all, aside), func() error { return writeHistory(o.Out, all, aside, now) })
	return errors.Join(err, unread)
}

// A historyDocument is the journal as -o json prints it.
type historyDocument struct {
	APIVersion   string               `json:"apiVersion"`
	Kind         string               `json:"kind"`
	Transactions []historyTransaction `json:"transactions"`
	SetAside     []string             `json:"setAside,omitempty"` // files that could not be read
}

type historyTransaction struct {
	ID      string        `json:"id"`
	State   tuner.State   `json:"state"`
	Reason  string        `json:"reason,omitempty"`
	Created time.Time     `json:"created"`
	Steps   []historyStep `json:"steps"`
}

type historyStep struct {
	Kind     tuner.Kind    `json:"kind"`
	Netns    uint64        `json:"netns"`
	Key      string        `json:"key,omitempty"`
	Listener string        `json:"listener,omitempty"`
	From     int64         `json:"from"`
	To       int64         `json:"to"`
	Outcome  tuner.Outcome `json:"outcome,omitempty"`
}

func historyOf(all []*tuner.Transaction, aside []string) historyDocument {
	d := historyDocument{APIVersion: tuner.APIVersion, Kind: "History", Transactions: []historyTransaction{}, SetAside: aside}
	for _, tx := range all {
		out := historyTransaction{ID: tx.ID, State: tx.State, Reason: tx.Reason, Created: tx.Created.Wall, Steps: []historyStep{}}
		for i := range tx.Steps {
			step := &tx.Steps[i]
			h := historyStep{Kind: step.Kind, Netns: step.Scope.Netns, Key: step.Key, From: step.From, To: step.To, Outcome: step.Outcome}
			if step.Listener != nil {
				h.Listener = step.Listener.Name()
			}
			out.Steps = append(out.Steps, h)
		}
		d.Transactions = append(d.Transactions, out)
	}
	return d
}

// writeHistory writes a line for each transaction, and what could not be read.
func writeHistory(out io.Writer, all []*tuner.Transaction, aside []string, now tuner.Now) error {
	s := newTextScreen(out)
	if len(all) == 0 {
		if len(aside) == 0 {
			s.say("qtune has changed nothing on this host.")
		}
		s.setAside(aside)
		return s.w.Flush()
	}
	t := table{columns: []column{
		{title: "TRANSACTION"},
		{title: "WHEN"},
		{title: "STATE", least: 12},
		{title: "CHANGES", least: 24},
	}}
	for _, tx := range all {
		state := stateText(tx)
		if tx.State == tuner.Prepared {
			state = string(tx.State) // why is a long story
		}
		if left, ok := untilDeadline(tx, now); ok {
			state = "on trial, " + clockText(left)
		}
		t.rows = append(t.rows, row{style: rowStyle(tx.State), cells: []string{
			tx.ID, tx.Created.Wall.UTC().Format("2006-01-02 15:04"), state, changesText(tx.Steps),
		}})
	}
	t.write(s.w, terminalWidth(out), s.style.Colour) // uncut where it is no terminal
	s.setAside(aside)
	return s.w.Flush()
}

// rowStyle paints what is open and dims what is over.
func rowStyle(state tuner.State) string {
	if state == tuner.Confirmed {
		return ""
	}
	return stateStyle(state)
}

// changesText says in a line what a transaction changes first, and how much more.
func changesText(steps []tuner.Step) string {
	if len(steps) == 0 {
		return "-"
	}
	step := &steps[0]
	name := step.Key
	if step.Listener != nil {
		name = socketText(step.Listener)
	}
	text := fmt.Sprintf("%s %s %d -> %d", netnsText(&step.Scope), name, step.From, step.To)
	if len(steps) > 1 {
		text += fmt.Sprintf(" and %d more", len(steps)-1)
	}
	return text
}
