// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/qtune/qtune/inspection"
)

// An Agent is a `qtune agent` that was started, with a socket to ask it.
type Agent struct {
	*Run
	Socket string

	client http.Client
}

// StartAgent starts a `qtune agent` that steps five times a second and gives every
// listener of the host series of its own, and waits until it is ready.
func StartAgent(t testing.TB, args ...string) *Agent {
	t.Helper()
	return startAgent(t, nil, slices.Concat(quickly, args))
}

// quickly are the arguments of an agent that steps five times a second.
var quickly = []string{"--web.listen-address", "127.0.0.1:0", "--step", "200ms", "--cpu-budget", "50", "--max-listeners", "1000000"}

// StartAgentAs is [StartAgent] as another user, of no group and without any
// capability.
func StartAgentAs(t testing.TB, uid uint32, args ...string) *Agent {
	t.Helper()
	return startAgent(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}, slices.Concat(quickly, args))
}

// GoAgent starts a `qtune agent` with nothing but these arguments and does not wait.
func GoAgent(t testing.TB, args ...string) *Run {
	t.Helper()
	return startRun(t, nil, append([]string{Binary(t), "agent"}, args...))
}

// StartDefaultAgent is [StartAgent] with the periods and budgets that it has when it
// is told none. It serves HTTP at an address.
func StartDefaultAgent(t testing.TB, address string, args ...string) *Agent {
	t.Helper()
	return startAgent(t, nil, append([]string{"--web.listen-address", address}, args...))
}

func startAgent(t testing.TB, attr *syscall.SysProcAttr, args []string) *Agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "qtune-agent-") // t.TempDir may be too long for a socket
	must(t, "make a folder", err)
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // in the folder for temporary files
	must(t, "let every user make a socket there", os.Chmod(dir, 0o777))
	a := &Agent{Socket: filepath.Join(dir, "s")}
	a.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", a.Socket)
	}}
	t.Cleanup(a.client.CloseIdleConnections)
	a.Run = startRun(t, attr, append([]string{Binary(t), "agent", "--socket", a.Socket}, args...))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", a.Log())
		}
	})
	Wait(t, "the agent to be ready", func() bool {
		code, _ := a.Get("/-/ready")
		return code == http.StatusOK || !a.Running()
	})
	if !a.Running() {
		t.Fatalf("the agent ended: %s", a.Log())
	}
	return a
}

// Log returns what the agent has logged once it has ended.
func (a *Agent) Log() string {
	if a.Running() {
		a.Terminate()
	}
	a.Wait()
	return a.Stderr.String()
}

// Terminate sends SIGTERM.
func (r *Run) Terminate() {
	r.t.Helper()
	must(r.t, "send SIGTERM", r.cmd.Process.Signal(syscall.SIGTERM))
}

// Get asks for a path; the code is 0 when nobody answers.
func (a *Agent) Get(path string) (code int, body []byte) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://agent"+path, nil)
	must(a.t, "make a request", err)
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

// Inspection returns what the agent knows now.
func (a *Agent) Inspection() *inspection.Inspection {
	a.t.Helper()
	code, body := a.Get("/api/v1/inspection")
	if code != http.StatusOK {
		a.t.Fatalf("GET /api/v1/inspection: %d %s", code, body)
	}
	in := &inspection.Inspection{}
	must(a.t, "decode the agent's inspection", json.Unmarshal(body, in))
	return in
}

// Metrics returns what a scrape gets, by family.
func (a *Agent) Metrics() map[string]*dto.MetricFamily {
	a.t.Helper()
	code, body := a.Get("/metrics")
	if code != http.StatusOK {
		a.t.Fatalf("GET /metrics: %d %s", code, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	must(a.t, "parse the metrics", err)
	return families
}

// Metric returns the value of the series that has these labels, and whether there
// is one.
func (a *Agent) Metric(name string, labels map[string]string) (value float64, ok bool) {
	a.t.Helper()
	family := a.Metrics()[name]
	for _, m := range family.GetMetric() {
		has := map[string]string{}
		for _, l := range m.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		match := true
		for k, v := range labels {
			match = match && has[k] == v
		}
		if match {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue(), true
		}
	}
	return 0, false
}
