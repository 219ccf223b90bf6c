// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A place is where a cgroup path says a process lives.
//
// It is a hint for people, not a proof: below a delegated cgroup, which a
// container or a user may own, the names are its own choice.
type place struct {
	unit      string // systemd unit: "nginx.service"; "" when unknown
	runtime   string // docker, containerd, cri-o, podman, ...; "" when there is no container or the path does not name it
	container string // full id or name of the container, spelled as in the path; "" when there is none
	podUID    string // with dashes; a static pod's 32 hex digits as they are; "" when there is none
}

// A cgroupShape is one way a container shows in a cgroup path. A row whose path
// has no <id>, <name>, <guid> or <task> is no container, though a later row fits.
type cgroupShape struct {
	path    string // the last folders down to the container's; the placeholders are those of cgroupPlaceholders
	runtime string
	service bool   // the unit around the container, or of that name, runs nothing but this container
	note    string // where the shape comes from

	re      *regexp.Regexp // path, compiled
	folders int            // how many of them path has
}

// cgroupShapes knows the runtimes. The first row that fits a folder wins. Their
// monitors (crio-conmon-, libpod-conmon-, lxc.monitor) fit none: they run outside.
var cgroupShapes = []cgroupShape{
	{path: "docker-<id>.scope", runtime: "docker", note: "systemd driver, in system.slice, kubepods or the --cgroup-parent slice"},
	{path: "*:docker:<id>", runtime: "docker", note: "systemd path given to a runtime with the cgroupfs driver; BuildKit's steps look alike but have no hex id"},
	{path: "docker/<id>", runtime: "docker", note: "cgroupfs driver"},
	{path: "ecs/*/<id>", runtime: "docker", note: "ECS task limits on cgroup v1: the task is Docker's cgroup parent"},
	{path: "ecs/*/*/<id>", runtime: "docker", note: "the same with the cluster's name, since the long ARNs"},
	{path: "ecs/<task>", runtime: "containerd", note: "Fargate 1.4"},
	{path: "ecs/*/<task>", runtime: "containerd", note: "Fargate 1.4, controllers other than name=systemd"},
	{path: "cri-containerd-<id>.scope", runtime: "containerd", note: "CRI, systemd driver"},
	{path: "*:cri-containerd:<id>", runtime: "containerd", note: "CRI with a .slice parent but SystemdCgroup unset: falcosecurity/libs#63"},
	{path: "k8s.io/<id>", runtime: "containerd", note: "containerd's namespace for CRI, when the pod has no cgroup parent"},
	{path: "default/<id>", runtime: "containerd", note: "containerd's default namespace: ctr, nerdctl with the cgroupfs driver"},
	{path: "nerdctl-<id>.scope", runtime: "containerd", note: "nerdctl, systemd driver"},
	{path: "*:nerdctl:<id>", runtime: "containerd", note: "nerdctl, drivers mixed up"},
	{path: "crio-<id>.scope", runtime: "cri-o", note: "systemd driver"},
	{path: "crio-<id>", runtime: "cri-o", note: "cgroupfs driver, in kubepods or /crio: cri-o#812"},
	{path: "crio/<id>", runtime: "cri-o", note: "cgroupfs driver before cri-o#812"},
	{path: "*:crio:<id>", runtime: "cri-o", note: "drivers mixed up"},
	{path: "libpod-<id>.scope", runtime: "podman", note: "systemd driver; crun puts the processes in a folder container below"},
	{path: "libpod-<id>", runtime: "podman", note: "cgroupfs driver, in /libpod_parent"},
	{path: "libpod-payload-<id>", runtime: "podman", service: true, note: "--cgroups=split, which Quadlet uses"},
	{path: "*:libpod:<id>", runtime: "podman", note: "drivers mixed up"},
	{path: "runc-<name>.scope", runtime: "runc", note: "runc --systemd-cgroup by itself: runc, docs/cgroup-v2.md"},
	{path: "garden/<guid>", runtime: "garden", note: "Cloud Foundry; also below garden.service"},
	{path: "garden/good/<guid>", runtime: "garden", note: "Garden with CPU throttling"},
	{path: "garden/bad/<guid>", runtime: "garden", note: "Garden with CPU throttling, a container above its share"},
	{path: "lxc.payload.<name>", runtime: "lxc", note: "LXC 4, LXD, Incus"},
	{path: "lxc.payload/<name>", runtime: "lxc", note: "LXC 3.1"},
	{path: "lxc/<name>", runtime: "lxc", note: "LXC up to 3.0, Proxmox VE"},
	{path: `machine-lxc\x2d#\x2d<name>.scope`, runtime: "libvirt-lxc", note: "libvirt, docs/cgroups.rst"},
	{path: `machine-qemu\x2d*.scope`, note: "a virtual machine: its qemu runs on the host"},
	{path: "machine-<name>.scope", runtime: "systemd-nspawn", note: "systemd-nspawn from a shell, registered with machined"},
	{path: "systemd-nspawn@<name>.service", runtime: "systemd-nspawn", service: true, note: "machinectl start"},
	{path: "<id>", note: "any cgroupfs driver in kubepods (containerd, Docker), Docker with another --cgroup-parent: the path does not tell which"},
}

