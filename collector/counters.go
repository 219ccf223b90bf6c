// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// counterFiles are the files the counter table is read from. Snmp comes before
// Netstat: what moves in between moves again a line of the next Snmp.
var counterFiles = []struct {
	name     host.File
	optional bool // absent where the feature is not in use
	hostOnly bool // counts for the whole host
	traffic  bool // stands still while no segment comes or goes
	parse    func(*counterParser, []byte, *tcpq.Counters) error
}{
	{name: host.Snmp, parse: (*counterParser).parseTable},
	{name: host.Netstat, traffic: true, parse: (*counterParser).parseTable},
	{name: host.Conntrack, optional: true, parse: parseConntrack},
	{name: host.Softnet, hostOnly: true, parse: parseSoftnet},
}

// readCounters reads the files of the counter table.
func (p *pass) readCounters(n *tcpq.Namespace, in host.Inside) {
	still := false
	for _, f := range counterFiles {
		if f.hostOnly && !n.Host {
			continue
		}
		if f.traffic && still {
			keepGroup(&n.Counters, &p.before[n.ID].Counters, "TcpExt")
			continue
		}
		content, err := in.Read(f.name)
		if f.name == host.Snmp {
			still = p.standsStill(n.ID, content)
		}
		if err == nil {
			err = f.parse(&p.collector.counters, content, &n.Counters)
		}
		if err != nil && !(f.optional && errors.Is(err, host.ErrAbsent)) {
			p.fail(n, "counters", fmt.Errorf("%s: %w", f.name, err))
		}
	}
}

// standsStill reports whether no segment came or went in a namespace since the pass
// before: its line of TCP in snmp is the same, which counts them all. Then netstat,
// which takes the kernel half of the time of all files, has nothing new, but for a
// listener that closed ([tcpq.TCPMigrateReqFailure]) or memory that others use up
// ([tcpq.TCPMemoryPressures]): the next segment or dump tells that.
func (p *pass) standsStill(id tcpq.NetnsID, snmp []byte) bool {
	line, was := tcpLine(snmp), p.collector.lines[id]
	if string(line) != was {
		p.lines[id] = string(line)
		return false
	}
	p.lines[id] = was
	before := p.before[id]
	if was == "" || before == nil || p.does(Dump) {
		return false
	}
	_, ok := before.Counters.Get(tcpq.ListenDrops)
	return ok
}

// keepGroup sets the counters of a group as they were before.
func keepGroup(into, before *tcpq.Counters, group string) {
	for c := range tcpq.Counter(tcpq.NumCounters) {
		if value, ok := before.Get(c); ok && c.Info().Group == group {
			into.Set(c, value)
		}
	}
}

// tcpLine returns the counts of TCP in snmp, nil where there are none.
func tcpLine(snmp []byte) []byte {
	at := bytes.LastIndex(snmp, []byte("\nTcp: "))
	if at < 0 {
		return nil
	}
	line, _, _ := bytes.Cut(snmp[at+1:], []byte{'\n'})
	return line
}

// A counterParser reads netstat and snmp. The header lines are the same in
// every namespace of a kernel, so it remembers what they said.
type counterParser struct {
	headers []header
}

// A header is a line of names and which of them are in the counter table.
type header struct {
	line    []byte
	columns []column
}

// A column is a counter and where it stands after the group's name.
type column struct {
	counter tcpq.Counter
	index   int
}

// parseTable reads pairs of lines: "Group: name name" and "Group: 1 2". A pair
// that does not fit is an error; the others count.
func (p *counterParser) parseTable(b []byte, into *tcpq.Counters) error {
	var bad error
	for len(b) > 0 {
		var names, values []byte
		names, b, _ = bytes.Cut(b, []byte{'\n'})
		values, b, _ = bytes.Cut(b, []byte{'\n'})
		group, _, ok := bytes.Cut(names, []byte{':'})
		again, rest, ok2 := bytes.Cut(values, []byte{':'})
		if !ok || !ok2 || !bytes.Equal(group, again) {
			bad = fmt.Errorf("line %.40q is not followed by its values", names)
			continue
		}
		if !tcpq.HasCounters(string(group)) {
			continue // some, such as IcmpMsg, have other names in every namespace
		}
		if err := readColumns(rest, p.columns(names, string(group)), into); err != nil {
			bad = fmt.Errorf("%s: %w", group, err)
		}
	}
	return bad
}

// columns returns which counters a header line names.
func (p *counterParser) columns(line []byte, group string) []column {
	for i := range p.headers {
		if bytes.Equal(p.headers[i].line, line) {
			return p.headers[i].columns
		}
	}
	h := header{line: bytes.Clone(line)}
	for i, name := range bytes.Fields(line)[1:] {
		if c, ok := tcpq.CounterNamed(group, string(name)); ok {
			h.columns = append(h.columns, column{c, i})
		}
	}
	p.headers = append(p.headers, h)
	return h.columns
}

// readColumns reads the wanted numbers of a line, in order.
func readColumns(b []byte, wanted []column, into *tcpq.Counters) error {
	for i := 0; len(wanted) > 0; i++ {
		b = bytes.TrimLeft(b, " ")
		if len(b) == 0 {
			return fmt.Errorf("%d values, need %d", i, wanted[len(wanted)-1].index+1)
		}
		field := b
		if end := bytes.IndexByte(b, ' '); end >= 0 {
			field = b[:end]
		}
		b = b[len(field):]
		if i != wanted[0].index {
			continue
		}
		n, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %.40q is not a count", wanted[0].counter, field)
		}
		into.Set(wanted[0].counter, n)
		wanted = wanted[1:]
	}
	return nil
}

// parseConntrack adds up the column "drop" of nf_conntrack: a line of names,
// then a line of hexadecimal numbers for each CPU.
func parseConntrack(_ *counterParser, b []byte, into *tcpq.Counters) error {
	names, b, _ := bytes.Cut(b, []byte{'\n'})
	at, i := -1, 0
	for name := range bytes.FieldsSeq(names) {
		if string(name) == "drop" {
			at = i
		}
		i++
	}
	if at < 0 {
		return fmt.Errorf("no column %q", "drop")
	}
	return sumHex(b, at, tcpq.ConntrackDrop, into)
}

// parseSoftnet adds up the second column of softnet_stat, a line for each CPU.
func parseSoftnet(_ *counterParser, b []byte, into *tcpq.Counters) error {
	return sumHex(b, 1, tcpq.SoftnetDropped, into)
}

// sumHex adds up one column of hexadecimal numbers.
func sumHex(b []byte, at int, c tcpq.Counter, into *tcpq.Counters) error {
	var sum uint64
	for line := range bytes.Lines(b) {
		i := 0
		for field := range bytes.FieldsSeq(line) {
			if i++; i <= at {
				continue
			}
			n, err := strconv.ParseUint(string(field), 16, 64)
			if err != nil {
				return fmt.Errorf("%.40q is not a hexadecimal count", field)
			}
			sum += n
			break
		}
		if i <= at {
			return fmt.Errorf("%d columns, need %d", i, at+1)
		}
	}
	into.Set(c, sum)
	return nil
}
