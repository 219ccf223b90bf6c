// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"regexp"
	"strings"
	"testing"
)

// Ids as runtimes and the kubelet make them, one of each kind twice for nesting.
const (
	id1       = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
	id2       = "db63ee0795a5850760c67c701d662183ae09b0e1df6a40a54f42717feaeb53bb"
	uid1      = "a5c1f8d5-1919-434d-add7-4afaafdaef89"
	uid1Slice = "a5c1f8d5_1919_434d_add7_4afaafdaef89"
	uid2      = "03f3f104-3215-44f2-9686-d4dd1f05a7ed"
	uid2Slice = "03f3f104_3215_44f2_9686_d4dd1f05a7ed"
	static    = "1864dd0546310be9937c37cf88024cb8" // a static pod's: a hash of its file
	task      = "55091c13-b8cf-4801-b527-f4601742204d"

	burstable = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid1Slice + ".slice"
	kind      = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + uid1Slice + ".slice"
	user      = "/user.slice/user-1000.slice/user@1000.service"
)

var placeTests = []struct {
	name string
	path string
	want place
}{
	// Docker.
	{"docker with the cgroupfs driver", "/docker/" + id1, place{runtime: "docker", container: id1}},
	{"docker with the systemd driver", "/system.slice/docker-" + id1 + ".scope", place{runtime: "docker", container: id1}},
	{"docker in a slice of its own", "/web.slice/web-front.slice/docker-" + id1 + ".scope", place{runtime: "docker", container: id1}},
	{"docker under another cgroupfs parent does not tell its name", "/actions_job/" + id1, place{container: id1}},
	{"docker before it had a folder does not tell its name", "/" + id1, place{container: id1}},
	{"docker with the drivers mixed up", "/system.slice/system.slice:docker:" + id1, place{runtime: "docker", container: id1}},
	{"rootless docker is not in the user manager's unit", user + "/user.slice/docker-" + id1 + ".scope", place{runtime: "docker", container: id1}},
	{"dockerd itself is a unit", "/system.slice/docker.service", place{unit: "docker.service"}},
	{"a BuildKit step is no container", "/system.slice/system.slice:docker:jvifp9a6b1lxa1kuw8bwfcovf", place{}},
	{"a folder below the container is the container's", "/docker/" + id1 + "/init", place{runtime: "docker", container: id1}},
	{"a container's systemd gives container and unit", "/system.slice/docker-" + id1 + ".scope/system.slice/nginx.service", place{unit: "nginx.service", runtime: "docker", container: id1}},
	{"a container's systemd itself is its init.scope", "/system.slice/docker-" + id1 + ".scope/init.scope", place{unit: "init.scope", runtime: "docker", container: id1}},

	// Docker on ECS, Fargate.
	{"ecs with task limits", "/ecs/" + task + "/" + id1, place{runtime: "docker", container: id1}},
	{"ecs with the cluster's name", "/ecs/shop/bf1ddbfbbc8f45c9b1ac4f779368741e/" + id1, place{runtime: "docker", container: id1}},
	{"ecs on cgroup v2 is docker in a slice", "/ecstasks.slice/ecstasks-bf1ddbfbbc8f45c9b1ac4f779368741e.slice/docker-" + id1 + ".scope", place{runtime: "docker", container: id1}},
	{"fargate 1.4", "/ecs/34dc0b5e626f2c5c4c5170e34b10e765-1234567890", place{runtime: "containerd", container: "34dc0b5e626f2c5c4c5170e34b10e765-1234567890"}},
	{"fargate 1.4 below its task", "/ecs/" + task + "/34dc0b5e626f2c5c4c5170e34b10e765-1234567890", place{runtime: "containerd", container: "34dc0b5e626f2c5c4c5170e34b10e765-1234567890"}},

	// Pods of both kubelet drivers.
	{"a burstable pod by cgroupfs does not tell the runtime", "/kubepods/burstable/pod" + uid1 + "/" + id1, place{container: id1, podUID: uid1}},
	{"a besteffort pod by cgroupfs", "/kubepods/besteffort/pod" + uid1 + "/" + id1, place{container: id1, podUID: uid1}},
	{"a guaranteed pod by cgroupfs has no qos folder", "/kubepods/pod" + uid1 + "/" + id1, place{container: id1, podUID: uid1}},
	{"a burstable pod by systemd", burstable + "/cri-containerd-" + id1 + ".scope", place{runtime: "containerd", container: id1, podUID: uid1}},
	{"a guaranteed pod by systemd has no qos slice", "/kubepods.slice/kubepods-pod" + uid1Slice + ".slice/cri-containerd-" + id1 + ".scope", place{runtime: "containerd", container: id1, podUID: uid1}},
	{"a static pod by cgroupfs", "/kubepods/burstable/pod" + static + "/" + id1, place{container: id1, podUID: static}},
	{"a static pod by systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + static + ".slice/crio-" + id1 + ".scope", place{runtime: "cri-o", container: id1, podUID: static}},
	{"a pod's docker", burstable + "/docker-" + id1 + ".scope", place{runtime: "docker", container: id1, podUID: uid1}},
	{"a pod without a container", burstable, place{podUID: uid1}},
	{"a qos slice is no pod", "/kubepods.slice/kubepods-burstable.slice", place{}},
	{"a unit in a pod's container", burstable + "/cri-containerd-" + id1 + ".scope/system.slice/sshd.service", place{unit: "sshd.service", runtime: "containerd", container: id1, podUID: uid1}},

	// containerd.
	{"containerd with the drivers mixed up is not containerd.service", "/system.slice/containerd.service/kubepods-burstable-pod" + uid1Slice + ".slice:cri-containerd:" + id1, place{runtime: "containerd", container: id1, podUID: uid1}},
	{"a static pod in the colon form", "/system.slice/containerd.service/kubepods-burstable-pod" + static + ".slice:cri-containerd:" + id1, place{runtime: "containerd", container: id1, podUID: static}},
	{"the colon form at the root", "/kubepods-pod" + uid1Slice + ".slice:cri-containerd:" + id1, place{runtime: "containerd", container: id1, podUID: uid1}},
	{"containerd's default namespace", "/default/" + id1, place{runtime: "containerd", container: id1}},
	{"containerd's namespace for pods without a parent", "/k8s.io/" + id1, place{runtime: "containerd", container: id1}},
	{"a name chosen with ctr is not told from a folder", "/default/web", place{}},
	{"nerdctl", "/system.slice/nerdctl-" + id1 + ".scope", place{runtime: "containerd", container: id1}},
	{"rootless nerdctl", user + "/user.slice/nerdctl-" + id1 + ".scope", place{runtime: "containerd", container: id1}},
	{"nerdctl with the drivers mixed up", "/system.slice:nerdctl:" + id1, place{runtime: "containerd", container: id1}},
	{"containerd itself is a unit", "/system.slice/containerd.service", place{unit: "containerd.service"}},

	// CRI-O.
	{"cri-o with the systemd driver", burstable + "/crio-" + id1 + ".scope", place{runtime: "cri-o", container: id1, podUID: uid1}},
	{"cri-o with the cgroupfs driver", "/kubepods/burstable/pod" + uid1 + "/crio-" + id1, place{runtime: "cri-o", container: id1, podUID: uid1}},
	{"cri-o without a parent", "/crio/crio-" + id1, place{runtime: "cri-o", container: id1}},
	{"cri-o before the prefix", "/crio/" + id1, place{runtime: "cri-o", container: id1}},
	{"cri-o with the drivers mixed up", "/system.slice/crio.service/kubepods-pod" + uid1Slice + ".slice:crio:" + id1, place{runtime: "cri-o", container: id1, podUID: uid1}},
	{"crun's folder below cri-o's scope", burstable + "/crio-" + id1 + ".scope/container", place{runtime: "cri-o", container: id1, podUID: uid1}},
	{"cri-o's monitor is not the container", burstable + "/crio-conmon-" + id1 + ".scope", place{unit: "crio-conmon-" + id1 + ".scope", podUID: uid1}},
	{"cri-o's monitor by cgroupfs is not the container", "/kubepods/pod" + uid1 + "/crio-conmon-" + id1, place{podUID: uid1}},
	{"a container once created below its monitor", "/pod_123-456/crio-conmon-" + id1 + "/pod_123-456/crio-" + id1, place{runtime: "cri-o", container: id1}},

	// Podman.
	{"podman", "/machine.slice/libpod-" + id1 + ".scope", place{runtime: "podman", container: id1}},
	{"podman with crun", "/machine.slice/libpod-" + id1 + ".scope/container", place{runtime: "podman", container: id1}},
	{"podman with the cgroupfs driver", "/libpod_parent/libpod-" + id1, place{runtime: "podman", container: id1}},
	{"podman with the drivers mixed up", "/machine.slice:libpod:" + id1, place{runtime: "podman", container: id1}},
	{"podman's pods have no kubernetes uid", "/machine.slice/machine-libpod_pod_" + id2 + ".slice/libpod-" + id1 + ".scope/container", place{runtime: "podman", container: id1}},
	{"rootless podman is not in the user manager's unit", user + "/user.slice/libpod-" + id1 + ".scope/container", place{runtime: "podman", container: id1}},
	{"podman's monitor is not the container", "/machine.slice/libpod-conmon-" + id1 + ".scope", place{unit: "libpod-conmon-" + id1 + ".scope"}},
	{"podman's monitor by cgroupfs is not the container", "/libpod_parent/libpod-conmon-" + id1, place{}},
	{"quadlet gives container and unit", "/system.slice/web.service/libpod-payload-" + id1, place{unit: "web.service", runtime: "podman", container: id1}},
	{"rootless quadlet gives container and unit", user + "/app.slice/web.service/libpod-payload-" + id1, place{unit: "web.service", runtime: "podman", container: id1}},
	{"quadlet's monitor is only in the unit", "/system.slice/web.service/runtime", place{unit: "web.service"}},
	{"a unit in quadlet's container is the inner one", "/system.slice/web.service/libpod-payload-" + id1 + "/system.slice/nginx.service", place{unit: "nginx.service", runtime: "podman", container: id1}},
	{"quadlet's container's systemd itself", "/system.slice/web.service/libpod-payload-" + id1 + "/init.scope", place{unit: "init.scope", runtime: "podman", container: id1}},

	// Other runtimes.
	{"runc by itself", user + "/user.slice/runc-web.scope", place{runtime: "runc", container: "web"}},
	{"garden", "/garden/6f265890-5165-7fab-6b52-18d1c9a4ee2b", place{runtime: "garden", container: "6f265890-5165-7fab-6b52-18d1c9a4ee2b"}},
	{"garden's shortened handle is not in garden.service", "/system.slice/garden.service/garden/70eb4ce5-a065-4401-6990-88ed", place{runtime: "garden", container: "70eb4ce5-a065-4401-6990-88ed"}},
	{"garden within its share", "/garden/good/5c84e0b5-47bb-48fe-6f8c-635c", place{runtime: "garden", container: "5c84e0b5-47bb-48fe-6f8c-635c"}},
	{"garden above its share", "/garden/bad/5c84e0b5-47bb-48fe-6f8c-635c", place{runtime: "garden", container: "5c84e0b5-47bb-48fe-6f8c-635c"}},
	{"lxc 4", "/lxc.payload.web-1/system.slice/nginx.service", place{unit: "nginx.service", runtime: "lxc", container: "web-1"}},
	{"an lxd project is part of the name", "/lxc.payload.shop_web", place{runtime: "lxc", container: "shop_web"}},
	{"lxc 3.1", "/lxc.payload/web", place{runtime: "lxc", container: "web"}},
	{"lxc 3.0", "/lxc/web", place{runtime: "lxc", container: "web"}},
	{"proxmox", "/lxc/101/ns/system.slice/ssh.service", place{unit: "ssh.service", runtime: "lxc", container: "101"}},
	{"lxc's monitor is not the container", "/lxc.monitor.web", place{}},
	{"lxc 3.1's monitor is not the container", "/lxc.monitor/web", place{}},
	{"libvirt's containers", `/machine.slice/machine-lxc\x2d2293906\x2dlibvirt\x2dcontainer.scope/libvirt`, place{runtime: "libvirt-lxc", container: `libvirt\x2dcontainer`}},
	{"a virtual machine is no container", `/machine.slice/machine-qemu\x2d1\x2dvm1.scope/libvirt/emulator`, place{unit: `machine-qemu\x2d1\x2dvm1.scope`}},
	{"nspawn as a service gives container and unit", "/machine.slice/systemd-nspawn@debian.service/payload", place{unit: "systemd-nspawn@debian.service", runtime: "systemd-nspawn", container: "debian"}},
	{"a unit in nspawn is the inner one", "/machine.slice/systemd-nspawn@debian.service/payload/system.slice/nginx.service", place{unit: "nginx.service", runtime: "systemd-nspawn", container: "debian"}},
	{"nspawn from a shell keeps systemd's escapes", `/machine.slice/machine-my\x2dweb.scope/payload`, place{runtime: "systemd-nspawn", container: `my\x2dweb`}},

	// Nested: the innermost wins.
	{"docker in docker by cgroupfs", "/docker/" + id1 + "/docker/" + id2, place{runtime: "docker", container: id2}},
	{"docker in docker by systemd", "/system.slice/docker-" + id1 + ".scope/system.slice/docker-" + id2 + ".scope", place{runtime: "docker", container: id2}},
	{"docker in a pod stays in the pod", burstable + "/cri-containerd-" + id1 + ".scope/docker/" + id2, place{runtime: "docker", container: id2, podUID: uid1}},
	{"docker in quadlet is not in quadlet's unit", "/system.slice/web.service/libpod-payload-" + id1 + "/docker/" + id2, place{runtime: "docker", container: id2}},
	{"docker in lxc", "/lxc/101/ns/docker/" + id1, place{runtime: "docker", container: id1}},
	{"a unit between two containers is left out", "/docker/" + id1 + "/system.slice/containerd.service/docker/" + id2, place{runtime: "docker", container: id2}},
	{"podman's monitor in docker is in docker", "/docker/" + id1 + "/libpod_parent/libpod-conmon-" + id2, place{runtime: "docker", container: id1}},
	{"kind on cgroup v1", "/docker/" + id1 + "/kubelet/kubepods/burstable/pod" + uid1 + "/" + id2, place{container: id2, podUID: uid1}},
	{"kind on cgroup v2", "/system.slice/docker-" + id1 + ".scope" + kind + "/cri-containerd-" + id2 + ".scope", place{runtime: "containerd", container: id2, podUID: uid1}},
	{"kind as its node sees it", kind + "/cri-containerd-" + id2 + ".scope", place{runtime: "containerd", container: id2, podUID: uid1}},
	{"kind's kubelet is a unit of the node", "/docker/" + id1 + "/kubelet.slice/kubelet.service", place{unit: "kubelet.service", runtime: "docker", container: id1}},
	{"kind's pod without a container is in the node", "/docker/" + id1 + kind, place{runtime: "docker", container: id1, podUID: uid1}},
	{"minikube with cri-o", "/docker/" + id1 + burstable + "/crio-" + id2 + ".scope", place{runtime: "cri-o", container: id2, podUID: uid1}},
	{"a pod in a pod", burstable + "/cri-containerd-" + id1 + ".scope/kubepods.slice/kubepods-pod" + uid2Slice + ".slice/crio-" + id2 + ".scope", place{runtime: "cri-o", container: id2, podUID: uid2}},

	// systemd.
	{"a service", "/system.slice/nginx.service", place{unit: "nginx.service"}},
	{"a delegated service's own folders are in it", "/system.slice/systemd-udevd.service/udev", place{unit: "systemd-udevd.service"}},
	{"an instance of a template", "/system.slice/system-postgresql.slice/postgresql@16-main.service", place{unit: "postgresql@16-main.service"}},
	{"escapes stay as systemd prints them", `/system.slice/system-getty\x2dx.slice/getty\x2dx@tty1.service`, place{unit: `getty\x2dx@tty1.service`}},
	{"cg_escape's underscore is not of the name", "/system.slice/_memory.service", place{unit: "memory.service"}},
	{"systemd itself", "/init.scope", place{unit: "init.scope"}},
	{"a login session", "/user.slice/user-1000.slice/session-3.scope", place{unit: "session-3.scope"}},
	{"a user's service", user + "/app.slice/syncthing.service", place{unit: "syncthing.service"}},
	{"a user's application", user + `/app.slice/app-org.gnome.Terminal.slice/vte-spawn-f22f14d2-3d44-4304-9879-3fdd0df7b08e.scope`, place{unit: "vte-spawn-f22f14d2-3d44-4304-9879-3fdd0df7b08e.scope"}},
	{"a user's systemd itself is known by its service", user + "/init.scope", place{unit: "user@1000.service"}},
	{"a slice is no unit of processes", "/user.slice/user-1000.slice", place{}},
	{"the root", "/", place{}},
	{"no path", "", place{}},

	// Cgroup namespaces.
	{"a service outside of our cgroup namespace", "/../../system.slice/nginx.service", place{unit: "nginx.service"}},
	{"a container beside ours, by systemd", "/../docker-" + id1 + ".scope", place{runtime: "docker", container: id1}},
	{"a container beside ours, by cgroupfs, lost its folder", "/../" + id1, place{container: id1}},
	{"a container in a pod beside ours", "/../../pod" + uid1 + "/" + id1, place{container: id1, podUID: uid1}},
	{"a pod beside ours by systemd", "/../../kubepods-pod" + uid1Slice + ".slice/cri-containerd-" + id1 + ".scope", place{runtime: "containerd", container: id1, podUID: uid1}},
	{"above our cgroup namespace", "/../..", place{}},

	// Hostile or broken.
	{"an id too short", "/docker/" + id1[1:], place{}},
	{"an id too long", "/docker/" + id1 + "0", place{}},
	{"an id in capitals", "/docker/" + strings.ToUpper(id1), place{}},
	{"a newline is in no unit", "/system.slice/a\nb.service", place{}},
	{"a newline after the name", "/system.slice/nginx.service\n", place{}},
	{"a newline after the id", "/docker/" + id1 + "\n", place{}},
	{"a control character", "/system.slice/\x1b[31mnginx.service", place{}},
	{"invalid UTF-8 is in no unit", "/system.slice/\xff\xfe.service", place{}},
	{"invalid UTF-8 is in no name", "/lxc/\xff", place{}},
	{"a suffix alone is no unit", "/system.slice/.service", place{}},
	{"dots are no name", "/lxc/..", place{}},
	{"folders without names", "//docker//" + id1 + "//", place{container: id1}},
	{"the longest path the kernel prints", "/" + strings.Repeat("a", maxCgroupPath-len("//docker/")-len(id1)) + "/docker/" + id1, place{runtime: "docker", container: id1}},
	{"one longer is not from the kernel", "/" + strings.Repeat("a", maxCgroupPath-len("//docker/")-len(id1)+1) + "/docker/" + id1, place{}},
}

func TestPlaceOf(t *testing.T) {
	for _, tt := range placeTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := placeOf(tt.path); got != tt.want {
				t.Errorf("placeOf(%q) = %+v, want %+v", tt.path, got, tt.want)
			}
		})
	}
}

