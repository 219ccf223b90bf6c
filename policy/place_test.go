// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	host := Place{Host: true, Name: "host", Pod: "kube-system/proxy", Container: "proxy"}
	pod := Place{Name: "cni-1f", Pod: "shop/web-7d9", Container: "web"}
	tests := []struct {
		name    string
		pattern string
		here    Place
		want    bool
	}{
		{"the host by its word", "host", host, true},
		{"the host by no glob", "h*", host, false},
		{"the host by no pod that uses its network", "pod:*/*", host, false},
		{"the host's word means no namespace of that name", "host", Place{Name: "host"}, false},
		{"a namespace by its name", "cni-1f", pod, true},
		{"a namespace by a glob", "cni-??", pod, true},
		{"a namespace by a part of its name", "cni", pod, false},
		{"a namespace without a name by no glob", "*", Place{Pod: "shop/web"}, false},
		{"a pod by its name", "pod:shop/web-7d9", pod, true},
		{"the pods of a namespace", "pod:shop/*", pod, true},
		{"the pods of another namespace", "pod:shops/*", pod, false},
		{"all pods", "pod:*/*", pod, true},
		{"what is no pod", "pod:*/*", Place{Name: "cni-1f"}, false},
		{"a container by its name", "container:w[ae]b", pod, true},
		{"a container of another name", "container:db", pod, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if why := checkPattern(tt.pattern); why != "" {
				t.Errorf("checkPattern(%q) = %q, want nothing", tt.pattern, why)
			}
			if got := tt.here.matches(tt.pattern); got != tt.want {
				t.Errorf("%+v matches %q = %v, want %v", tt.here, tt.pattern, got, tt.want)
			}
		})
	}
}

func TestCheckPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		"":           "is empty",
		"pod:":       "is empty",
		"container:": "is empty",
		"pod:web":    "with one slash",
		"pod:a/b/c":  "with one slash",
		"shop/web":   "has a slash",
		"[a":         "is no glob",
		"pod:[a/b":   "is no glob",
	} {
		if got := checkPattern(pattern); !strings.Contains(got, want) {
			t.Errorf("checkPattern(%q) = %q, want %q", pattern, got, want)
		}
	}
}

func TestMayResize(t *testing.T) {
	pod := Place{Pod: "shop/web"}
	tests := []struct {
		name    string
		here    Place
		command string
		change  func(*Policy)
		covers  string // why it does not, "" when it does
		resizes string
	}{
		{"a pod is in scope, and nobody asked to resize", pod, "nginx", func(*Policy) {}, "", "spec.liveResize.namespaces does not name it"},
		{"asked for", pod, "nginx", func(p *Policy) { p.LiveResize.Namespaces = []string{"pod:shop/*"} }, "", ""},
		{"asked for elsewhere", pod, "nginx", func(p *Policy) { p.LiveResize.Namespaces = []string{"pod:db/*"} }, "", "spec.liveResize.namespaces does not name it"},
		{"asked for a program that is always excluded", pod, "haproxy", func(p *Policy) {
			p.LiveResize.Namespaces = []string{"pod:shop/*"}
		}, "", `"haproxy" is excluded`},
		{"the host is out of scope", Place{Host: true}, "nginx", func(*Policy) {}, "spec.scopes has no host", "spec.scopes has no host"},
		{"the host is in scope when asked for", Place{Host: true}, "nginx", func(p *Policy) {
			p.Scopes, p.LiveResize.Namespaces = []string{ScopeHost}, []string{"host"}
		}, "", ""},
		{"then no pod is", pod, "nginx", func(p *Policy) { p.Scopes = []string{ScopeHost} }, "spec.scopes has no pod", "spec.scopes has no pod"},
		{"another namespace only", pod, "nginx", func(p *Policy) { p.Namespaces = []string{"pod:db/*"} }, "spec.namespaces does not name it", "spec.namespaces does not name it"},
		{"this namespace, too", pod, "nginx", func(p *Policy) { p.Namespaces = []string{"pod:db/*", "pod:shop/*"} }, "", "spec.liveResize.namespaces does not name it"},
		{"excluded whatever names it", pod, "nginx", func(p *Policy) {
			p.Namespaces, p.Exclude.Namespaces = []string{"pod:shop/*"}, []string{"pod:*/web"}
		}, "spec.exclude.namespaces names it", "spec.exclude.namespaces names it"},
		{"excluded when it may be a pod that is", Place{Unnamed: true}, "nginx", func(p *Policy) {
			p.Exclude.Namespaces = []string{"pod:db/*"}
		}, "spec.exclude.namespaces may name it: the name of its pod or container is not known", "spec.exclude.namespaces may name it: the name of its pod or container is not known"},
		{"not excluded when no pod is", Place{Unnamed: true, Name: "blue"}, "nginx", func(p *Policy) {
			p.Exclude.Namespaces, p.LiveResize.Namespaces = []string{"edge"}, []string{"blue"}
		}, "", ""},
		{"what may be the pod is not resized", Place{Unnamed: true}, "nginx", func(p *Policy) {
			p.LiveResize.Namespaces = []string{"pod:*/*"}
		}, "", "spec.liveResize.namespaces does not name it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Default()
			tt.change(&p)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			if ok, why := p.Covers(tt.here); why != tt.covers || ok != (why == "") {
				t.Errorf("Covers(%+v) = %v, %q, want %q", tt.here, ok, why, tt.covers)
			}
			if ok, why := p.MayResize(tt.here, tt.command); why != tt.resizes || ok != (why == "") {
				t.Errorf("MayResize(%+v, %q) = %v, %q, want %q", tt.here, tt.command, ok, why, tt.resizes)
			}
		})
	}
}

func TestExcluded(t *testing.T) {
	p := Default()
	p.Exclude.Commands = []string{"kube-controller-manager", "db"}
	for command, want := range map[string]bool{
		"kubelet":         true, // always
		"sshd":            true,
		"kube-controller": true, // as the kernel cuts it
		"kube-control":    false,
		"db":              true,
		"dbus":            false,
		"nginx":           false,
		"":                false, // unknown
	} {
		if got := p.Excluded(command); got != want {
			t.Errorf("Excluded(%q) = %v, want %v", command, got, want)
		}
	}
}
