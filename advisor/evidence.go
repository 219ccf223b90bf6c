// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// queueEvidence returns the numbers of the accept queue.
func (l *subject) queueEvidence() []Evidence {
	all := []Evidence{
		{"queue now", float64(l.l.Accept.Len), "connections", "sock_diag"},
		l.limitEvidence(),
	}
	if l.seen.Slots > 0 {
		all = append(all, Evidence{"longest", float64(l.seen.Peak), "connections", "sock_diag"})
	}
	if l.lost() {
		all = append(all, l.refusedEvidence()...)
	}
	return all
}

// synEvidence returns the numbers of the SYN queue.
func (l *subject) synEvidence() []Evidence {
	var all []Evidence
	of := ""
	if n := l.l.Syn.Members; n > 1 {
		of = fmt.Sprintf(" of all %d members", n)
	}
	if l.seen.SynPeak > 0 {
		all = append(all,
			Evidence{"SYN queue" + of + ", longest", float64(l.seen.SynPeak), "peers", "sock_diag"},
			Evidence{"of them silent for 1 s", float64(l.seen.SynStale), "peers", "sock_diag"})
	}
	if l.l.Syn.MaxKnown {
		all = append(all, Evidence{"SYN queue limit" + of, float64(l.l.Syn.Max), "peers", "computed"})
	}
	if l.lost() {
		all = append(all, l.refusedEvidence()...)
	}
	return all
}

func (l *subject) limitEvidence() Evidence {
	return Evidence{"limit", float64(l.l.Accept.Max), "connections", "sock_diag"}
}

func (l *subject) refusedEvidence() []Evidence {
	const source = "netstat ListenDrops, sock_diag sk_drops"
	return []Evidence{
		{"refused, at least", float64(l.seen.Refused.Min), "packets", source},
		{"refused, at most", float64(l.seen.Refused.Max), "packets", source},
	}
}

// acceptEvidence returns how fast the program accepts and what that means for who
// waits.
func (l *subject) acceptEvidence() []Evidence {
	rate, known := l.acceptRate()
	if !known {
		return nil
	}
	name := "connections accepted"
	if !l.lone() {
		name += ", at most"
	}
	all := []Evidence{{name, round(rate), "connections/s", "snmp PassiveOpens"}}
	if waits := wait(l.mean(), rate); !math.IsInf(waits, 0) {
		name := "wait for accept(2)"
		if !l.lone() {
			name += ", at least"
		}
		all = append(all, Evidence{name, round(waits), "s", "mean queue / accept rate"})
	}
	return all
}

func (s *scene) movedEvidence(c tcpq.Counter) Evidence {
	source := c.Info().Group + " " + c.String()
	switch c.Info().Group {
	case "TcpExt":
		source = "netstat " + c.String()
	case "Tcp":
		source = "snmp " + c.String()
	}
	return Evidence{c.String() + " moved", float64(s.moved.Value(c)), "", source}
}

func (s *scene) sysctlEvidence(k tcpq.Sysctl) Evidence {
	return Evidence{k.String(), float64(s.sysctl(k)), "", "/proc/sys"}
}

// courseText says whether a queue that overflowed was worked off.
func (l *subject) courseText() string {
	switch now := l.l.Accept.Len; {
	case l.seen.Slots < judgedSlots:
		return "Whether the program keeps up in between takes a longer look."
	case uint64(now)*10 <= uint64(l.l.Accept.Max):
		return "The program worked the queue off."
	default:
		return fmt.Sprintf("%d still waited at the end.", now)
	}
}

// refusedText says how many packets were refused.
func (l *subject) refusedText() string {
	r := l.seen.Refused
	if r.Min == r.Max {
		return plural(r.Max, "packet was", "packets were")
	}
	return fmt.Sprintf("%d to %d packets were", r.Min, r.Max)
}

// shared says that others are suspected of the same loss, in a sentence that
// follows another; "" when nobody is.
func (l *subject) shared() string {
	suspects := l.suspects()
	if !l.lost() || len(suspects) < 2 || l.seen.Refused.Min == l.seen.Refused.Max {
		return ""
	}
	var names []string
	for _, s := range suspects {
		if s != l && len(names) < 3 {
			names = append(names, s.l.Name())
		}
	}
	if more := len(suspects) - 1 - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf(" The suspicion is shared: the kernel counts by namespace, and %s lost packets at the same time.", strings.Join(names, ", "))
}

// discardersText names the listeners that may have lost what nobody can be named
// for.
func (s *scene) discardersText() string {
	if slices.ContainsFunc(s.subjects, func(l subject) bool { return !l.l.DiscardsKnown }) {
		const mute = "This kernel does not count by listener what it discards. "
		full := s.names(func(l *subject) bool { return l.l.Accept.Full() || l.seen.Peak > l.l.Accept.Max || l.seen.SynFull })
		if full == "" {
			return mute + "No sample saw which was full."
		}
		return mute + "Full was " + full + "."
	}
	discarders := s.names(func(l *subject) bool { return l.seen.Discards > 0 })
	if discarders == "" {
		return "No listener that is still there discarded anything: it was probably closed."
	}
	closed := ""
	if slices.ContainsFunc(s.slots, func(s slot) bool { return s.Gone > 0 }) {
		closed = ", or one that was closed meanwhile"
	}
	return "No sample saw which. It is one of these, which discarded packets: " + discarders + closed + "."
}

// names lists the listeners that are so, the first few of them; "" for none.
func (s *scene) names(are func(*subject) bool) string {
	var names []string
	for i := range s.subjects {
		if l := &s.subjects[i]; are(l) {
			names = append(names, l.l.Name())
		}
	}
	const few = 5
	if len(names) > few {
		names = append(names[:few], fmt.Sprintf("%d more", len(names)-few))
	}
	return strings.Join(names, ", ")
}

func (l *subject) atMost() string {
	if l.lone() {
		return ""
	}
	return " at most"
}

func (l *subject) atLeast() string {
	if l.lone() {
		return ""
	}
	return "at least "
}

// lookExample returns a command that shows what the holder of the listener does.
func (l *subject) lookExample() string {
	if o := l.l.Owner; o != nil && len(o.PIDs) > 0 {
		return fmt.Sprintf("grep -H . /proc/%d/task/*/wchan", o.PIDs[len(o.PIDs)-1])
	}
	return ""
}

// plural returns a count with the noun that fits it.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(n, 10) + " " + many
}

// round keeps three digits.
func round(f float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 3, 64), 64)
	if err != nil {
		return f
	}
	return r
}

// number writes a number of three digits without an exponent.
func number(f float64) string { return strconv.FormatFloat(round(f), 'f', -1, 64) }

// seconds writes a waiting time.
func seconds(s float64) string {
	switch {
	case math.IsInf(s, 0):
		return "forever"
	case s < 1:
		return number(s*1000) + " ms"
	case s < 600:
		return number(s) + " s"
	}
	return age(time.Duration(s * float64(time.Second)))
}

// span writes how long was watched.
func span(s float64) string { return strconv.FormatFloat(s, 'f', 1, 64) + " s" }

// age writes a long time by its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return plural(uint64(max(d, 0)/time.Second), "second", "seconds")
	case d < time.Hour:
		return plural(uint64(d/time.Minute), "minute", "minutes")
	case d < 48*time.Hour:
		return plural(uint64(d/time.Hour), "hour", "hours")
	}
	return plural(uint64(d/(24*time.Hour)), "day", "days")
}
