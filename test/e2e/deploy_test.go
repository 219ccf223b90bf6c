// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// agentPort is where an agent serves.
const agentPort = 9794

// checkServes checks that an agent tells of a listener in another container, and
// that a queue which overflows there is seen.
func (e *engine) checkServes(agent string, server neighbour) {
	e.t.Helper()
	in := e.inspection(agent)
	l, ok := server.in(in)
	if !ok {
		e.t.Fatalf("the listener of another container is not among %d listeners of %d namespaces; errors %v, not searched %q",
			len(in.Listeners), len(in.Namespaces), in.Errors, in.Coverage.NotSearched)
	}
	if l.Owner.Container == nil || l.Owner.Container.ID != server.id || l.Owner.PID == 0 {
		e.t.Errorf("owner = %+v, want a process of container %s", l.Owner, server.id)
	}
	container := server.id[:12]
	if l.Owner.Pod != nil {
		container = l.Owner.Pod.Container
	}
	// Labels stand in the order of their names.
	netns := fmt.Sprintf(`netns="%d"`, server.netns)
	e.wantMetric(agent, `qtune_listener_info\{[^}]*container="`+container+`"[^}]*`+netns)
	e.wantMetric(agent, `qtune_listener_accept_queue_limit\{[^}]*`+netns+`[^}]*\} 7\n`)

	e.docker("pause", server.id)
	defer e.docker("unpause", server.id)
	e.ns.Connect(netip.MustParseAddrPort(e.address(server.id, port)), 8)
	defer e.ns.CloseClients()
	e.wantMetric(agent, `qtune_listener_accept_queue_length\{[^}]*`+netns+`[^}]*\} 8\n`)
}

// wantMetric waits until an agent serves a line.
func (e *engine) wantMetric(agent, pattern string) {
	e.t.Helper()
	line := regexp.MustCompile(pattern)
	var status int
	var body []byte
	if !lab.Within(patience, func() bool {
		status, body = e.get(agent, "/metrics")
		return status == http.StatusOK && line.Match(body)
	}) {
		family, _, _ := strings.Cut(pattern, `\{`)
		e.t.Errorf("no line of /metrics (status %d, %d bytes) matches %s; those of its metric: %q", status, len(body), pattern, regexp.MustCompile(family+".*").FindAllString(string(body), -1))
	}
}

// TestDaemonSet runs the DaemonSet's container as its manifest asks for it.
func TestDaemonSet(t *testing.T) {
	e := startEngine(t)
	const uid = "0d3b0f6e-2c51-4e8b-9d53-6a1d0c0f5e11"
	server := e.serve("--cgroup-parent", "/kubepods/besteffort/pod"+uid)
	e.kubelet("shop", "cart-0", uid, "gunicorn", server.id)
	c := readDaemonSet(t)
	id := e.docker(c.run("")...)
	agent := e.address(id, agentPort)
	e.waitReady(id, agent)
	l, _ := server.in(e.inspection(agent))
	if l.Owner == nil || l.Owner.Pod == nil || l.Owner.Pod.Namespace != "shop" || l.Owner.Pod.Name != "cart-0" || l.Owner.Pod.Container != "gunicorn" {
		t.Errorf("owner = %+v, want pod shop/cart-0, container gunicorn", l.Owner)
	}
	e.wantMetric(agent, `qtune_listener_accept_queue_limit\{.*namespace="shop",.*pod="cart-0".*\} 7\n`)
	e.checkServes(agent, server)
}

// kubelet makes the folders that a kubelet makes for the logs of a pod.
func (e *engine) kubelet(namespace, name, uid, container, id string) {
	e.t.Helper()
	logs := e.root() + "/var/log"
	folder := filepath.Join(logs, "pods", namespace+"_"+name+"_"+uid, container)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		e.t.Fatal(err)
	}
	link := filepath.Join(logs, "containers", name+"_"+namespace+"_"+container+"-"+id+".log")
	if err := os.Symlink("../pods", link); err != nil {
		e.t.Fatal(err)
	}
}