func TestCgroupShapes(t *testing.T) {
	proved := make(map[string]bool)
	for _, tt := range placeTests {
		for at, c := range tt.path + "/" {
			if c != '/' {
				continue
			}
			if s, _ := shapeOf(tt.path[:at]); s != nil {
				proved[s.path] = true
			}
		}
	}
	seen := make(map[string]bool)
	for _, s := range compiledShapes() {
		if seen[s.path] {
			t.Errorf("shape %q is there twice", s.path)
		}
		seen[s.path] = true
		if !proved[s.path] {
			t.Errorf("shape %q is in no path of placeTests, or an earlier row hides it", s.path)
		}
		if s.note == "" {
			t.Errorf("shape %q does not say where it comes from", s.path)
		}
		if groups := s.re.NumSubexp(); groups > 1 || (groups == 1) != (s.runtime != "" || s.path == "<id>") {
			t.Errorf("shape %q has %d ids and the runtime %q", s.path, groups, s.runtime)
		}
	}
}

var cgroupTests = []struct {
	name    string
	content string
	want    string
}{
	{"v2", "0::/system.slice/nginx.service\n", "/system.slice/nginx.service"},
	{"v2 without a newline", "0::/system.slice/nginx.service", "/system.slice/nginx.service"},
	{"v2 at the root of its namespace", "0::/\n", "/"},
	{"v2 keeps the path's colons", "0::/kubepods-pod" + uid1Slice + ".slice:cri-containerd:" + id1 + "\n", "/kubepods-pod" + uid1Slice + ".slice:cri-containerd:" + id1},
	{"a removed cgroup", "0::/docker/" + id1 + " (deleted)\n", "/docker/" + id1},
	{"v1 takes systemd's hierarchy among equals", "12:pids:/user.slice/user-0.slice/session-14.scope\n" +
		"2:cpu,cpuacct:/user.slice/user-0.slice/session-14.scope\n" +
		"1:name=systemd:/user.slice/user-0.slice/session-15.scope\n", "/user.slice/user-0.slice/session-15.scope"},
	{"v1 takes the first of other equals", "4:pids:/docker/" + id1 + "\n3:cpu:/docker/" + id2 + "\n", "/docker/" + id1},
	{"a hybrid host takes v2 among equals", "1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n2:pids:/system.slice/c.service\n", "/system.slice/b.service"},
	{"a hybrid host's containers are not in v2", "11:rdma:/\n10:memory:/docker/" + id1 + "\n1:name=systemd:/docker/" + id1 + "\n0::/system.slice/containerd.service\n", "/docker/" + id1},
	{"a container says more than its daemon's unit", "9:memory:/docker/" + id1 + "\n1:name=systemd:/system.slice/docker.service\n", "/docker/" + id1},
	{"a unit in a container says more than the container", "9:memory:/docker/" + id1 + "\n1:name=systemd:/docker/" + id1 + "/system.slice/nginx.service\n", "/docker/" + id1 + "/system.slice/nginx.service"},
	{"a container says more than its monitor", "13:freezer:" + burstable + "/crio-" + id1 + ".scope\n11:files:/\n1:name=systemd:" + burstable + "/crio-conmon-" + id1 + ".scope\n", burstable + "/crio-" + id1 + ".scope"},
	{"an inner container says more than the outer", "12:rdma:/docker/" + id1 + "\n9:memory:/docker/" + id1 + "/docker/" + id2 + "\n0::/docker/" + id1 + "/system.slice/docker.service\n", "/docker/" + id1 + "/docker/" + id2},
	{"a pod says more than a unit", "3:pids:" + burstable + "\n1:name=systemd:/system.slice/kubelet.service\n", burstable},
	{"a unit says more than the root", "2:cpu:/\n1:name=systemd:/system.slice/nginx.service\n0::/\n", "/system.slice/nginx.service"},
	{"a process in no cgroup but the roots", "2:cpu:/\n1:name=systemd:/\n0::/\n", "/"},
	{"a folder of a controller alone is no unit", "4:memory:/init.scope\n1:name=systemd:/\n0::/\n", "/"},
	{"another named hierarchy is not systemd's", "3:name=elogind:/1\n1:name=systemd:/\n", "/"},
	{"nothing", "", ""},
	{"lines that are none", "\n::\n0:\n0::\n0::relative\nx\n", ""},
	{"a broken line among good ones", "garbage\n0::/system.slice/nginx.service\n", "/system.slice/nginx.service"},
}

