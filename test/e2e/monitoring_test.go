// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/lab"
)

// An alert is what Alertmanager tells of one.
type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// A webhook takes messages.
type webhook struct {
	url string

	mu     sync.Mutex // guards alerts
	alerts []alert
}

func startWebhook(t *testing.T) *webhook {
	h := &webhook{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct {
			Alerts []alert `json:"alerts"`
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Errorf("a message that is no JSON: %v", err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.alerts = append(h.alerts, message.Alerts...)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// about returns the first message about a namespace; ok is false while there is none.
func (h *webhook) about(netns string) (first alert, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.alerts, func(a alert) bool { return a.Labels["netns"] == netns })
	if i < 0 {
		return alert{}, false
	}
	return h.alerts[i], true
}

// startAlertmanager starts one with the shipped configuration and returns its
// address.
func startAlertmanager(t *testing.T, hook string) string {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	config := shipped(t, dir, "alertmanager.yml", map[string]string{"http://localhost:9095": hook})
	daemon(t, "prometheus-alertmanager", "--config.file="+config, "--storage.path="+dir,
		"--web.listen-address="+address, "--cluster.listen-address=")
	waitReady(t, "http://"+address)
	return address
}

// A prometheus can be asked.
type prometheus struct{ url string }

// startPrometheus starts one with the shipped configuration. Its target gets the
// labels of an agent's pod, too, as many configurations have it.
func startPrometheus(t *testing.T, agent, alertmanager string) *prometheus {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	rules, err := filepath.Abs(folder + "/rules")
	if err != nil {
		t.Fatal(err)
	}
	config := shipped(t, dir, "prometheus.yml", map[string]string{
		"../rules": rules, "localhost:9093": alertmanager, "localhost:9794": agent,
		"{instance: node-1}": "{instance: node-1, namespace: monitoring, pod: qtune-x, container: qtune}",
	})
	daemon(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	p := &prometheus{"http://" + address}
	waitReady(t, p.url)
	return p
}

// ask returns the labels of what an instant query is answered with.
func (p *prometheus) ask(t *testing.T, query string) []map[string]string {
	t.Helper()
	body, err := get(t, p.url+"/api/v1/query?query="+url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("the answer to %s: %v", query, err)
	}
	if answer.Status != "success" {
		t.Errorf("%s: %s", query, answer.Error)
	}
	var all []map[string]string
	for _, r := range answer.Data.Result {
		all = append(all, r.Metric)
	}
	return all
}

// shipped writes a configuration of the project to dir, with the addresses of this
// test in place of those of the example.
func shipped(t *testing.T, dir, name string, instead map[string]string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "prometheus", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for old, with := range instead {
		if !strings.Contains(text, old) {
			t.Fatalf("%s does not say %s", name, old)
		}
		text = strings.ReplaceAll(text, old, with)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// daemon runs a program until the test is over.
func daemon(t *testing.T, argv ...string) {
	t.Helper()
	var words bytes.Buffer
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = grace
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the test's context has ended it
		cmd.Wait() //nolint:errcheck // by a signal
		if t.Failed() {
			t.Logf("%s said: %s", argv[0], words.String())
		}
	})
}

func waitReady(t *testing.T, url string) {
	t.Helper()
	if !lab.Within(patience, func() bool {
		_, err := get(t, url+"/-/ready")
		return err == nil
	}) {
		t.Fatalf("waited %v in vain for %s", patience, url)
	}
}

// get fetches a page.
func get(t *testing.T, url string) ([]byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusInternalServerError {
		err = fmt.Errorf("get %s: %s", url, answer.Status)
	}
	return body, err
}

// inode returns the inode number of the namespace, as the label has it.
func inode(ns *lab.Namespace) string { return strconv.FormatUint(ns.Inode, 10) }

// freeAddress returns an address of this host at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it returns at once
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
