// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// explain runs the command and returns what it says in JSON.
func explain(t *testing.T, args ...string) inspection.Explanation {
	t.Helper()
	out, err := execute(t, append([]string{"explain", "-o", "json"}, args...)...)
	if err != nil {
		t.Fatalf("explain %v: %v", args, err)
	}
	var e inspection.Explanation
	if err := json.Unmarshal(out, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestExplainAgreesWithKernels holds every number that was seen on 6.18.44,
// 6.1.170 and 5.10.223.
func TestExplainAgreesWithKernels(t *testing.T) {
	kernels := []string{"6.18.44", "6.1.170", "5.10.223"}
	accept := []struct {
		backlog, somaxconn int
		syncookies         int
		want               [3]uint64 // connections established while nobody accepts
	}{
		{0, 4096, 0, [3]uint64{1, 1, 0}},
		{0, 4096, 1, [3]uint64{1, 1, 1}},
		{0, 4096, 2, [3]uint64{1, 1, 1}},
		{1, 4096, 0, [3]uint64{2, 2, 2}},
		{1, 4096, 1, [3]uint64{2, 2, 2}},
		{4, 4096, 0, [3]uint64{5, 5, 5}},
		{4, 4096, 1, [3]uint64{5, 5, 5}},
		{128, 4096, 0, [3]uint64{129, 129, 129}},
		{128, 4096, 1, [3]uint64{129, 129, 129}},
		{128, 4096, 2, [3]uint64{129, 129, 129}},
		{-1, 50, 1, [3]uint64{51, 51, 51}},
		{1000, 10, 1, [3]uint64{11, 11, 11}},
		{5, 0, 1, [3]uint64{1, 1, 1}},
	}
	for _, tt := range accept {
		for i, kernel := range kernels {
			e := explain(t, "--kernel", kernel, "--tcp-max-syn-backlog", "2048", fmt.Sprint("--backlog=", tt.backlog),
				fmt.Sprint("--somaxconn=", tt.somaxconn), fmt.Sprint("--tcp-syncookies=", tt.syncookies))
			got := e.AcceptQueue.Capacity
			if e.Unreachable {
				got = 0
			}
			if got != tt.want[i] {
				t.Errorf("%s, %+v: holds %d, want %d", kernel, tt, got, tt.want[i])
			}
		}
	}

	syn := []struct {
		backlog, maxSyn, sent int
		off, on               [3]uint32 // half-open with tcp_syncookies 0 and 1; with 2 it is none
	}{
		{0, 128, 40, [3]uint32{1, 1, 0}, [3]uint32{1, 1, 0}},
		{1, 128, 40, [3]uint32{2, 2, 1}, [3]uint32{2, 2, 1}},
		{4, 128, 40, [3]uint32{5, 5, 4}, [3]uint32{5, 5, 4}},
		{10, 128, 50, [3]uint32{11, 11, 10}, [3]uint32{11, 11, 10}},
		{128, 128, 300, [3]uint32{97, 97, 97}, [3]uint32{129, 129, 128}},
		{500, 128, 600, [3]uint32{97, 97, 97}, [3]uint32{501, 501, 500}},
		{500, 16, 100, [3]uint32{13, 13, 13}, [3]uint32{100, 100, 100}},
		{500, 5, 50, [3]uint32{5, 5, 5}, [3]uint32{50, 50, 50}},
		{500, 0, 50, [3]uint32{1, 1, 1}, [3]uint32{50, 50, 50}},
		{100, 4096, 300, [3]uint32{101, 101, 100}, [3]uint32{101, 101, 100}},
	}
	for _, tt := range syn {
		for i, kernel := range kernels {
			for cookies, want := range [3]uint32{tt.off[i], tt.on[i], 0} {
				e := explain(t, "--kernel", kernel, "--somaxconn", "4096", fmt.Sprint("--backlog=", tt.backlog),
					fmt.Sprint("--tcp-max-syn-backlog=", tt.maxSyn), fmt.Sprint("--tcp-syncookies=", cookies))
				if got := min(e.SynQueue.Limit, uint32(tt.sent)); got != want {
					t.Errorf("%s, backlog %d, tcp_max_syn_backlog %d, tcp_syncookies %d, %d SYNs: %d half-open, want %d",
						kernel, tt.backlog, tt.maxSyn, cookies, tt.sent, got, want)
				}
			}
		}
	}
}

func TestExplainUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--kernel", "banana"},
		{"--kernel", "6"},
		{"--kernel", ""},
		{"--somaxconn", "-1"},
		{"--somaxconn", "2147483648"},
		{"--backlog", "2147483648"},
		{"--backlog", "many"},
		{"--tcp-syncookies", "256"},
		{"--tcp-syncookies", "-1"},
		{"--tcp-max-syn-backlog", "3000000000"},
		{"-o", "wide"},
		{"no-such-code"},
		{"backlog-zero", "--backlog", "5"},
		{"a", "b"},
	} {
		out, err := execute(t, append([]string{"explain"}, args...)...)
		if err == nil || exitCode(err) != exitUsage || len(out) > 0 || strings.Contains(err.Error(), "\n") {
			t.Errorf("explain %v = %q, %v, want one line and exit %d", args, out, err, exitUsage)
		}
	}
}