func TestCgroupPath(t *testing.T) {
	for _, tt := range cgroupTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cgroupPath([]byte(tt.content)); got != tt.want {
				t.Errorf("cgroupPath(%q) = %q, want %q", tt.content, got, tt.want)
			}
		})
	}
}

func FuzzPlaceOf(f *testing.F) {
	for _, tt := range placeTests {
		f.Add(tt.path)
	}
	var (
		printable = regexp.MustCompile(`^[!-~]*$`)
		unit      = regexp.MustCompile(`^.+\.(service|scope)$`)
		pod       = regexp.MustCompile(`^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	)
	f.Fuzz(func(t *testing.T, path string) {
		p := placeOf(path)
		if !strings.Contains(path, p.container) || !strings.Contains(path, p.unit) || !strings.Contains(strings.ReplaceAll(path, "_", "-"), p.podUID) {
			t.Errorf("placeOf(%q) = %+v, want parts of the path", path, p)
		}
		if strings.Contains(p.container+p.unit, "/") || !printable.MatchString(p.container+p.unit) {
			t.Errorf("placeOf(%q) = %+v, want printable names of folders", path, p)
		}
		if p.runtime != "" && p.container == "" {
			t.Errorf("placeOf(%q) = %+v, want no runtime without a container", path, p)
		}
		if p.unit != "" && !unit.MatchString(p.unit) || p.podUID != "" && !pod.MatchString(p.podUID) {
			t.Errorf("placeOf(%q) = %+v, want a unit and a pod uid, or none", path, p)
		}
		if below := path + "/\x01"; len(below) <= maxCgroupPath && placeOf(below) != p {
			t.Errorf("placeOf(%q) = %+v, want %+v as in the folder above", below, placeOf(below), p)
		}
	})
}

func FuzzCgroupPath(f *testing.F) {
	for _, tt := range cgroupTests {
		f.Add([]byte(tt.content))
	}
	entry := regexp.MustCompile(`^[^:]*:[^:]*:(/.*)$`)
	f.Fuzz(func(t *testing.T, content []byte) {
		got := cgroupPath(content)
		if got != "" && got[0] != '/' || strings.Contains(got, "\n") || !strings.Contains(string(content), got) {
			t.Errorf("cgroupPath(%q) = %q, want one of its paths", content, got)
		}
		for line := range strings.SplitSeq(string(content), "\n") {
			if m := entry.FindStringSubmatch(line); m != nil && placeOf(m[1]).container != "" && placeOf(got).container == "" {
				t.Errorf("cgroupPath(%q) = %q, want the container of %q", content, got, line)
			}
		}
	})
}

func BenchmarkPlaceOf(b *testing.B) {
	for _, bb := range []struct{ name, path string }{
		{"service", "/system.slice/nginx.service"},
		{"pod", burstable + "/cri-containerd-" + id1 + ".scope"},
		{"hostile", strings.Repeat("/a", maxCgroupPath/2)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				placeOf(bb.path)
			}
		})
	}
}
