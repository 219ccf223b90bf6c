// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strconv"

	"github.com/qtune/qtune/inspection"
)

// A listenerColumn is a column of the table of listeners, and what stands in it.
type listenerColumn struct {
	column
	shown place
	rank  int    // top leaves out the highest first where there is no room
	order string // of listenerOrders, by what stands in it
	cell  func(names map[uint64]string, l *inspection.Listener) string
}

// A place says which tables have a column. The full screen of top has them all
// while there is room.
type place int

const (
	everywhere place = iota
	wide             // the wide table of inspect, and top
	topOnly
)

// inspect reports whether a table of inspect has the column.
func (c *listenerColumn) inspect(wideTable bool) bool {
	return c.shown == everywhere || c.shown == wide && wideTable
}

// listenerColumns are the columns from left to right.
var listenerColumns = []listenerColumn{
	{column{title: ""}, everywhere, 0, "", func(_ map[uint64]string, l *inspection.Listener) string { return l.Mark().Sign }},
	{column{title: "NETNS", least: 8, keepEnd: true}, everywhere, 6, "netns", func(names map[uint64]string, l *inspection.Listener) string { return names[l.Netns] }},
	{column{title: "LISTENER", least: 12, keepEnd: true}, everywhere, 1, "port", func(_ map[uint64]string, l *inspection.Listener) string { return l.Name() }},
	{column{title: "OWNER", least: 9, keepEnd: true}, everywhere, 3, "owner", func(_ map[uint64]string, l *inspection.Listener) string { return l.Owner.String() }},
	{column{title: "ACCEPT", right: true}, everywhere, 2, "accept", func(_ map[uint64]string, l *inspection.Listener) string {
		return queueText(&l.AcceptQueue.Length, &l.AcceptQueue.Limit)
	}},
	{column{title: "ACCEPT FILL"}, topOnly, 10, "", func(_ map[uint64]string, l *inspection.Listener) string { return acceptBar(l) }},
	{column{title: "PEAK", right: true}, wide, 9, "", func(_ map[uint64]string, l *inspection.Listener) string { return optional(l.AcceptQueue.Peak) }},
	{column{title: "SYN", right: true}, everywhere, 5, "syn", func(_ map[uint64]string, l *inspection.Listener) string {
		return queueText(l.SynQueue.Length, l.SynQueue.Limit)
	}},
	{column{title: "SYN FILL"}, topOnly, 11, "", func(_ map[uint64]string, l *inspection.Listener) string { return synBar(l) }},
	{column{title: "DISCARDS", right: true}, everywhere, 7, "discards", func(_ map[uint64]string, l *inspection.Listener) string { return discardsText(l) }},
	{column{title: "REFUSED", right: true}, everywhere, 4, "loss", func(_ map[uint64]string, l *inspection.Listener) string { return l.Refused.String() }},
	{column{title: "LIMIT BY", least: 9}, everywhere, 8, "", func(_ map[uint64]string, l *inspection.Listener) string { return l.LimitBoundBy }},
	{column{title: "SYN BOUND BY"}, wide, 14, "", func(_ map[uint64]string, l *inspection.Listener) string { return l.SynQueue.BoundBy }},
	{column{title: "KIND"}, wide, 12, "", func(_ map[uint64]string, l *inspection.Listener) string { return l.Flavour() }},
	{column{title: "UID", right: true}, wide, 15, "", func(_ map[uint64]string, l *inspection.Listener) string { return uidText(l.Owner) }},
	{column{title: "UNIT"}, wide, 13, "", func(_ map[uint64]string, l *inspection.Listener) string { return unitText(l.Owner) }},
	{column{title: "CONTAINER"}, wide, 16, "", func(_ map[uint64]string, l *inspection.Listener) string { return containerText(l.Owner) }},
	{column{title: "INODE", right: true}, wide, 18, "", func(_ map[uint64]string, l *inspection.Listener) string {
		return strconv.FormatUint(uint64(l.Inode), 10)
	}},
	{column{title: "EXE"}, wide, 17, "", func(_ map[uint64]string, l *inspection.Listener) string { return exeText(l.Owner) }},
}
