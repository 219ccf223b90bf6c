// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"fmt"
	"math"
	"strconv"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// A verdict is the line at the top. It tells what was seen, never that all is well:
// a quiet window says nothing about a busier one.
type verdict struct {
	Level string // bad, warn or quiet: a class of the style
	Short string // for the title of the window: a mark and a number, or empty
	Text  string
	More  string // a sentence below
}

func verdictOf(in *inspection.Inspection) verdict {
	count := map[inspection.Mark]int{}
	for i := range in.Listeners {
		count[in.Listeners[i].Mark()]++
	}
	found := map[string]int{}
	for i := range in.Findings {
		found[in.Findings[i].Severity]++
	}
	var refused uint64
	unknown := 0
	for i := range in.Namespaces {
		refused += in.Namespaces[i].Moved["ListenDrops"]
		if _, ok := in.Namespaces[i].Counters["ListenDrops"]; !ok {
			unknown++
		}
	}
	span := spanText(in.Window.Seconds)
	loss, may, full := count[inspection.MarkLoss], count[inspection.MarkMay], count[inspection.MarkFull]
	critical, warning := found[string(advisor.Critical)], found[string(advisor.Warning)]
	watched := in.Window.Source != inspection.SourceNone && in.Window.Seconds > 0 // an agent begins with a look, too
	const packets = "Counted in packets: a client that tries again counts again."
	const busier = "That says nothing about a busier moment."

	bad := func(n int, what, more string) verdict {
		return verdict{"bad", "! " + strconv.Itoa(n), what, more}
	}
	switch {
	case loss > 0 && may > 0:
		return bad(loss+may, fmt.Sprintf("%s lost connections in %s, and %d more may have", counted(loss, "listener"), span, may), packets)
	case loss > 0:
		return bad(loss, fmt.Sprintf("%s lost connections in %s", counted(loss, "listener"), span), packets)
	case may > 0:
		return bad(may, fmt.Sprintf("Connections were lost in %s: %s into question", span, comes(may)), packets)
	case full > 0:
		return bad(full, fmt.Sprintf("%s a full queue now", has(full)), "What comes next is refused.")
	case critical > 0:
		return bad(critical, counted(critical, "critical finding"), "")
	case refused > 0:
		return verdict{"warn", "", fmt.Sprintf("%s of new connections refused in %s, at no listener we know", counted(int(refused), "packet"), span), packets} //nolint:gosec // far fewer
	case warning > 0 && watched:
		return verdict{"warn", "+ " + strconv.Itoa(warning), fmt.Sprintf("%s; nothing was refused in %s", counted(warning, "warning"), span), busier}
	case warning > 0:
		return verdict{"warn", "+ " + strconv.Itoa(warning), counted(warning, "warning"), "One snapshot tells no rates."}
	case !watched:
		return verdict{"quiet", "", "One snapshot, no queue is full", "Whether connections are being lost needs a window."}
	case unknown > 0:
		return verdict{"quiet", "", fmt.Sprintf("Nothing in %s that could be read", span), "In " + counted(unknown, "namespace") + " it is not known whether anything was refused."}
	}
	return verdict{"quiet", "", "Nothing in " + span, busier}
}

// counted returns "1 listener" or "2 listeners".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func comes(n int) string {
	if n == 1 {
		return "1 listener comes"
	}
	return strconv.Itoa(n) + " listeners come"
}

func has(n int) string {
	if n == 1 {
		return "1 listener has"
	}
	return strconv.Itoa(n) + " listeners have"
}

// spanText returns a number of seconds, with a tenth where that is something.
func spanText(seconds float64) string {
	if seconds < 10 {
		seconds = math.Round(10*seconds) / 10
	} else {
		seconds = math.Round(seconds)
	}
	return strconv.FormatFloat(seconds, 'f', -1, 64) + " s"
}
