// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/qtune/qtune/tcpq"
)

// counts makes Counters of pairs.
func counts(pairs map[tcpq.Counter]uint64) tcpq.Counters {
	var t tcpq.Counters
	for c, n := range pairs {
		t.Set(c, n)
	}
	return t
}

// known returns what is known, by name.
func known(t *tcpq.Counters) map[string]uint64 {
	m := map[string]uint64{}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		if n, ok := t.Get(c); ok {
			m[c.String()] = n
		}
	}
	return m
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestParseTableOfLinux reads what Linux 6.18.44 showed in a new namespace in
// which three connections were made, two SYNs were answered by cookie and a
// Fast Open child entered the queue.
func TestParseTableOfLinux(t *testing.T) {
	var p counterParser
	var got tcpq.Counters
	for _, name := range []string{"netstat-6.18", "snmp-6.18"} {
		if err := p.parseTable(read(t, name), &got); err != nil {
			t.Errorf("parseTable(%s) = %v", name, err)
		}
	}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		info := c.Info()
		_, ok := got.Get(c)
		if table := info.Group == "Tcp" || info.Group == "TcpExt"; ok != table {
			t.Errorf("parseTable: %s of %s is known = %t, want %t", info.Name, info.Group, ok, table)
		}
	}
	moved := map[tcpq.Counter]uint64{
		tcpq.PassiveOpens: 4, tcpq.SyncookiesSent: 2, tcpq.TCPReqQFullDoCookies: 2,
	}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		if n := got.Value(c); n != moved[c] {
			t.Errorf("parseTable: %v = %d, want %d", c, n, moved[c])
		}
	}
}

func TestParseTable(t *testing.T) {
	tests := []struct {
		name string
		text string
		want map[tcpq.Counter]uint64
		err  string // part of it, "" for none
	}{
		{"two groups", "TcpExt: ListenOverflows ListenDrops\nTcpExt: 3 5\nTcp: PassiveOpens\nTcp: 9\n", map[tcpq.Counter]uint64{tcpq.ListenOverflows: 3, tcpq.ListenDrops: 5, tcpq.PassiveOpens: 9}, ""},
		{"columns in another order", "TcpExt: ListenDrops X ListenOverflows\nTcpExt: 5 1 3\n", map[tcpq.Counter]uint64{tcpq.ListenOverflows: 3, tcpq.ListenDrops: 5}, ""},
		{"no newline at the end", "TcpExt: ListenDrops\nTcpExt: 5", map[tcpq.Counter]uint64{tcpq.ListenDrops: 5}, ""},
		{"a negative number in a column that is not wanted", "Tcp: RtoMin MaxConn PassiveOpens\nTcp: 200 -1 9\n", map[tcpq.Counter]uint64{tcpq.PassiveOpens: 9}, ""},
		{"the same name in another group is another counter", "IpExt: ListenDrops\nIpExt: 5\n", nil, ""},
		{"more values than names", "TcpExt: ListenDrops\nTcpExt: 5 6 7\n", map[tcpq.Counter]uint64{tcpq.ListenDrops: 5}, ""},
		{"the largest", "TcpExt: ListenDrops\nTcpExt: 18446744073709551615\n", map[tcpq.Counter]uint64{tcpq.ListenDrops: 1<<64 - 1}, ""},
		{"one past the largest", "TcpExt: ListenOverflows ListenDrops\nTcpExt: 3 18446744073709551616\n", map[tcpq.Counter]uint64{tcpq.ListenOverflows: 3}, "TcpExt: ListenDrops: \"18446744073709551616\" is not a count"},
		{"a negative count", "TcpExt: ListenDrops\nTcpExt: -5\n", nil, "not a count"},
		{"a word", "TcpExt: ListenDrops\nTcpExt: many\n", nil, "not a count"},
		{"a value is missing: those before it count", "TcpExt: ListenOverflows X ListenDrops\nTcpExt: 3 4\n", map[tcpq.Counter]uint64{tcpq.ListenOverflows: 3}, "TcpExt: 2 values, need 3"},
		{"all values are missing", "TcpExt: ListenDrops\nTcpExt:\n", nil, "0 values, need 1"},
		{"values that are not wanted may be missing", "TcpExt: ListenDrops X\nTcpExt: 3\n", map[tcpq.Counter]uint64{tcpq.ListenDrops: 3}, ""},
		{"the line of values is missing", "TcpExt: ListenDrops\n", nil, "is not followed by its values"},
		{"another group's values", "TcpExt: ListenDrops\nTcp: 5\nTcp: PassiveOpens\nTcp: 9\n", map[tcpq.Counter]uint64{tcpq.PassiveOpens: 9}, "is not followed by its values"},
		{"no group", "ListenDrops\n5\n", nil, "is not followed by its values"},
		{"an empty group", ":\n:\n", nil, ""},
		{"a broken group beside a good one", "TcpExt: ListenDrops\nTcpExt: x\nTcp: PassiveOpens\nTcp: 9\n", map[tcpq.Counter]uint64{tcpq.PassiveOpens: 9}, "not a count"},
		{"more spaces", "TcpExt:  ListenOverflows   ListenDrops \nTcpExt:  3   5 \n", map[tcpq.Counter]uint64{tcpq.ListenOverflows: 3, tcpq.ListenDrops: 5}, ""},
		{"nothing", "", nil, ""},
		{"an error names no more than it must", strings.Repeat("x", 100) + "\n", nil, strings.Repeat("x", 40) + "\" is not followed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p counterParser
			for _, run := range []string{"first", "with the headers remembered"} {
				var got tcpq.Counters
				err := p.parseTable([]byte(tt.text), &got)
				if want := counts(tt.want); got != want {
					t.Errorf("%s: parseTable(%q) = %v, want %v", run, tt.text, known(&got), known(&want))
				}
				if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%s: parseTable(%q) = %v, want an error with %q", run, tt.text, err, tt.err)
				}
			}
		})
	}
}