func TestExplainScreens(t *testing.T) {
	for name, args := range map[string][]string{
		"three-quarters": {"--kernel", "6.18.44", "--backlog", "511", "--somaxconn", "4096", "--tcp-max-syn-backlog", "128", "--tcp-syncookies", "0"},
		"unreachable":    {"--kernel", "5.10.223", "--backlog", "0", "--tcp-syncookies", "0"},
		"clamped":        {"--kernel", "6.1.0-50-amd64", "--backlog", "-1"},
		"el7":            {"--kernel", "3.10.0-1160.el7.x86_64", "--backlog", "1024", "--somaxconn", "1024"},
		"16-bits":        {"--kernel", "4.0", "--backlog", "65664", "--somaxconn", "262144"},
		"recorded":       {"--host", "../../test/hosts/plain", "--backlog", "128"},
		"finding":        {"application-slow"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := execute(t, append([]string{"explain"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, "testdata/explain/"+name+".txt", out)
		})
	}
}

// TestExplainAssumesByMemory proves that tcp_max_syn_backlog, which no version
// decides alone, is said to be that of a host of some size.
func TestExplainAssumesByMemory(t *testing.T) {
	for kernel, want := range map[string]int64{"6.18.44": 2048, "5.4.273": 2048, "4.19.78": 1024, "3.10.0-1160.el7": 1024} {
		if got := explain(t, "--kernel", kernel).TCPMaxSynBacklog; got != want {
			t.Errorf("explain --kernel %s assumes tcp_max_syn_backlog %d, want %d", kernel, got, want)
		}
		out, err := execute(t, "explain", "--kernel", kernel)
		if text := strings.Join(strings.Fields(string(out)), " "); err != nil || !strings.Contains(text, "tcp_max_syn_backlog the default of that kernel on a host of 24 GiB") {
			t.Errorf("explain --kernel %s: %v, want it to say of what host it speaks:\n%s", kernel, err, out)
		}
	}
}

// TestDifferences proves that the reason why the textbook is wrong is that of the
// case.
func TestDifferences(t *testing.T) {
	const (
		asMuch = "So does the SYN queue."
		longer = "because it is full only when it is longer than its limit."
	)
	tests := []struct {
		name      string
		args      []string
		want, not string
	}{
		{"both hold one more", []string{"--kernel", "6.18.44", "--backlog", "128", "--somaxconn", "4096"}, asMuch, "step"},
		{"a SYN queue that holds as many as the textbook says", []string{"--kernel", "5.10.223", "--backlog", "128", "--somaxconn", "4096"}, longer, "SYN queue differs"},
		{"none is half-open, which is one more than a negative backlog", []string{"--kernel", "6.18.44", "--backlog=-1", "--somaxconn", "4096", "--tcp-syncookies", "2"}, "nothing is ever half-open", asMuch},
		{"a table that happens to hold one more", []string{"--kernel", "3.10.0-1160.el7", "--backlog", "15", "--somaxconn", "4096"}, "size is a power of", asMuch},
		{"three quarters that happen to be one more", []string{"--kernel", "6.18.44", "--backlog", "100", "--somaxconn", "4096", "--tcp-syncookies", "0", "--tcp-max-syn-backlog", "1"}, "last quarter of tcp_max_syn_backlog", asMuch},
		{"a clamp", []string{"--kernel", "6.18.44", "--backlog=-1", "--somaxconn", "4096"}, "because of step 1", asMuch},
	}
	for _, tt := range tests {
		out, err := execute(t, append([]string{"explain"}, tt.args...)...)
		text := strings.Join(strings.Fields(string(out)), " ")
		if err != nil || !strings.Contains(text, tt.want) || strings.Contains(text, tt.not) {
			t.Errorf("%s: explain %v: %v, want %q and not %q in\n%s", tt.name, tt.args, err, tt.want, tt.not, out)
		}
	}
}

// TestExplainEveryCode proves that there is a page for every finding.
func TestExplainEveryCode(t *testing.T) {
	for _, p := range advisor.Pages() {
		out, err := execute(t, "explain", string(p.Code))
		if err != nil || !strings.Contains(string(out), p.Avoid) {
			t.Errorf("explain %s = %q, %v, want its page", p.Code, out, err)
		}
	}
	if _, err := execute(t, "explain", "--host", "nowhere"); err == nil || errors.Is(err, errUsage) {
		t.Errorf("explain of a host that is not there: %v, want an error that is no usage error", err)
	}
}
