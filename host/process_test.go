// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stat makes the content of /proc/PID/stat as Linux 6.18 has it.
func stat(comm string, ticks uint64) string {
	return "4711 (" + comm + ") S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 " + strconv.FormatUint(ticks, 10) +
		" 1234567 89 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		name  string
		text  string
		comm  string
		ticks uint64
		ok    bool
	}{
		{"a plain name", stat("nginx", 123456), "nginx", 123456, true},
		{"a name with spaces", stat("tmux: server", 5), "tmux: server", 5, true},
		{"a name with brackets", stat("(sd-pam)", 5), "(sd-pam)", 5, true},
		{"a name that ends the brackets early", stat("a) S 1 2 (b", 5), "a) S 1 2 (b", 5, true},
		{"a name with a newline", stat("a\nb", 5), "a\nb", 5, true},
		{"no name", stat("", 5), "", 5, true},
		{"a name that is not UTF-8", stat("\xff\xfe", 5), "\xff\xfe", 5, true},
		{"a name of closing brackets", stat("))))", 5), "))))", 5, true},
		{"the largest time", stat("x", 1<<64-1), "x", 1<<64 - 1, true},
		{"no field after the start time", "1 (x) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 77", "x", 77, true},
		{"the start time is missing", "1 (x) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0\n", "", 0, false},
		{"the start time is no number", strings.Replace(stat("x", 5), " 0 5 1234567", " 0 -5 1234567", 1), "", 0, false},
		{"no brackets", "4711 nginx S 1\n", "", 0, false},
		{"an opening bracket only", "4711 (nginx S 1\n", "", 0, false},
		{"brackets the wrong way round", "4711 )nginx( S 1\n", "", 0, false},
		{"nothing", "", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			comm, ticks, err := parseStat([]byte(tt.text))
			if (err == nil) != tt.ok || tt.ok && (comm != tt.comm || ticks != tt.ticks) {
				t.Errorf("parseStat(%q) = %q, %d, %v, want %q, %d", tt.text, comm, ticks, err, tt.comm, tt.ticks)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("nginx", uint64(5), []byte(stat("nginx", 5)))
	f.Add("a) S 1 2 (b", uint64(1<<64-1), []byte("1 () S"))
	f.Fuzz(func(t *testing.T, comm string, ticks uint64, b []byte) {
		got, at, err := parseStat([]byte(stat(comm, ticks)))
		if err != nil || got != comm || at != ticks {
			t.Errorf("parseStat of %q, %d = %q, %d, %v", comm, ticks, got, at, err)
		}
		if got, _, err := parseStat(b); err == nil && !bytes.Contains(b, []byte("("+got+")")) {
			t.Errorf("parseStat(%q) = %q, want what stands in brackets", b, got)
		}
	})
}

func TestParseUID(t *testing.T) {
	tests := []struct {
		name   string
		status string
		want   uint32
	}{
		{"root", "Name:\tsshd\nUmask:\t0022\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n", 0},
		{"the effective one", "Name:\tnginx\nUid:\t1000\t33\t1000\t33\nGid:\t0\t0\t0\t0\n", 33},
		{"the largest", "Uid:\t4294967295\t4294967295\t0\t0\n", 1<<32 - 1},
		{"at the end without a newline", "Name:\tx\nUid:\t1\t2", 2},
		{"a name cannot pretend: the kernel escapes its newlines", "Name:\tx\\nUid:\t7\t7\nUid:\t1\t2\t3\t4\n", 2},
		{"groups are no users", "Gid:\t5\t5\t5\t5\nUid:\t1\t2\t3\t4\n", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseUID([]byte(tt.status)); got != tt.want || err != nil {
				t.Errorf("parseUID(%q) = %d, %v, want %d", tt.status, got, err, tt.want)
			}
		})
	}
	for _, status := range []string{"", "Uid:", "Uid:\t1\n", "Uid:\t1\tx\n", "Name:\tx\n"} {
		if got, err := parseUID([]byte(status)); err == nil {
			t.Errorf("parseUID(%q) = %d, want an error", status, got)
		}
	}
}

func TestParseLink(t *testing.T) {
	tests := []struct {
		name  string
		link  string
		kind  string
		inode uint64
		ok    bool
	}{
		{"a socket", "socket:[4711]", "socket", 4711, true},
		{"a namespace", "net:[4026531833]", "net", 4026531833, true},
		{"a pipe", "pipe:[1]", "pipe", 1, true},
		{"one digit", "net:[0]", "net", 0, true},
		{"the largest number", "net:[18446744073709551615]", "net", 1<<64 - 1, true},
		{"one past the largest", "net:[18446744073709551616]", "", 0, false},
		{"no number", "net:[]", "", 0, false},
		{"a negative number", "net:[-1]", "", 0, false},
		{"a sign", "net:[+1]", "", 0, false},
		{"hexadecimal", "net:[0x10]", "", 0, false},
		{"no bracket at the end", "net:[4711", "", 0, false},
		{"no bracket at the start", "net:4711]", "", 0, false},
		{"an anonymous inode", "anon_inode:[eventpoll]", "", 0, false},
		{"a bpf map", "anon_inode:bpf-map", "", 0, false},
		{"a file", "/var/log/syslog", "", 0, false},
		{"a file with a colon", "/tmp/net:[1", "", 0, false},
		{"a deleted file", "/tmp/x:[1] (deleted)", "", 0, false},
		{"a colon", ":", "", 0, false},
		{"a colon and a bracket", "net:[", "", 0, false},
		{"nothing", "", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kind, inode, err := parseLink([]byte(tt.link))
			if (err == nil) != tt.ok || tt.ok && (kind != tt.kind || inode != tt.inode) {
				t.Errorf("parseLink(%q) = %q, %d, %v, want %q, %d", tt.link, kind, inode, err, tt.kind, tt.inode)
			}
		})
	}
}