// TestParseTableOfTwoKernels proves that a parser which saw one kernel's headers
// still reads another's: names move between releases.
func TestParseTableOfTwoKernels(t *testing.T) {
	const (
		older = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 2 3\n"
		newer = "TcpExt: SyncookiesSent TCPReqQFullDrop ListenOverflows ListenDrops\nTcpExt: 4 5 6 7\n"
	)
	wants := map[string]tcpq.Counters{
		older: counts(map[tcpq.Counter]uint64{tcpq.SyncookiesSent: 1, tcpq.ListenOverflows: 2, tcpq.ListenDrops: 3}),
		newer: counts(map[tcpq.Counter]uint64{tcpq.SyncookiesSent: 4, tcpq.TCPReqQFullDrop: 5, tcpq.ListenOverflows: 6, tcpq.ListenDrops: 7}),
	}
	var p counterParser
	for _, text := range []string{older, newer, older, newer} {
		var got tcpq.Counters
		if err := p.parseTable([]byte(text), &got); err != nil || got != wants[text] {
			want := wants[text]
			t.Errorf("parseTable(%q) = %v, %v, want %v", text, known(&got), err, known(&want))
		}
	}
}

// TestParseTableKeepsNoMemory: the memory of one read is used for the next.
func TestParseTableKeepsNoMemory(t *testing.T) {
	var p counterParser
	buf := []byte("TcpExt: ListenDrops XY SyncookiesSent\nTcpExt: 1 2 3\n")
	if err := p.parseTable(buf, new(tcpq.Counters)); err != nil {
		t.Fatal(err)
	}
	copy(buf, "TcpExt: XY SyncookiesSent ListenDrops\nTcpExt: 4 5 6\n")
	var got tcpq.Counters
	want := counts(map[tcpq.Counter]uint64{tcpq.SyncookiesSent: 5, tcpq.ListenDrops: 6})
	if err := p.parseTable(buf, &got); err != nil || got != want {
		t.Errorf("parseTable(%q) = %v, %v, want %v", buf, known(&got), err, known(&want))
	}
}

// TestHeadersDoNotPileUp: the line IcmpMsg names the ICMP types a namespace has
// seen, so it differs between namespaces and whoever sends ICMP writes it.
func TestHeadersDoNotPileUp(t *testing.T) {
	var p counterParser
	for i := range 1000 {
		text := fmt.Sprintf("IcmpMsg: InType%d\nIcmpMsg: 1\nTcp: PassiveOpens\nTcp: 9\n", i)
		if err := p.parseTable([]byte(text), new(tcpq.Counters)); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.headers) > 10 {
		t.Errorf("after 1000 namespaces %d headers are remembered, want no more than the kernel has groups", len(p.headers))
	}
}

