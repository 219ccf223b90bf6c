// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A value of a chart: of a line at some x, or of a bar.
type value struct {
	chart, name string
	x, y        float64
}

// point notes a value of a line.
func (l *lab) point(chart, line string, x, y float64) {
	l.values = append(l.values, value{chart, line, x, y})
}

// note notes a bar; the newest of a name counts.
func (l *lab) note(chart, bar string, y float64) { l.point(chart, bar, 0, y) }

// A chart is drawn from the values of a run.
type chart struct {
	name, title, unit string
	across            string // what x is, of lines; both axes are logarithmic
}

var charts = []chart{
	{"scan", "CPU time to list all listeners once", "ms", "listeners"},
	{"bursts", "Bursts of 20 ms seen, by how a listener is sampled", "%", ""},
	{"agent-cpu", "The whole agent: CPU, by listeners in namespaces", "% of a CPU", ""},
	{"agent-memory", "The whole agent: resident memory at most", "MiB", ""},
}

// plot writes a picture of every chart that has values.
func (l *lab) plot(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		values := map[value]float64{} // by all but y: what was measured twice counts once
		var order []value
		for _, v := range l.values {
			key := value{chart: v.chart, name: v.name, x: v.x}
			if v.chart != c.name {
				continue
			}
			if _, ok := values[key]; !ok {
				order = append(order, key)
			}
			values[key] = v.y
		}
		for i, key := range order {
			order[i].y = values[key]
		}
		if len(order) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "bench-"+c.name+".svg"), []byte(c.draw(order)), 0o644); err != nil { //nolint:gosec // for all to read
			return err
		}
	}
	return nil
}

// The picture, in pixels. Its colours are seen on white and on black.
const (
	width, left, right = 640, 190, 90
	rowHeight          = 30
	style              = `<style>text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-weight:600}` +
		`.a{stroke:#8b949e;stroke-width:1;opacity:.4}.l{fill:none;stroke-width:2}` +
		`@media(prefers-color-scheme:dark){text{fill:#adbac7}}</style>`
)

var colours = []string{"#2f81f7", "#d1802a", "#b5589e", "#5a9e4b"}

func (c chart) draw(values []value) string {
	if c.across == "" {
		return c.drawBars(values)
	}
	return c.drawLines(values)
}

// head begins a picture.
func (c chart) head(height int) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">%s`+"\n"+`<text class="t" x="8" y="20">%s (%s)</text>`+"\n",
		width, height, escape(c.title), style, escape(c.title), escape(c.unit))
}

func (c chart) drawBars(values []value) string {
	var b strings.Builder
	b.WriteString(c.head(40 + rowHeight*len(values)))
	most := slices.MaxFunc(values, func(a, b value) int { return cmp.Compare(a.y, b.y) }).y
	for i, v := range values {
		y := 36 + rowHeight*i
		w := max(1, v.y/max(most, 1e-9)*(width-left-right))
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="18" fill="%s"/><text x="%.1f" y="%d">%.3g</text>`+"\n",
			left-8, y+14, escape(v.name), left, y, w, colours[0], left+w+6, y+14, v.y)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// The frame of lines.
const (
	top, bottom = 40, 330
	lineLeft    = 64
	lineRight   = 470
)

func (c chart) drawLines(values []value) string {
	var b strings.Builder
	b.WriteString(c.head(bottom + 46))
	xs, ys := decades(values, func(v value) float64 { return v.x }), decades(values, func(v value) float64 { return v.y })
	px := func(x float64) float64 { return lineLeft + xs.at(x)*(lineRight-lineLeft) }
	py := func(y float64) float64 { return bottom - ys.at(y)*(bottom-top) }
	for e := xs.from; e <= xs.to; e++ {
		x := px(math.Pow10(e))
		fmt.Fprintf(&b, `<path class="a" d="M%.1f %dV%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, top, bottom, x, bottom+18, decimal(e))
	}
	for e := ys.from; e <= ys.to; e++ {
		y := py(math.Pow10(e))
		fmt.Fprintf(&b, `<path class="a" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", lineLeft, y, lineRight, lineLeft-8, y+4, decimal(e))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (lineLeft+lineRight)/2, bottom+38, escape(c.across))
	for i, name := range namesOf(values) {
		var path strings.Builder
		verb, end := "M", value{}
		for _, v := range values {
			if v.name == name {
				fmt.Fprintf(&path, "%s%.1f %.1f", verb, px(v.x), py(v.y))
				verb, end = "L", v
			}
		}
		colour := colours[i%len(colours)]
		fmt.Fprintf(&b, `<path class="l" stroke="%s" d="%s"/><text x="%.1f" y="%.1f">%s</text>`+"\n", colour, path.String(), px(end.x)+8, py(end.y)+4, escape(name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func namesOf(values []value) (all []string) {
	for _, v := range values {
		if !slices.Contains(all, v.name) {
			all = append(all, v.name)
		}
	}
	return all
}

// A scale is whole powers of ten.
type scale struct{ from, to int }

func decades(values []value, of func(value) float64) scale {
	least, most := math.Inf(1), 0.0
	for _, v := range values {
		least, most = min(least, of(v)), max(most, of(v))
	}
	s := scale{int(math.Floor(math.Log10(least))), int(math.Ceil(math.Log10(most)))}
	s.to = max(s.to, s.from+1)
	return s
}

func (s scale) at(v float64) float64 {
	return (math.Log10(v) - float64(s.from)) / float64(s.to-s.from)
}

func decimal(e int) string { return strconv.FormatFloat(math.Pow10(e), 'f', -1, 64) }

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) //nolint:errcheck // a Builder takes all
	return b.String()
}