// cgroupPlaceholders turns a shape's path, quoted, into a regular expression.
var cgroupPlaceholders = strings.NewReplacer(
	`\*`, `[^/:]*`,
	`#`, `[0-9]+`,
	`<id>`, `([0-9a-f]{64})`,
	`<name>`, `([0-9A-Za-z][0-9A-Za-z_.\\-]*)`,
	`<guid>`, `([0-9a-f]{8}-[0-9a-f-]{19,27})`, // Cloud Foundry cuts some down to 28 characters
	`<task>`, `([0-9a-f]{32}-[0-9]+)`,
)

var (
	// cgroupPod finds a pod's id in the folder of either kubelet driver, under
	// any cgroup root (kind: kubelet-kubepods-...), also before a colon form.
	cgroupPod = regexp.MustCompile(`^(?:pod|(?:[^/:]*-)?kubepods-(?:[a-z]+-)?pod)([0-9a-f]{32}|[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?(?::.*)?$`)

	// cgroupUnit is a unit's folder. systemd puts one _ before a name that looks
	// like a file of the kernel's (cg_escape): _memory.service.
	cgroupUnit = regexp.MustCompile(`^_?([0-9A-Za-z:_.\\@-]+\.(?:service|scope))$`)
)

// maxCgroupPath is PATH_MAX, the buffer of proc_cgroup_show in
// kernel/cgroup/cgroup.c: what is longer is not from the kernel.
const maxCgroupPath = 4096

// placeOf reads a cgroup path such as "/kubepods.slice/.../cri-containerd-<id>.scope".
// Of nested containers, pods and units the innermost counts. A unit outside of
// the container is left out, for it is the runtime's (containerd.service), and
// so is the container's own scope, which says nothing more.
func placeOf(path string) place {
	p, _ := placeAndDepth(path)
	return p
}

// cgroupPath picks from the content of /proc/PID/cgroup the path that says most
// about the process: the one with most containers around each other, then with a
// pod, then with a unit. Of equals it is that of v2, then of systemd's own
// hierarchy: not every runtime writes to all of them. It is "" if there is none.
func cgroupPath(content []byte) string {
	best, most := "", -1
	var last string // on v1 most lines are alike
	var p place
	var depth int
	for line := range strings.SplitSeq(string(content), "\n") {
		fields := strings.SplitN(line, ":", 3) // no more: the path may hold colons
		if len(fields) < 3 || !strings.HasPrefix(fields[2], "/") {
			continue
		}
		path, preferred := fields[2], 0
		switch {
		case fields[0] == "0" && fields[1] == "":
			path, preferred = strings.TrimSuffix(path, " (deleted)"), 2 // a dead process in a removed cgroup
		case fields[1] == "name=systemd":
			preferred = 1
		}
		if path != last {
			p, depth = placeAndDepth(path)
			last = path
		}
		said := depth << 2
		if p.podUID != "" {
			said |= 2
		}
		if p.unit != "" && preferred > 0 { // a unit has its place in these; elsewhere anybody makes such a name
			said |= 1
		}
		if said = said*3 + preferred; said > most {
			best, most = path, said
		}
	}
	return best
}

// placeAndDepth also counts the containers around each other.
func placeAndDepth(path string) (p place, depth int) {
	if len(path) > maxCgroupPath {
		return place{}, 0
	}
	units := true // those met now are the process's own
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '/') {
		here := path[:end]
		folder := here[strings.LastIndexByte(here, '/')+1:]
		if s, id := shapeOf(here); id != "" {
			if depth++; depth == 1 {
				p.runtime, p.container = s.runtime, id
			}
			units = depth == 1 && s.service && p.unit == ""
		}
		if m := cgroupPod.FindStringSubmatch(folder); m != nil && p.podUID == "" {
			p.podUID = strings.ReplaceAll(m[1], "_", "-")
		}
		// init.scope is where a service manager puts itself: that of a user or
		// of a container is better known by the unit around it.
		if m := cgroupUnit.FindStringSubmatch(folder); m != nil && units && (p.unit == "" || p.unit == "init.scope") {
			p.unit = m[1]
		}
	}
	return p, depth
}

// shapeOf finds the shape of the container whose cgroup path is, and its id.
func shapeOf(path string) (*cgroupShape, string) {
	shapes := compiledShapes()
	for i := range shapes {
		s, from := &shapes[i], len(path)
		for range s.folders {
			from = strings.LastIndexByte(path[:max(from, 0)], '/')
		}
		if m := s.re.FindStringSubmatch(path[from+1:]); m != nil {
			return s, strings.Join(m[1:], "") // at most one group
		}
	}
	return nil, ""
}

// compiledShapes is the table, ready for use: compiled when it is first asked
// for, because most commands never do.
var compiledShapes = sync.OnceValue(func() []cgroupShape {
	rows := slices.Clone(cgroupShapes)
	for i, s := range rows {
		rows[i].re = regexp.MustCompile("^" + cgroupPlaceholders.Replace(regexp.QuoteMeta(s.path)) + "$")
		rows[i].folders = strings.Count(s.path, "/") + 1
	}
	return rows
})
