// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package hosts makes the recorded hosts that lie beside it. Each is a small
// host of its own (processes, mounts, network and name apart from this machine's)
// on which the real `qtune record` runs.
//
// Without flags the set-ups are recorded in a folder for temporary files, and
// what inspect shows of the recording is compared with what it shows of the host
// itself. To write the folders here anew, as root:
//
//	go test ./test/hosts -count=1 -record
//	go test ./cmd/qtune -run TestReplay -update
package hosts

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

var rewrite = flag.Bool("record", false, "write the recorded hosts beside this file anew")

// setUpVariable tells a process that it is process 1 of a host to record, and
// into which folder.
const setUpVariable = "QTUNE_SET_UP"

func TestMain(m *testing.M) { lab.Main(m) }

// TestKernelRecord records every set-up.
func TestKernelRecord(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ip")
	binary := lab.Binary(t)
	for name, s := range setUps {
		t.Run(name, func(t *testing.T) {
			if s.mptcp {
				lab.NeedMPTCP(t)
			}
			dir := filepath.Join(t.TempDir(), name)
			if *rewrite {
				dir = name
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			full, err := filepath.Abs(dir)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestKernelSetUp$/^"+name+"$", "-test.v")
			cmd.Env = append(os.Environ(), setUpVariable+"="+full, "QTUNE_BINARY="+binary)
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS,
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("set-up: %v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(full, "meta.json")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestKernelSetUp is process 1 of the host to record.
func TestKernelSetUp(t *testing.T) {
	dir := os.Getenv(setUpVariable)
	if dir == "" {
		t.Skip("run by TestKernelRecord, on a host of its own")
	}
	for name, s := range setUps {
		t.Run(name, func(t *testing.T) {
			beAHost(t, name)
			h := &hostInTheMaking{T: t, host: lab.NamespaceOf(t, os.Getpid())}
			h.host.Run("ip", "link", "set", "lo", "up")
			s.build(h)
			if s.span == 0 {
				h.compare()
			}
			h.record(dir, s)
		})
	}
}

// beAHost gives this process a /proc, a name and folders that only it sees.
func beAHost(t *testing.T, name string) {
	t.Helper()
	for _, err := range []error{
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", 0, ""),
		unix.Mount("programs", "/usr/local/bin", "tmpfs", 0, ""),
		unix.Mount("netns", "/mnt", "tmpfs", 0, ""),
		unix.Mount("log", "/var/log", "tmpfs", 0, ""),
		unix.Sethostname([]byte(name)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("nsfs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts { // of this machine
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}

// A hostInTheMaking is a host while its set-up is built.
type hostInTheMaking struct {
	*testing.T
	host *lab.Namespace
	busy []func() // what goes on while it is recorded
}

// start starts a server under the name of a real one.
func (h *hostInTheMaking) start(ns *lab.Namespace, program string, p lab.Process) *lab.Child {
	h.Helper()
	var c *lab.Child
	p.Comm = []byte(program)
	ns.Do(func() { c = lab.StartAs(h.T, "/usr/local/bin/"+program, p) })
	return c
}

// named makes a network namespace with a name, as ip-netns(8) does.
func (h *hostInTheMaking) named(name string) *lab.Namespace {
	h.Helper()
	ns := lab.NewNamespace(h.T)
	ns.Mount("/mnt/" + name)
	return ns
}

// while does something over and over while the host is recorded.
func (h *hostInTheMaking) while(f func()) { h.busy = append(h.busy, f) }

// record runs qtune record, and what is to happen meanwhile.
func (h *hostInTheMaking) record(dir string, s setUp) {
	h.Helper()
	args := append([]string{"record", dir, "--syn", "all", "--for", s.span.String()}, s.args...)
	cmd := exec.CommandContext(h.Context(), lab.Binary(h.T), args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				h.Fatalf("qtune %v: %v", args, err)
			}
			thin(h.T, dir)
			forgetOuterCgroups(h.T, dir)
			return
		case <-tick.C:
			for _, f := range h.busy {
				f()
			}
		}
	}
}

// keptSteps is how many steps of a recording are kept, from the first to the
// last: a window of two slots shows as much as one of ten.
const keptSteps = 3

func thin(t *testing.T, dir string) {
	t.Helper()
	steps, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9]"))
	if err != nil {
		t.Fatal(err)
	}
	keep := map[int]bool{}
	for i := range keptSteps {
		keep[i*(len(steps)-1)/(keptSteps-1)] = true
	}
	for i, step := range steps {
		if !keep[i] {
			if err := os.RemoveAll(step); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// forgetOuterCgroups leaves of the processes' cgroups those the set-up made, which
// are v2: where this machine itself runs is nobody's business.
func forgetOuterCgroups(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "proc", "*", "cgroup"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, v2, _ := strings.Cut("\n"+string(content), "\n0::")
		if err := os.WriteFile(file, []byte("0::"+v2), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// compare records the quiet host once and checks that inspect shows the same of
// the recording as of the host itself.
func (h *hostInTheMaking) compare() {
	h.Helper()
	once := filepath.Join(h.TempDir(), "once")
	if out, err := exec.CommandContext(h.Context(), lab.Binary(h.T), "record", once, "--syn", "all", "--for", "0").CombinedOutput(); err != nil {
		h.Fatalf("qtune record: %v: %s", err, out)
	}
	live := lab.Inspect(h.T, "--syn", "all", "--for", "0")
	replayed := lab.Inspect(h.T, "--syn", "all", "--for", "0", "--host", once)
	if diff := cmp.Diff(steady(h.T, live), steady(h.T, replayed)); diff != "" {
		h.Errorf("inspect of the host and of its recording differ (-host +recording):\n%s", diff)
	}
}

// steady returns an inspection without what changes from one reading to the next.
func steady(t *testing.T, in *inspection.Inspection) string {
	t.Helper()
	in.Time = time.Time{}
	for i := range in.Namespaces {
		in.Namespaces[i].Counters = nil
	}
	b, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A setUp is a host to record.
type setUp struct {
	build func(*hostInTheMaking)
	span  time.Duration // of the recording; 0 for one snapshot
	args  []string      // for qtune record
	mptcp bool          // it has MPTCP listeners, which Linux 5.10 knows not of
}

var setUps = map[string]setUp{
	"plain":     {build: plain},
	"pods":      {build: pods, span: time.Second, mptcp: true},
	"redacted":  {build: pods, span: time.Second, args: []string{"--redact"}, mptcp: true},
	"reuseport": {build: reuseport, span: time.Second},
	"mptcp":     {build: mptcp, mptcp: true},
	"half-open": {build: halfOpen},
	"scanned":   {build: scanned, span: time.Second},
	"hostile":   {build: hostile},
}

// plain is a host without containers: a few servers at their defaults.
func plain(h *hostInTheMaking) {
	for _, unit := range []string{"ssh", "nginx", "redis-server", "postgresql"} {
		lab.NewCgroup(h.T, "system.slice/"+unit+".service")
	}
	h.start(h.host, "sshd", lab.Process{Cgroup: "system.slice/ssh.service", Listen: []lab.Socket{
		{Addr: "0.0.0.0", Port: 22, Backlog: 128},
		{Addr: "::", Port: 22, Backlog: 128, V6Only: true},
	}})
	h.start(h.host, "nginx", lab.Process{Cgroup: "system.slice/nginx.service", Listen: []lab.Socket{
		{Addr: "0.0.0.0", Port: 80, Backlog: 511},
		{Addr: "::", Port: 443, Backlog: 511},
	}})
	h.start(h.host, "redis-server", lab.Process{Cgroup: "system.slice/redis-server.service", UID: 106, Listen: []lab.Socket{
		{Addr: "127.0.0.1", Port: 6379, Backlog: 511},
	}})
	h.start(h.host, "postgres", lab.Process{Cgroup: "system.slice/postgresql.service", UID: 107, Listen: []lab.Socket{
		{Addr: "127.0.0.1", Port: 5432, Backlog: 200},
		{Addr: "::1", Port: 5432, Backlog: 200},
	}})
	h.host.Connect(addrPort("127.0.0.1:6379"), 3)
}

// The pods' ids, as a container runtime makes them.
const (
	cartID     = "4f1c9d3e7b2a8f60c5d4e3b2a1908f7e6d5c4b3a29181706f5e4d3c2b1a09f8e"
	cartUID    = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
	metricsID  = "9e8d7c6b5a49382716f5e4d3c2b1a0f9e8d7c6b5a49382716f5e4d3c2b1a0f90"
	metricsUID = "f9e8d7c6-b5a4-4938-2716-05f4e3d2c1b0"
)

// pods is a Kubernetes node: a pod whose queue overflows, one that is quiet, and
// a server on the node itself that nobody connects to.
func pods(h *hostInTheMaking) {
	cart := "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9.slice/cri-containerd-" + cartID + ".scope"
	metrics := "kubepods.slice/kubepods-podf9e8d7c6_b5a4_4938_2716_05f4e3d2c1b0.slice/cri-containerd-" + metricsID + ".scope"
	for _, path := range []string{cart, metrics, "system.slice/kubelet.service"} {
		lab.NewCgroup(h.T, path)
	}
	for _, path := range []string{
		"/var/log/pods/shop_cart-7d9f8b6c5d-x2x4z_" + cartUID + "/web",
		"/var/log/pods/monitoring_metrics-0_" + metricsUID + "/server",
		"/var/log/containers",
	} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			h.Fatal(err)
		}
	}
	h.start(h.host, "kubelet", lab.Process{Cgroup: "system.slice/kubelet.service", Listen: []lab.Socket{
		{Addr: "127.0.0.1", Port: 10248, Backlog: 4096, MPTCP: true},
		{Addr: "::", Port: 10250, Backlog: 4096, MPTCP: true},
	}})
	shop := h.named("cni-shop")
	h.start(shop, "gunicorn", lab.Process{Cgroup: cart, Listen: []lab.Socket{{Addr: "0.0.0.0", Port: 8000, Backlog: 8}}})
	monitoring := h.named("cni-monitoring")
	h.start(monitoring, "metrics-server", lab.Process{Cgroup: metrics, Listen: []lab.Socket{
		{Addr: "::", Port: 9100, Backlog: 4096, MPTCP: true},
	}})
	shop.Connect(addrPort("127.0.0.1:8000"), 20)
	h.while(func() { shop.Connect(addrPort("127.0.0.1:8000"), 1) })
}

// reuseport is a server of four processes, of which some overflow.
func reuseport(h *hostInTheMaking) {
	for range 4 {
		h.start(h.host, "envoy", lab.Process{Listen: []lab.Socket{{Addr: "0.0.0.0", Port: 8443, Backlog: 4, ReusePort: true}}})
	}
	h.host.Connect(addrPort("127.0.0.1:8443"), 16)
	h.while(func() { h.host.Connect(addrPort("127.0.0.1:8443"), 1) })
}

// mptcp is a server of Go's defaults beside a plain one.
func mptcp(h *hostInTheMaking) {
	h.start(h.host, "caddy", lab.Process{Listen: []lab.Socket{
		{Addr: "0.0.0.0", Port: 80, Backlog: 16, MPTCP: true},
		{Addr: "::", Port: 443, Backlog: 16, MPTCP: true},
		{Addr: "127.0.0.1", Port: 2019, Backlog: 16},
	}})
	h.host.Connect(addrPort("127.0.0.1:80"), 5)
	h.host.Connect(addrPort("[::1]:443"), 2)
}

// halfOpen is a dual-stack server with peers of both families that never finish
// their handshake, beside one of IPv4 alone on the same port of one address.
func halfOpen(h *hostInTheMaking) {
	w := h.host.NewWire("eth0")
	h.start(h.host, "haproxy", lab.Process{Listen: []lab.Socket{
		{Addr: "::", Port: 443, Backlog: 64},
		{Addr: "192.0.2.2", Port: 8443, Backlog: 64, ReusePort: true}, // without it the next cannot be bound
		{Addr: "::", Port: 8443, Backlog: 64, ReusePort: true},
		{Addr: "0.0.0.0", Port: 9443, Backlog: 64, Device: "eth0"},
		{Addr: "0.0.0.0", Port: 9443, Backlog: 64, Device: "lo"},
	}})
	w.Send(addrPort("192.0.2.1:443"), lab.SYN, 7)
	w.Send(addrPort("[fd00:2::1]:443"), lab.SYN, 4)
	w.Send(addrPort("192.0.2.2:8443"), lab.SYN, 3)
	w.Send(addrPort("192.0.2.1:8443"), lab.SYN, 2)
	w.Send(addrPort("192.0.2.1:9443"), lab.SYN, 6)
	lab.Wait(h.T, "22 half-open peers", func() bool { return h.host.HalfOpen() == 22 })
}

// scanned is a victim that overflows beside an innocent that is only scanned.
func scanned(h *hostInTheMaking) {
	w := h.host.NewWire("eth0")
	h.start(h.host, "redis-server", lab.Process{Listen: []lab.Socket{{Addr: "0.0.0.0", Port: 6379, Backlog: 511}}})
	h.start(h.host, "uwsgi", lab.Process{Listen: []lab.Socket{{Addr: "0.0.0.0", Port: 3031, Backlog: 4}}})
	h.host.Connect(addrPort("127.0.0.1:3031"), 10)
	h.while(func() {
		w.HealthCheck(addrPort("192.0.2.1:6379"), 2)
		h.host.Connect(addrPort("127.0.0.1:3031"), 1)
	})
}

// hostile has names that want to harm who reads them.
func hostile(h *hostInTheMaking) {
	for i, comm := range []string{"two\nlines", "\x1b[31mred\x1b[0m", "\xff\xfe bytes", "\u202egnp.exe", "a b) S 1 (c"} {
		lab.Start(h.T, lab.Process{Comm: []byte(comm), Listen: []lab.Socket{{Addr: "127.0.0.1", Port: uint16(7001 + i), Backlog: 10}}})
	}
	bad := h.named("\x1b]0;title\a\nname")
	bad.Start(lab.Process{Comm: []byte("plain"), Listen: []lab.Socket{{Addr: "::1", Port: 80, Backlog: 10}}})
	lab.StartAs(h.T, fmt.Sprintf("/usr/local/bin/%s", "exe\twith\x1b[2Jtricks"), lab.Process{Listen: []lab.Socket{{Addr: "127.0.0.1", Port: 7010, Backlog: 10}}})
}
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