func TestParseTableAllocatesNothing(t *testing.T) {
	var p counterParser
	var into tcpq.Counters
	for _, name := range []string{"netstat-6.18", "snmp-6.18"} {
		b := read(t, name)
		if err := p.parseTable(b, &into); err != nil {
			t.Fatal(err)
		}
		allocs := testing.AllocsPerRun(100, func() {
			if err := p.parseTable(b, &into); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("parseTable(%s) again = %v allocations, want 0", name, allocs)
		}
	}
}

func TestParseConntrack(t *testing.T) {
	const names = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n"
	line := func(drop string) string {
		return strings.Repeat("00000000  ", 10) + drop + strings.Repeat("  00000007", 6) + "\n"
	}
	tests := []struct {
		name string
		text string
		want int64 // -1: unknown
		err  string
	}{
		{"the CPUs are added up", names + line("0000000a") + line("00000005"), 15, ""},
		{"early_drop and insert_failed do not count", names + line("00000000"), 0, ""},
		{"a later kernel's names", "entries clashres drop\n0 0 ff\n", 255, ""},
		{"no newline at the end", "drop\nff", 255, ""},
		{"no CPU", names, 0, ""},
		{"no such column", "entries early_drop\n0 1\n", -1, "no column"},
		{"nothing", "", -1, "no column"},
		{"a line cut off", names + line("0000000a") + "00000000  00000000\n", -1, "2 columns, need 11"},
		{"not hexadecimal", "drop\nxyz\n", -1, "not a hexadecimal count"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got tcpq.Counters
			err := parseConntrack(nil, []byte(tt.text), &got)
			n, ok := got.Get(tcpq.ConntrackDrop)
			if ok != (tt.want >= 0) || ok && n != uint64(tt.want) {
				t.Errorf("parseConntrack(%q) = %d, %t, want %d", tt.text, n, ok, tt.want)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("parseConntrack(%q) = %v, want an error with %q", tt.text, err, tt.err)
			}
		})
	}
}

func TestParseSoftnet(t *testing.T) {
	// Linux 6.18 with two CPUs; dropped is the second column.
	const text = "00000007 0000001f 00000003 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n" +
		"00004e9d 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000\n"
	tests := []struct {
		name string
		text string
		want int64 // -1: unknown
	}{
		{"the CPUs are added up", text, 32},
		{"a CPU alone", "0000ffff 00000002\n", 2},
		{"the count is not cut to 32 bits", "0 ffffffff\n0 ffffffff\n", 2 * (1<<32 - 1)},
		{"one column", "00000007\n", -1},
		{"not hexadecimal", "0 g\n", -1},
		{"an empty line", "\n", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got tcpq.Counters
			err := parseSoftnet(nil, []byte(tt.text), &got)
			n, ok := got.Get(tcpq.SoftnetDropped)
			if ok != (tt.want >= 0) || ok && n != uint64(tt.want) || ok == (err != nil) {
				t.Errorf("parseSoftnet(%q) = %d, %t, %v, want %d", tt.text, n, ok, err, tt.want)
			}
		})
	}
}

// TestCounterFiles proves that every counter of the table is read from some file.
func TestCounterFiles(t *testing.T) {
	texts := map[string]string{
		"stat/nf_conntrack": "drop\n1\n",
		"softnet_stat":      "0 1\n",
	}
	lines := map[string][2]string{}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		info := c.Info()
		l := lines[info.Group]
		lines[info.Group] = [2]string{l[0] + " " + info.Name, l[1] + " 1"}
	}
	for group, file := range map[string]string{"Tcp": "snmp", "TcpExt": "netstat"} {
		texts[file] = group + ":" + lines[group][0] + "\n" + group + ":" + lines[group][1] + "\n"
	}
	var p counterParser
	var got tcpq.Counters
	for _, f := range counterFiles {
		if err := f.parse(&p, []byte(texts[string(f.name)]), &got); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		if n, ok := got.Get(c); n != 1 || !ok {
			t.Errorf("%v = %d, %t, want 1", c, n, ok)
		}
	}
}

func FuzzCounters(f *testing.F) {
	f.Add(read(f, "netstat-6.18"), read(f, "snmp-6.18"))
	f.Add([]byte("TcpExt: ListenOverflows ListenDrops\nTcpExt: 3 5\n"), []byte("TcpExt: ListenDrops ListenOverflows\nTcpExt: 3 5\n"))
	f.Add([]byte(":\n:\n"), []byte("Tcp:\nTcp:"))
	f.Add([]byte("entries drop\n1 ff\n"), []byte("00000007 0000001f\n"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var fresh, used counterParser
		var want, got tcpq.Counters
		_ = used.parseTable(first, new(tcpq.Counters))
		wantErr := fresh.parseTable(second, &want)
		err := used.parseTable(second, &got)
		if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("parseTable(%q) after %q = %v, %v, want %v, %v", second, first, known(&got), err, known(&want), wantErr)
		}
		if err != nil && (len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Errorf("parseTable(%q) = %q, want one short line", second, err)
		}
		for _, parse := range []func(*counterParser, []byte, *tcpq.Counters) error{parseConntrack, parseSoftnet} {
			var one tcpq.Counters
			err := parse(nil, first, &one)
			if (len(known(&one)) == 1) != (err == nil) {
				t.Errorf("parse(%q) = %v, %v, want a count or an error", first, known(&one), err)
			}
			if err != nil && (len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\n\x1b")) {
				t.Errorf("parse(%q) = %q, want one short line", first, err)
			}
		}
	})
}
