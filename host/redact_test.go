// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"net/netip"
	"strings"
	"testing"
)

const (
	cartID  = "4f1c9d3e7b2a8f60c5d4e3b2a1908f7e6d5c4b3a29181706f5e4d3c2b1a09f8e"
	cartUID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
)

func TestRedactKeepsTheShapeOfAPath(t *testing.T) {
	r := newRedactor()
	tests := []struct {
		name, path string
		want       string // with * for what may be anything of the same length
	}{
		{"a unit", "0::/system.slice/acme-billing.service", "0::/system.slice/name1-name2.service"},
		{"the same name again", "0::/acme.slice", "0::/name1.slice"},
		{"the root", "0::/", "0::/"},
		{"a user's session", "0::/user.slice/user-1000.slice/session-3.scope", "0::/user.slice/user-1000.slice/session-3.scope"},
		{"a container", "0::/docker/" + cartID, "0::/docker/" + strings.Repeat("*", 64)},
		{
			"a pod", "0::/kubepods.slice/kubepods-burstable-pod" + strings.ReplaceAll(cartUID, "-", "_") + ".slice/cri-containerd-" + cartID + ".scope",
			"0::/kubepods.slice/kubepods-burstable-pod********_****_****_****_************.slice/cri-containerd-" + strings.Repeat("*", 64) + ".scope",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := r.path(tt.path)
			if !matches(got, tt.want) {
				t.Errorf("path(%q) = %q, want %q", tt.path, got, tt.want)
			}
			if r.path(tt.path) != got {
				t.Errorf("path(%q) = %q, then %q", tt.path, got, r.path(tt.path))
			}
		})
	}
}

// matches compares got with want, in which * stands for any hex digit.
func matches(got, want string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if want[i] != '*' && got[i] != want[i] || want[i] == '*' && !strings.ContainsRune("0123456789abcdef", rune(got[i])) {
			return false
		}
	}
	return true
}

func TestRedactGivesAPodTheSameIdEverywhere(t *testing.T) {
	r := newRedactor()
	pod := r.pod(PodLog{Namespace: "shop", Name: "cart-0", UID: cartUID, Containers: map[string]string{cartID: "web"}})
	path := r.path("/kubepods/pod" + cartUID + "/" + cartID)
	if !strings.Contains(path, pod.UID) || strings.Contains(path, cartUID) {
		t.Errorf("the path is %q, the pod's uid %q", path, pod.UID)
	}
	for id := range pod.Containers {
		if !strings.HasSuffix(path, id) {
			t.Errorf("the path is %q, the container's id %q", path, id)
		}
	}
}

func TestRedactAddresses(t *testing.T) {
	r := newRedactor()
	tests := []struct{ addr, want string }{
		{"0.0.0.0", "0.0.0.0"},
		{"::", "::"},
		{"127.0.0.1", "127.0.0.1"},
		{"::1", "::1"},
		{"::ffff:127.0.0.1", "::ffff:127.0.0.1"},
		{"10.1.2.3", "198.18.0.1"},
		{"10.1.2.3", "198.18.0.1"},
		{"::ffff:10.1.2.3", "::ffff:198.18.0.1"},
		{"10.1.2.4", "198.18.0.2"},
		{"2a00:1450::1", "2001:db8::3"},
		{"fe80::abcd", "fe80::4"},
	}
	for _, tt := range tests {
		if got := r.addr(netip.MustParseAddr(tt.addr)); got != netip.MustParseAddr(tt.want) {
			t.Errorf("addr(%s) = %s, want %s", tt.addr, got, tt.want)
		}
	}
}

func TestRedactPrograms(t *testing.T) {
	r := newRedactor()
	for path, want := range map[string]string{
		"/usr/sbin/nginx":          "/usr/sbin/nginx",
		"/home/alice/secret/nginx": "/redacted/nginx",
		"nginx":                    "nginx",
	} {
		if got := r.program(path); got != want {
			t.Errorf("program(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestNoRedactorChangesNothing(t *testing.T) {
	var r *redactor
	if r.name("host", "web7") != "web7" || r.path("0::/a") != "0::/a" || r.program("/home/x") != "/home/x" ||
		string(r.datagram([]byte("abc"))) != "abc" || r.pod(PodLog{Name: "p"}).Name != "p" {
		t.Error("a nil redactor replaced something")
	}
}

func FuzzRedactDatagram(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, 3, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Add(make([]byte, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		if got := newRedactor().datagram(b); len(got) != len(b) || string(b) != before {
			t.Errorf("a datagram of %d bytes became one of %d, or was changed itself", len(b), len(got))
		}
	})
}

func FuzzRedactPath(f *testing.F) {
	f.Add("12:memory:/kubepods/pod" + cartUID + "/" + cartID)
	f.Fuzz(func(t *testing.T, path string) {
		r := newRedactor()
		if once, again := r.path(path), r.path(path); once != again {
			t.Errorf("path(%q) = %q, then %q", path, once, again)
		}
	})
}
