// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// count returns "1 listener" or "2 listeners".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// listenerText returns ADDR[%DEV]:PORT.
func listenerText(l *inspection.Listener) string {
	return tcpq.ListenerName(l.Address, l.Family == "ipv6", l.Device, l.Port)
}

// ownerText returns who owns a listener, as short as is clear.
func ownerText(o *inspection.Owner) string {
	if o == nil {
		return "-"
	}
	var parts []string
	switch {
	case o.Pod != nil && o.Pod.Name != "":
		parts = append(parts, o.Pod.Namespace+"/"+o.Pod.Name)
	case o.Pod != nil:
		parts = append(parts, "pod "+o.Pod.UID)
	case o.Container != nil:
		parts = append(parts, containerText(o))
	}
	switch {
	case o.PID == 0:
		parts = append(parts, unfoundText(o.Unfound))
	case len(o.PIDs) > 1:
		parts = append(parts, fmt.Sprintf("%s[%d]+%d", o.Comm, o.PID, len(o.PIDs)-1))
	default:
		parts = append(parts, o.Comm+"["+strconv.Itoa(o.PID)+"]")
	}
	return strings.Join(parts, " ")
}

// unfoundText says why no process is named.
func unfoundText(why string) string {
	switch why {
	case "not-permitted":
		return "(not permitted)"
	case "kernel":
		return "(the kernel)"
	}
	return "(no process)"
}

// containerText returns RUNTIME:NAME, or the start of the id as the runtimes
// print it.
func containerText(o *inspection.Owner) string {
	if o == nil || o.Container == nil {
		return "-"
	}
	c := o.Container
	name := c.Name
	if name == "" {
		name = c.ID[:min(len(c.ID), 12)]
	}
	if c.Runtime == "" {
		return name
	}
	return c.Runtime + ":" + name
}

func unitText(o *inspection.Owner) string {
	if o == nil || o.Unit == "" {
		return "-"
	}
	return o.Unit
}

func exeText(o *inspection.Owner) string {
	if o == nil || o.Exe == "" {
		return "-"
	}
	return o.Exe
}

func uidText(o *inspection.Owner) string {
	if o == nil {
		return "-"
	}
	return strconv.FormatUint(uint64(o.UID), 10)
}

// kindText returns the protocol and families: "tcp4", "tcp6", "tcp4+6", "mptcp4".
func kindText(l *inspection.Listener) string {
	switch {
	case l.Family == "ipv4":
		return l.Protocol + "4"
	case value(l.V6Only) || l.Address != "::":
		return l.Protocol + "6"
	}
	return l.Protocol + "4+6"
}

// queueText returns LENGTH/LIMIT, with - for what is unknown.
func queueText(length, limit *uint32) string { return optional(length) + "/" + optional(limit) }

func optional(n *uint32) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatUint(uint64(*n), 10)
}

// discardsText returns the total and, when it moved in the window, by how much.
func discardsText(l *inspection.Listener) string {
	text := optional(l.Discards.Total)
	if moved := value(l.Discards.Window); moved > 0 {
		text += " +" + strconv.FormatUint(moved, 10)
	}
	return text
}

// refusedText returns the bounds of loss: "0", "7" or "3-7".
func refusedText(r *inspection.Refused) string {
	switch {
	case r == nil:
		return "-"
	case r.Min == r.Max:
		return strconv.FormatUint(r.Max, 10)
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Max)
}

// A bar shows how full a queue is.
const (
	barWidth = 10
	barFull  = "█"
	barRest  = "░"
)

// barText returns a bar that is empty for an empty queue only, and full for a
// full one only.
func barText(length, capacity uint64) string {
	filled := barWidth
	if length < capacity {
		filled = int(min((length*barWidth+capacity-1)/capacity, barWidth-1))
	}
	return strings.Repeat(barFull, filled) + strings.Repeat(barRest, barWidth-filled)
}

func acceptBar(l *inspection.Listener) string {
	return barText(uint64(l.AcceptQueue.Length), l.AcceptQueue.Capacity)
}

func synBar(l *inspection.Listener) string {
	if l.SynQueue.Length == nil || l.SynQueue.Limit == nil {
		return "-"
	}
	return barText(uint64(*l.SynQueue.Length), uint64(*l.SynQueue.Limit))
}
