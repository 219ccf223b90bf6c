// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// image is what the agent and the servers of these tests are made of.
const image = "qtune:e2e"

// isolate gives the engine mounts of its own, which its containers can follow as
// they do a host's, an empty /var/log with the folders of a kubelet, and no journal.
const isolate = `mount --make-rprivate / && mount -t proc none /proc &&
	mount -t tmpfs none /var/log && mkdir -p /var/log/pods /var/log/containers &&
	mkdir -p /run/qtune /var/lib/qtune && mount -t tmpfs none /run/qtune && mount -t tmpfs none /var/lib/qtune &&
	mount --make-rshared / && exec dockerd "$@"`

// An engine is a Docker Engine on a node of its own: its processes, its network
// and its mounts are not the host's, and end with the test.
type engine struct {
	t      *testing.T
	ns     *lab.Namespace
	cmd    *exec.Cmd // unshare, which waits for it
	socket string
}

// root returns where the node's files are seen from here.
func (e *engine) root() string {
	e.t.Helper()
	pid := strconv.Itoa(e.cmd.Process.Pid)
	child, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		e.t.Fatal(err)
	}
	return "/proc/" + strings.TrimSpace(string(child)) + "/root"
}

func startEngine(t *testing.T) *engine {
	t.Helper()
	lab.NeedRoot(t)
	dir, err := os.MkdirTemp("", "qtune-engine-") // short: containerd's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // in the folder for temporary files
	e := &engine{t: t, ns: lab.NewNamespace(t), socket: "unix://" + filepath.Join(dir, "sock")}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	//nolint:noctx // the test's context would kill it before its containers are removed
	e.cmd = exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", isolate, "dockerd", "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "-p", filepath.Join(dir, "pid"), "--log-level", "warn", "-H", e.socket)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.ns.Do(func() { err = e.cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.stop)
	if !lab.Within(patience, func() bool { return e.command(context.Background(), "version").Run() == nil }) {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("waited %v in vain for dockerd; it said: %s", patience, said)
	}
	archive := filepath.Join(dir, "image.tar")
	run(t, "../../deploy/image/archive", image, lab.Binary(t), archive)
	e.docker("load", "-q", "-i", archive)
	return e
}

// stop ends the engine; all of its node ends with it, being in its PID namespace.
func (e *engine) stop() {
	e.cmd.Process.Kill() //nolint:errcheck // it may have ended
	e.cmd.Wait()         //nolint:errcheck // it was killed
}

func (e *engine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", append([]string{"-H", e.socket}, args...)...)
	cmd.Env = append(os.Environ(), "QTUNE_IMAGE="+image)
	return cmd
}

// docker runs the client and returns the last line it wrote.
func (e *engine) docker(args ...string) string {
	e.t.Helper()
	cmd := e.command(e.t.Context(), args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, said.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// A neighbour is a listener of limit 7 on port 8080, in a container.
type neighbour struct {
	id    string
	netns uint64
}

// serve starts a server that is not root, in a container with these flags.
func (e *engine) serve(flags ...string) neighbour {
	e.t.Helper()
	args := append([]string{"run", "-d", "--user", "4321", "--tmpfs", "/run/qtune", "--sysctl", "net.core.somaxconn=7"}, flags...)
	s := neighbour{id: e.docker(append(args, image, "agent", "--web.listen-address", fmt.Sprintf("0.0.0.0:%d", port))...)}
	inode, err := lab.InodeOf(e.root() + "/proc/" + e.docker("inspect", "-f", "{{.State.Pid}}", s.id) + "/ns/net")
	if err != nil {
		e.t.Fatal(err)
	}
	s.netns = inode
	return s
}

// in finds the server's listener in what an agent knows.
func (s neighbour) in(in *inspection.Inspection) (inspection.Listener, bool) {
	i := slices.IndexFunc(in.Listeners, func(l inspection.Listener) bool { return l.Netns == s.netns && l.Port == port })
	if i < 0 {
		return inspection.Listener{}, false
	}
	return in.Listeners[i], true
}

// address returns where a container answers on a port.
func (e *engine) address(id string, port int) string {
	e.t.Helper()
	ip := e.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", id)
	return fmt.Sprintf("%s:%d", ip, port)
}

// get asks a container's agent, from the engine's namespace.
func (e *engine) get(address, path string) (status int, body []byte) {
	e.t.Helper()
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		e.ns.Do(func() { conn, err = (&net.Dialer{}).DialContext(ctx, network, address) })
		return conn, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: grace}
	request, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return answer.StatusCode, body
}

// waitReady waits until an agent has made its first step.
func (e *engine) waitReady(id, address string) {
	e.t.Helper()
	var said []byte
	if !lab.Within(patience, func() bool {
		var status int
		status, said = e.get(address, "/-/ready")
		return status == http.StatusOK
	}) {
		e.t.Fatalf("waited %v in vain for the agent to be ready: %s; it said: %s", patience, said, e.logs(id))
	}
}

// logs returns what a container wrote.
func (e *engine) logs(id string) string {
	out, _ := e.command(context.Background(), "logs", id).CombinedOutput()
	return string(out)
}

// inspection asks an agent what it knows.
func (e *engine) inspection(address string) *inspection.Inspection {
	e.t.Helper()
	status, body := e.get(address, "/api/v1/inspection")
	in := &inspection.Inspection{}
	if err := json.Unmarshal(body, in); status != http.StatusOK || err != nil {
		e.t.Fatalf("/api/v1/inspection: status %d, %v: %s", status, err, body)
	}
	return in
}

// run runs a program to its end.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
