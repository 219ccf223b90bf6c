// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"fmt"
	"math"
	"strconv"

	"github.com/qtune/qtune/inspection"
)

// A chart shows a listener's last minutes. Places are parts of its width in
// percent, so that the browser stretches it and the letters keep their size, and
// pixels from its top.
type chart struct {
	Slots  []chartSlot
	Grid   []gridLine
	Times  []gridLine
	Limit  float64 // from the top; below 0 when it is above the chart
	Of     uint32  // the limit
	Bottom float64
	Says   string
}

// A chartSlot is a stretch of time in it.
type chartSlot struct {
	inspection.Slot
	Left, Width float64
	Peak, High  float64 // the top of its longest sample, and the height below
	Length      float64
	Refused     float64 // the height of the mark, 0 for none
	Clock       string
}

// A gridLine is a number or a time at its place.
type gridLine struct {
	At     float64
	Text   string
	Anchor string // of the text: start, middle or end
}

// Sizes of a chart, in pixels. The strip below the plot has the refusals.
const (
	plotTop    = 18
	plotHigh   = 150
	plotBottom = plotTop + plotHigh
	stripTop   = plotBottom + 8
	stripHigh  = 22
)

// ChartHeight is that of the whole: strip and times are below the plot.
func (chart) ChartHeight() int { return stripTop + stripHigh + 20 }

// Strip is the bottom of the refusals.
func (chart) Strip() int { return stripTop + stripHigh }

// TimesAt is the base line of the times.
func (chart) TimesAt() int { return stripTop + stripHigh + 16 }

// chartOf draws a history; nil when there is nothing to draw.
func chartOf(h *inspection.History) *chart {
	if len(h.Slots) == 0 {
		return nil
	}
	var longest, refused, total uint64
	span := 0.0
	for _, slot := range h.Slots {
		longest = max(longest, uint64(slot.Peak), uint64(slot.Length))
		refused = max(refused, slot.Refused)
		total += slot.Refused
		span += slot.Seconds
	}
	c := &chart{Bottom: plotBottom, Of: h.Limit}
	// A limit far above all would press the queue flat: then it is told, not drawn.
	top := scaleOf(max(longest, 1))
	if limit := uint64(h.Limit); limit <= 4*max(longest, 1) {
		top = scaleOf(max(longest, limit))
	}
	y := func(n float64) float64 { return round(plotBottom - plotHigh*n/float64(top)) }
	c.Limit = y(float64(h.Limit))
	if uint64(h.Limit) > top {
		c.Limit = -1
	}
	at := 0.0
	for _, slot := range h.Slots {
		s := chartSlot{Slot: slot, Left: round(100 * at / span), Width: round(100 * slot.Seconds / span), Clock: slot.Time.UTC().Format("15:04:05")}
		s.Peak = y(float64(max(slot.Peak, slot.Length)))
		s.High = round(plotBottom - s.Peak)
		s.Length = y(float64(slot.Length))
		if slot.Refused > 0 {
			s.Refused = round(4 + (stripHigh-4)*float64(slot.Refused)/float64(refused))
		}
		c.Slots = append(c.Slots, s)
		at += slot.Seconds
	}
	for _, n := range []uint64{top, top / 2} {
		if n > 0 {
			c.Grid = append(c.Grid, gridLine{At: y(float64(n)), Text: strconv.FormatUint(n, 10)})
		}
	}
	c.Times = timesOf(h.Slots, span)
	c.Says = fmt.Sprintf("The accept queue in the last %s: at most %d waited, of a limit of %d; %s refused at most.",
		spanText(span), longest, h.Limit, counted(int(total), "packet")) //nolint:gosec // packets of a window
	return c
}

// LimitText says which it is, and where when it is not in the chart.
func (c chart) LimitText() string {
	if c.Limit < 0 {
		return number(c.Of) + ", above the chart"
	}
	return number(c.Of)
}

// Drawn returns where refusals begin to be drawn.
func (s chartSlot) Drawn() float64 { return round(stripTop + stripHigh - s.Refused) }

// Right is where a slot ends, in percent.
func (s chartSlot) Right() float64 { return round(s.Left + s.Width) }

// timesOf names the beginning, the middle and the end.
func timesOf(slots []inspection.Slot, span float64) []gridLine {
	end := slots[len(slots)-1].Time.UTC()
	ago := func(part float64) string { return "-" + spanText(span*part) }
	return []gridLine{{0, ago(1), "start"}, {50, ago(0.5), "middle"}, {100, end.Format("15:04:05 UTC"), "end"}}
}

// scaleOf returns a round number that is at least n.
func scaleOf(n uint64) uint64 {
	for unit := uint64(1); ; unit *= 10 {
		for _, step := range []uint64{2, 4, 6, 8, 10} {
			if step*unit >= n || step*unit > 1<<40 {
				return step * unit
			}
		}
	}
}

// round keeps two digits: more is nothing a screen could show.
func round(x float64) float64 { return math.Round(100*x) / 100 }
