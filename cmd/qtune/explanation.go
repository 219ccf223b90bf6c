// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// writeExplanation writes the limits of a listener for people.
func writeExplanation(w io.Writer, e *inspection.Explanation, assumed []string, width int) error {
	s := screen{w: newWriter(w), style: tableStyle{Width: width}}
	if width == 0 {
		s.style.Width = usualWidth
	}
	s.say("Linux %s: listen(fd, %d), net.core.somaxconn %d, tcp_max_syn_backlog %d, tcp_syncookies %d",
		e.Kernel, e.Backlog, e.Somaxconn, e.TCPMaxSynBacklog, e.TCPSyncookies)
	if len(assumed) > 0 {
		s.say("Assumed: %s.", strings.Join(assumed, ", "))
	}
	fmt.Fprintln(s.w)
	limits := table{
		columns: []column{{title: ""}, {title: "TEXTBOOK", right: true}, {title: "TRUE", right: true}, {title: "BOUND BY"}},
		rows: []row{
			{cells: []string{"accept queue holds", strconv.FormatInt(e.Textbook.AcceptQueue, 10), strconv.FormatUint(e.AcceptQueue.Capacity, 10), e.AcceptQueue.BoundBy}},
			{cells: []string{"SYN queue holds", strconv.FormatInt(e.Textbook.SynQueue, 10), strconv.FormatUint(uint64(e.SynQueue.Limit), 10), e.SynQueue.BoundBy}},
		},
	}
	limits.write(s.w, s.style.Width, false)
	fmt.Fprintln(s.w)
	s.say("Textbook: accept = min(backlog, somaxconn); syn = min(backlog, somaxconn, tcp_max_syn_backlog).")
	for i, step := range e.Steps {
		s.say("%d. %s [%s, %s]", i+1, step.Text, step.Rule, step.Proof)
	}
	for _, line := range differences(e) {
		s.say("%s", line)
	}
	s.say("Memory when both are full: %s, and up to %s when every client has sent as much as it may before it is accepted.",
		inspection.BytesText(e.Memory.IdleBytes), inspection.BytesText(e.Memory.WorstBytes))
	fmt.Fprintln(s.w)
	effects := table{columns: []column{{title: "A CHANGE OF"}, {title: "DOES NOW"}, {title: "AND AFTER THE NEXT LISTEN(2)"}}}
	for _, c := range e.Changes {
		effects.rows = append(effects.rows, row{cells: []string{
			fmt.Sprintf("%s %d -> %d", c.Key, c.From, c.To), effectText(e, c.Now), effectText(e, c.Relisten),
		}})
	}
	effects.write(s.w, 0, false)
	return s.w.Flush()
}

// differences says where the textbook is wrong, and why.
func differences(e *inspection.Explanation) []string {
	var lines []string
	if e.Unreachable {
		lines = append(lines, "NOBODY CAN CONNECT to this listener.")
	}
	oneMore := int64(e.AcceptQueue.Capacity) == e.Textbook.AcceptQueue+1
	if oneMore {
		lines = append(lines, "The accept queue differs from the textbook because it is full only when it is longer than its limit.")
	} else {
		lines = append(lines, fmt.Sprintf("The accept queue differs from the textbook because of step %d, and is full only when it is longer than its limit.", lastStep(e, tcpq.BacklogIsClamped, tcpq.LimitOf16Bits)))
	}
	if int64(e.SynQueue.Limit) == e.Textbook.SynQueue {
		return lines
	}
	why := "the limit of the listener bounds the SYN queue, and tcp_max_syn_backlog is looked at only without syncookies."
	switch {
	case e.SynQueue.BoundBy == string(tcpq.SynBoundSyncookies):
		why = "with tcp_syncookies 2 nothing is ever half-open."
	case lastStep(e, tcpq.SynTableOfListen) > 0:
		why = "listen(2) makes a table whose size is a power of two."
	case e.SynQueue.BoundBy == string(tcpq.SynBoundMaxSynBacklog):
		why = "without syncookies the last quarter of tcp_max_syn_backlog is not for everybody."
	case oneMore && int64(e.SynQueue.Limit) == e.Textbook.SynQueue+1:
		return append(lines, "So does the SYN queue.")
	}
	return append(lines, "The SYN queue differs from the textbook because "+why)
}

// lastStep returns the number of the last step that follows one of these rules, 0
// when none does.
func lastStep(e *inspection.Explanation, rules ...tcpq.Rule) (n int) {
	for i, step := range e.Steps {
		if slices.ContainsFunc(rules, func(r tcpq.Rule) bool { return r.Info().ID == step.Rule }) {
			n = i + 1
		}
	}
	return n
}

// effectText says what a change does to the queues, "nothing" for nothing.
func effectText(e *inspection.Explanation, after inspection.EffectLimits) string {
	var parts []string
	if after.Capacity != e.AcceptQueue.Capacity {
		parts = append(parts, fmt.Sprintf("accept %d -> %d", e.AcceptQueue.Capacity, after.Capacity))
	}
	if after.Syn != e.SynQueue.Limit {
		parts = append(parts, fmt.Sprintf("SYN %d -> %d", e.SynQueue.Limit, after.Syn))
	}
	switch {
	case e.Unreachable && !after.Unreachable:
		parts = append(parts, "clients can connect")
	case after.Unreachable && !e.Unreachable:
		parts = append(parts, "nobody can connect")
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
