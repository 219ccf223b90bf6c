// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// count returns "1 listener" or "2 listeners".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
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

// containerText returns what runs the owner.
func containerText(o *inspection.Owner) string {
	if o == nil {
		return "-"
	}
	return o.Container.String()
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