func FuzzParseLink(f *testing.F) {
	for _, s := range []string{"socket:[4711]", "net:[4026531833]", "net:[]", "anon_inode:[eventpoll]", ":", "a:[00]", "x:["} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, inode, err := parseLink(b)
		if err != nil {
			return
		}
		if strings.Contains(kind, ":") {
			t.Errorf("parseLink(%q) = %q, want no colon in a kind", b, kind)
		}
		again, n, err := parseLink(fmt.Appendf(nil, "%s:[%d]", kind, inode))
		if again != kind || n != inode || err != nil {
			t.Errorf("parseLink of %q, %d, as from %q = %q, %d, %v", kind, inode, b, again, n, err)
		}
	})
}

func TestParsePodFolder(t *testing.T) {
	const uid = "a5c1f8d5-1919-434d-add7-4afaafdaef89"
	tests := []struct {
		name   string
		folder string
		want   PodLog
		ok     bool
	}{
		{"a pod", "shop_web-0_" + uid, PodLog{Namespace: "shop", Name: "web-0", UID: uid}, true},
		{"a static pod", "kube-system_etcd-node-1_1864dd0546310be9937c37cf88024cb8", PodLog{Namespace: "kube-system", Name: "etcd-node-1", UID: "1864dd0546310be9937c37cf88024cb8"}, true},
		{"a name with dots", "shop_web.example_" + uid, PodLog{Namespace: "shop", Name: "web.example", UID: uid}, true},
		{"two parts", "shop_" + uid, PodLog{}, false},
		{"four parts", "shop_web_0_" + uid, PodLog{}, false},
		{"another folder", "lost+found", PodLog{}, false},
		{"nothing", "", PodLog{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parsePodFolder(tt.folder)
			if ok && got.Containers == nil {
				t.Errorf("parsePodFolder(%q).Containers = nil, want a map to write into", tt.folder)
			}
			got.Containers = nil
			if !reflect.DeepEqual(got, tt.want) || ok != tt.ok {
				t.Errorf("parsePodFolder(%q) = %+v, %t, want %+v, %t", tt.folder, got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestParseContainerLog(t *testing.T) {
	const id = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
	pod := PodLog{Namespace: "shop", Name: "web-0"}
	tests := []struct {
		name     string
		log      string
		id, cont string
		ok       bool
	}{
		{"its own", "web-0_shop_app-" + id + ".log", id, "app", true},
		{"a container's name with dashes", "web-0_shop_side-car-2-" + id + ".log", id, "side-car-2", true},
		{"another pod's", "web-1_shop_app-" + id + ".log", "", "", false},
		{"a pod whose name begins alike", "web-01_shop_app-" + id + ".log", "", "", false},
		{"the same name in another namespace", "web-0_shopping_app-" + id + ".log", "", "", false},
		{"no container", "web-0_shop_", "", "", false},
		{"no id", "web-0_shop_app.log", "", "", false},
		{"nothing", "", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gotID, name, ok := pod.parseContainerLog(tt.log)
			if gotID != tt.id || name != tt.cont || ok != tt.ok {
				t.Errorf("parseContainerLog(%q) = %q, %q, %t, want %q, %q, %t", tt.log, gotID, name, ok, tt.id, tt.cont, tt.ok)
			}
		})
	}
}

// TestPodLogs reads folders as a kubelet makes them.
func TestPodLogs(t *testing.T) {
	const id1 = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
	const id2 = "db63ee0795a5850760c67c701d662183ae09b0e1df6a40a54f42717feaeb53bb"
	root := t.TempDir()
	for _, dir := range []string{"pods/shop_web-0_uid-1/app", "pods/shop_web-0_uid-1/proxy", "pods/shop_db-0_uid-2/db", "pods/lost+found", "containers"} {
		if err := os.MkdirAll(filepath.Join(root, "var/log", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"web-0_shop_app-" + id1 + ".log", "web-0_shop_proxy-" + id2 + ".log", "other.txt"} {
		if err := os.WriteFile(filepath.Join(root, "var/log/containers", file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := []PodLog{
		{Namespace: "shop", Name: "db-0", UID: "uid-2", Containers: map[string]string{"": "db"}},
		{Namespace: "shop", Name: "web-0", UID: "uid-1", Containers: map[string]string{id1: "app", id2: "proxy"}},
	}
	if got := (&Live{root: root}).PodLogs(); !reflect.DeepEqual(got, want) {
		t.Errorf("PodLogs() = %+v, want %+v", got, want)
	}
	if got := (&Live{root: t.TempDir()}).PodLogs(); got != nil {
		t.Errorf("PodLogs() without a kubelet = %+v, want none", got)
	}
}

func TestDescriptorString(t *testing.T) {
	tests := []struct {
		d    Descriptor
		want string
	}{
		{Descriptor{FD: 3, Inode: 4711}, "3 socket:[4711]"},
		{Descriptor{FD: 0, Netns: true, Inode: 4026531833}, "0 net:[4026531833]"},
		{Descriptor{FD: 1 << 20, Inode: 1<<64 - 1}, "1048576 socket:[18446744073709551615]"},
	}
	for _, tt := range tests {
		if got := tt.d.String(); got != tt.want {
			t.Errorf("%#v.String() = %q, want %q", tt.d, got, tt.want)
		}
		if got, err := parseDescriptor(tt.want); got != tt.d || err != nil {
			t.Errorf("parseDescriptor(%q) = %#v, %v, want %#v", tt.want, got, err, tt.d)
		}
	}
	for _, bad := range []string{"", "3", "socket:[1]", "x socket:[1]", "3 socket", "3 socket:[x]"} {
		if d, err := parseDescriptor(bad); err == nil {
			t.Errorf("parseDescriptor(%q) = %#v, want an error", bad, d)
		}
	}
}

// TestOwnProcess asks about this very process, which anyone may.
func TestOwnProcess(t *testing.T) {
	l, err := NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if p.UID != uint32(os.Geteuid()) || p.Exe != exe || p.Comm == "" || !strings.HasPrefix(filepath.Base(exe), p.Comm) {
		t.Errorf("Process(self) = %q, %q, uid %d, want %q, uid %d", p.Comm, p.Exe, p.UID, exe, os.Geteuid())
	}
	if argv := l.argv(os.Getpid()); len(argv) == 0 || argv[0] != os.Args[0] {
		t.Errorf("argv(self) = %q, want %q first", argv, os.Args[0])
	}
	if now := time.Now(); p.Started.Before(l.boot) || p.Started.After(now.Add(time.Second)) {
		t.Errorf("Process(self).Started = %v, want between the boot at %v and %v", p.Started, l.boot, now)
	}
	if _, err := l.Process(1 << 30); err == nil {
		t.Error("Process(no such) = nil, want an error")
	}

	sock, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	ns, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	got := map[Descriptor]bool{}
	if err := l.Descriptors(os.Getpid(), func(d Descriptor) bool { got[d] = true; return true }); err != nil {
		t.Fatal(err)
	}
	want, err := parseDescriptor(fmt.Sprintf("%d %s", ns.Fd(), sock))
	if err != nil || !got[want] {
		t.Errorf("Descriptors(self) = %v, want %v among them", slices.Collect(maps.Keys(got)), want)
	}

	all, err := l.Processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, inode, _ := parseLink([]byte(sock))
	if !slices.ContainsFunc(all, func(p Process) bool { return p.PID == os.Getpid() && p.Netns == inode && p.Mntns != 0 && !p.Denied }) {
		t.Errorf("Processes() does not have this process in net:[%d]", inode)
	}
}