// TestOtherManifests runs the containers of the other manifests.
func TestOtherManifests(t *testing.T) {
	tests := []struct {
		name  string
		start func(*engine) (id string)
	}{
		{"docker run as Marathon asks for it", func(e *engine) string { return e.docker(readMarathon(e.t).run("")...) }},
		{"the stack on a node of Swarm", (*engine).deployStack},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEngine(t)
			server := e.serve()
			id := tt.start(e)
			agent := fmt.Sprintf("127.0.0.1:%d", agentPort) // in the engine's network
			e.waitReady(id, agent)
			e.checkServes(agent, server)
		})
	}
}

// deployStack makes the engine a Swarm of one node and deploys the stack there.
func (e *engine) deployStack() (id string) {
	e.t.Helper()
	e.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
	e.docker("stack", "deploy", "--resolve-image", "never", "-c", "../../deploy/swarm/stack.yml", "qtune")
	lab.Wait(e.t, "Swarm to start the agent", func() bool {
		id = e.docker("ps", "-q", "--filter", "label=com.docker.swarm.service.name=qtune_agent")
		return id != ""
	})
	return id
}

// TestOneCapabilityLess takes away each capability of the DaemonSet in turn: what
// docs/security.md says goes missing does, and the agent says which it lacks.
func TestOneCapabilityLess(t *testing.T) {
	e := startEngine(t)
	server := e.serve()
	found := func(in *inspection.Inspection) bool { _, ok := server.in(in); return ok }
	owned := func(in *inspection.Inspection) bool { l, ok := server.in(in); return ok && l.Owner.PID != 0 }
	missing := map[string]func(*inspection.Inspection) bool{
		"SYS_ADMIN": found, "SYS_PTRACE": found, "DAC_READ_SEARCH": owned,
	}
	c := readDaemonSet(t)
	if len(c.caps) != len(missing) {
		t.Errorf("the DaemonSet adds %q, and this test knows %d", c.caps, len(missing))
	}
	for _, capability := range c.caps {
		t.Run("without "+capability, func(t *testing.T) {
			id := e.docker(c.run(capability)...)
			defer e.docker("rm", "-f", id)
			agent := e.address(id, agentPort)
			e.waitReady(id, agent)
			in := e.inspection(agent)
			if missing[capability](in) {
				t.Errorf("all is there as with %s", capability)
			}
			said := fmt.Sprint(in.Errors, in.Coverage.NotSearched)
			if !strings.Contains(said, "CAP_"+capability) {
				t.Errorf("the agent does not name CAP_%s: %s", capability, said)
			}
		})
	}
	t.Run("with all of them", func(t *testing.T) {
		id := e.docker(c.run("")...)
		agent := e.address(id, agentPort)
		e.waitReady(id, agent)
		if in := e.inspection(agent); !owned(in) {
			t.Errorf("no owner of the listener; errors %v, not searched %q", in.Errors, in.Coverage.NotSearched)
		}
	})
}

// TestPrivateMounts runs the DaemonSet's container with mounts that do not follow
// the host's: it works, and is not ready.
func TestPrivateMounts(t *testing.T) {
	e := startEngine(t)
	c := readDaemonSet(t)
	for i, flag := range c.flags {
		c.flags[i] = strings.ReplaceAll(flag, propagations["HostToContainer"], propagations[""])
	}
	agent := e.address(e.docker(c.run("")...), agentPort)
	var status int
	var said []byte
	if !lab.Within(patience, func() bool {
		status, said = e.get(agent, "/-/ready")
		return status == http.StatusServiceUnavailable && strings.Contains(string(said), "mountPropagation: HostToContainer")
	}) {
		t.Errorf("/-/ready says %d, %s; want 503 and what to do", status, said)
	}
	if status, said := e.get(agent, "/-/healthy"); status != http.StatusOK {
		t.Errorf("/-/healthy says %d, %s; want 200", status, said)
	}
}
