// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
)

func TestUsageErrorsSayWhatIsWanted(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown format", []string{"inspect", "-o", "xml"}, "want table, wide, json or yaml"},
		{"an unknown order", []string{"inspect", "--sort", "colour"}, "want netns, loss"},
		{"an unknown SYN mode", []string{"inspect", "--syn", "often"}, "want"},
		{"a negative time", []string{"inspect", "--for", "-1s"}, "cannot be negative"},
		{"an empty namespace", []string{"inspect", "--netns", ""}, "an inode number, a path or a name"},
		{"two namespaces at once", []string{"inspect", "--netns", "host", "--pid", "1"}, "exclude each other"},
		{"no namespace", []string{"inspect", "--netns", "0"}, "there is none"},
		{"no process", []string{"inspect", "--pid", "0"}, "there is none"},
		{"no port", []string{"inspect", "--port", "0"}, "there is none"},
		{"a recording searched deeper", []string{"inspect", "--host", "x", "--deep"}, "no use with it"},
		{"an unknown flag", []string{"inspect", "--nonsense"}, "unknown flag"},
		{"a port out of range", []string{"inspect", "--port", "70000"}, "invalid argument"},
		{"a pod without a name", []string{"inspect", "--pod", "shop/"}, "NAMESPACE/NAME"},
		{"an argument where none belongs", []string{"inspect", "everything"}, "everything"},
		{"a command misspelt", []string{"inspekt"}, "did you mean inspect?"},
		{"an unknown command", []string{"everything"}, "try qtune --help"},
		{"an unknown log level", []string{"version", "--log-level", "loud"}, "want debug, info, warn or error"},
		{"an unknown log format", []string{"version", "--log-format", "xml"}, "want text or json"},
		{"a recording without a folder", []string{"record"}, "the folder to write"},
		{"a selftest in an unknown format", []string{"selftest", "-o", "xml"}, "want table, wide, json or yaml"},
		{"a selftest of a recording", []string{"selftest", "--host", "y"}, "no use here"},
		{"a plan in an unknown format", []string{"plan", "-o", "table"}, "want text, json or yaml"},
		{"a plan of a key that is not ours", []string{"plan", "vm.swappiness=1"}, "sysctl(8) sets any other"},
		{"a plan of a policy and of a value", []string{"plan", "-f", "x", "net.core.somaxconn=1"}, "exclude each other"},
		{"a tuner with nothing to do", []string{"agent", "--mode", "advise", "--tuner", "/run/x"}, "changes nothing"},
		{"a plan by another host's agent", []string{"plan", "--agent", "http://web7:9794"}, "this host"},
		{"a recording that would be changed", []string{"apply", "--yes", "--host", "x"}, "cannot be changed"},
		{"a recording that would be rolled back", []string{"rollback", "--host", "x"}, "no transaction is of one"},
		{"a question that nobody can answer", []string{"apply"}, "nobody can be asked here"},
		{"a trial and none", []string{"apply", "--yes", "--no-trial", "--confirm-within", "5m"}, "exclude each other"},
		{"a trial without time", []string{"apply", "--yes", "--confirm-within", "0s"}, "want 1s to 24h"},
		{"a trial without end", []string{"apply", "--yes", "--confirm-within", "240h"}, "want 1s to 24h"},
		{"a shadow of nothing", []string{"apply", "--yes", "--shadowed-ok"}, "--persist"},
		{"a plan that there is not", []string{"apply", "--yes", "../../go.mod"}, "read plan"},
		{"two transactions at once", []string{"confirm", "1", "2"}, "one transaction, or none"},
		{"what cannot be recovered", []string{"recover", "01"}, "takes no argument"},
		{"a recording of a recording", []string{"record", "x", "--host", "y"}, "no use here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := execute(t, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("qtune %v: %v, want an error with %q", tt.args, err, tt.want)
			}
			if code := exitCode(err); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
		})
	}
}

// TestPartsOfARecording looks at parts of recorded hosts.
func TestPartsOfARecording(t *testing.T) {
	const pods = "../../test/hosts/pods"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"by a process that holds a listener", []string{"--pid", "11"}, "kubelet[11]"},
		{"by the name of a namespace", []string{"--netns", "cni-shop"}, "gunicorn"},
		{"by the name of a pod", []string{"--pod", "monitoring/metrics-0"}, "metrics-server"},
		{"by what there is not", []string{"--port", "9999"}, "No listener matches"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := execute(t, append([]string{"inspect", "--host", pods}, tt.args...)...)
			if err != nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("inspect %v: %v, want %q in\n%s", tt.args, err, tt.want, out)
			}
		})
	}
	if _, err := execute(t, "inspect", "--host", pods, "--netns", "nonsense"); err == nil || !strings.Contains(err.Error(), "no network namespace is named") {
		t.Errorf("a namespace that there is not: %v", err)
	}
}

func TestNoRecordingIsAClearError(t *testing.T) {
	_, err := execute(t, "inspect", "--host", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "not a recording") || exitCode(err) != exitError {
		t.Errorf("inspect --host EMPTY: %v (exit %d), want \"not a recording\" (exit %d)", err, exitCode(err), exitError)
	}
}

func TestRecordRefusesAFolderInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/precious", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := execute(t, "record", dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("record into a folder in use: %v, want \"not empty\"", err)
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--help"}, {"inspect", "--help"}, {"record", "--help"}, {"selftest", "--help"}, {"plan", "--help"}, {"apply", "--help"}, {"rollback", "--help"}, {"completion", "bash"}} {
		out, err := execute(t, args...)
		if err != nil || len(out) == 0 {
			t.Errorf("qtune %v: %d bytes, %v", args, len(out), err)
		}
	}
}

func TestFilters(t *testing.T) {
	cart := inspection.Listener{Netns: 7, Port: 80, Owner: &inspection.Owner{
		PIDs:      []int{40, 41},
		Container: &inspection.Container{ID: "abcdef0123", Name: "web"},
		Pod:       &inspection.Pod{Namespace: "shop", Name: "cart-0", UID: "1-2-3", Container: "web"},
	}}
	nobody := inspection.Listener{Netns: 8, Port: 443}
	tests := []struct {
		name string
		f    filter
		want int // of the two
	}{
		{"nothing asked for is everything", filter{}, 2},
		{"by port", filter{Port: 443}, 1},
		{"by any process that holds it", filter{PID: 41}, 1},
		{"by the start of a container id", filter{Container: "abc"}, 1},
		{"by the name of a container", filter{Container: "web"}, 1},
		{"by the name of a pod", filter{Pod: "shop/cart-0"}, 1},
		{"by the uid of a pod", filter{Pod: "1-2-3"}, 1},
		{"a pod of that name elsewhere", filter{Pod: "prod/cart-0"}, 0},
		{"all that was asked for together", filter{Pod: "shop/cart-0", Port: 443}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := inspection.Inspection{
				Listeners:  []inspection.Listener{cart, nobody},
				Namespaces: []inspection.Namespace{{Inode: 7}, {Inode: 8}},
			}
			out := tt.f.of(&in)
			if len(out.Listeners) != tt.want || len(out.Namespaces) != tt.want {
				t.Errorf("%+v leaves %d listeners in %d namespaces, want %d", tt.f, len(out.Listeners), len(out.Namespaces), tt.want)
			}
			if len(in.Listeners) != 2 || len(in.Namespaces) != 2 || in.Listeners[0].Port != 80 {
				t.Errorf("%+v changed the inspection itself: %+v", tt.f, in)
			}
		})
	}
}

func TestSortPutsTheWorstFirst(t *testing.T) {
	syn := func(n uint32) *uint32 { return &n }
	quiet := inspection.Listener{Netns: 1, Port: 1, Owner: &inspection.Owner{PID: 1, Comm: "a"}}
	worst := inspection.Listener{
		Netns: 2, Port: 2, Refused: &inspection.Refused{Max: 3},
		AcceptQueue: inspection.AcceptQueue{Length: 5, Capacity: 6},
		SynQueue:    inspection.SynQueue{Length: syn(4)},
		Discards:    inspection.Discards{Total: syn(9)},
		Owner:       &inspection.Owner{PID: 2, Comm: "b"},
	}
	quiet.AcceptQueue.Capacity = 129
	for order, first := range map[string]uint16{"netns": 1, "port": 1, "owner": 1, "loss": 2, "accept": 2, "syn": 2, "discards": 2} {
		all := []inspection.Listener{quiet, worst}
		sortListeners(all, listenerOrders[order])
		if all[0].Port != first {
			t.Errorf("--sort %s puts %d first, want %d", order, all[0].Port, first)
		}
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	in := &inspection.Inspection{
		Host:       inspection.Host{Name: "web7", Kernel: "6.18.0"},
		Namespaces: []inspection.Namespace{{Inode: 4026532001, Name: "cni-0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e"}},
		Listeners: []inspection.Listener{{
			Netns: 4026532001, Address: "2001:db8:1111:2222:3333:4444:5555:6666", Family: "ipv6", Port: 8443,
			Owner: &inspection.Owner{PID: 31337, Comm: "日本語のサーバー", Pod: &inspection.Pod{Namespace: "production", Name: "checkout-7d9f8b6c5d-x2x4z"}},
		}},
	}
	for _, width := range []int{70, 80, 100, 132} {
		var b strings.Builder
		if err := writeTable(&b, in, tableStyle{Width: width}); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(b.String(), "\n") {
			if textWidth(line) > width {
				t.Errorf("width %d: line %d has %d columns: %s", width, i, textWidth(line), line)
			}
		}
		if !strings.Contains(b.String(), ":8443") {
			t.Errorf("width %d: the port was cut off:\n%s", width, b.String())
		}
	}
	var b strings.Builder
	if err := writeTable(&b, in, tableStyle{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "checkout-7d9f8b6c5d-x2x4z 日本語のサーバー[31337]") {
		t.Errorf("no terminal, and yet a cell was cut:\n%s", b.String())
	}
}
