// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/qtune/qtune/test/lab"
)

// A container is what a manifest asks of the engine.
type container struct {
	flags []string // of docker run, capabilities aside
	caps  []string // added to none
	args  []string
}

// run returns the words of docker run, without one of the capabilities.
func (c container) run(without string) []string {
	words := append([]string{"run", "-d", "--cap-drop", "ALL"}, c.flags...)
	for _, name := range c.caps {
		if name != without {
			words = append(words, "--cap-add", name)
		}
	}
	return append(append(words, image), c.args...)
}

// A daemonSet is what of a DaemonSet a container engine can be asked for. Fields
// that it does not name make the test fail: each is translated, or left out here
// by its name because it speaks to Kubernetes alone.
type daemonSet struct {
	APIVersion, Kind string
	Metadata         any
	Spec             struct {
		Selector, UpdateStrategy any
		Template                 struct {
			Metadata any
			Spec     podSpec
		}
	}
}

type podSpec struct {
	HostPID    bool
	Containers []podContainer
	Volumes    []podVolume

	ServiceAccountName, PriorityClassName            string
	AutomountServiceAccountToken, EnableServiceLinks bool
	NodeSelector, Tolerations                        any
	TerminationGracePeriodSeconds                    int
}

type podVolume struct {
	Name     string
	HostPath *struct{ Path, Type string }
	EmptyDir any

	ConfigMap *struct{ Name string }
}

type podContainer struct {
	Name, Image, ImagePullPolicy string
	Args                         []string
	Env                          []struct{ Name, Value string }
	Resources                    struct{ Requests, Limits map[string]string }
	VolumeMounts                 []struct {
		Name, MountPath  string
		ReadOnly         bool
		MountPropagation string
	}
	SecurityContext struct {
		RunAsUser, RunAsGroup    int
		AllowPrivilegeEscalation bool
		ReadOnlyRootFilesystem   bool
		Capabilities             struct{ Drop, Add []string }
		SeccompProfile           struct{ Type string }
		AppArmorProfile          struct{ Type string }
	}

	Ports, LivenessProbe, ReadinessProbe any
}

// propagations are Docker's words for those of Kubernetes.
var propagations = map[string]string{"": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}

// An overlay is what kustomize makes of a folder of deploy/kubernetes.
type overlay struct {
	t       *testing.T
	objects map[string][]byte // by kind/name
	configs string            // folder of the files of its ConfigMaps
}

// build has kubectl build an overlay; Debian's is too old to.
func build(t *testing.T, name string) overlay {
	t.Helper()
	lab.NeedProgram(t, "kubectl")
	o := overlay{t, map[string][]byte{}, t.TempDir()}
	for text := range strings.SplitSeq(run(t, "kubectl", "kustomize", "../../deploy/kubernetes/"+name), "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
		}
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		o.objects[object.Kind+"/"+object.Metadata.Name] = []byte(text)
		for file, content := range object.Data {
			o.configure(object.Metadata.Name, file, content)
		}
	}
	return o
}

// configure writes a file of a ConfigMap.
func (o overlay) configure(name, file, content string) {
	o.t.Helper()
	path := filepath.Join(o.configs, name, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		o.t.Fatal(err)
	}
}

// replace replaces a text in every file of a ConfigMap.
func (o overlay) replace(from, to string) {
	o.t.Helper()
	files, err := filepath.Glob(filepath.Join(o.configs, "*", "*"))
	if err != nil || len(files) == 0 {
		o.t.Fatalf("no files in %s: %v", o.configs, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			o.t.Fatal(err)
		}
		if !strings.Contains(string(text), from) {
			o.t.Errorf("%s has no %q", path, from)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
}

// readDaemonSet reads the container of the base, which is as its file has it.
func readDaemonSet(t *testing.T) container {
	t.Helper()
	text, err := os.ReadFile("../../deploy/kubernetes/base/daemonset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return overlay{t: t, objects: map[string][]byte{"DaemonSet/qtune": text}}.daemonSet("qtune")
}

// daemonSet reads a DaemonSet's container as Kubernetes would ask for it.
func (o overlay) daemonSet(name string) container {
	t := o.t
	t.Helper()
	var set daemonSet
	if err := yaml.UnmarshalStrict(o.objects["DaemonSet/"+name], &set); err != nil {
		t.Fatalf("the DaemonSet has what this test does not translate: %v", err)
	}
	pod := set.Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers, want 1", len(pod.Containers))
	}
	asked := pod.Containers[0]
	rights := asked.SecurityContext
	if !slices.Equal(rights.Capabilities.Drop, []string{"ALL"}) || rights.SeccompProfile.Type != "RuntimeDefault" || rights.AppArmorProfile.Type != "Unconfined" {
		t.Fatalf("the security context has what this test does not translate: %+v", rights)
	}
	c := container{
		caps: rights.Capabilities.Add, args: asked.Args,
		flags: []string{"--user", strconv.Itoa(rights.RunAsUser), "--memory", strings.TrimSuffix(asked.Resources.Limits["memory"], "i"), "--security-opt", "apparmor=unconfined"},
	}
	if pod.HostPID {
		c.flags = append(c.flags, "--pid", "host")
	}
	if !rights.AllowPrivilegeEscalation {
		c.flags = append(c.flags, "--security-opt", "no-new-privileges")
	}
	if rights.ReadOnlyRootFilesystem {
		c.flags = append(c.flags, "--read-only")
	}
	for _, variable := range asked.Env {
		c.flags = append(c.flags, "--env", variable.Name+"="+variable.Value)
	}
	for _, mount := range asked.VolumeMounts {
		i := slices.IndexFunc(pod.Volumes, func(v podVolume) bool { return v.Name == mount.Name })
		how := propagations[mount.MountPropagation]
		if mount.ReadOnly {
			how += ",ro"
		}
		switch volume := pod.Volumes[i]; {
		case volume.HostPath != nil:
			c.flags = append(c.flags, "--volume", volume.HostPath.Path+":"+mount.MountPath+":"+how)
		case volume.ConfigMap != nil:
			c.flags = append(c.flags, "--volume", filepath.Join(o.configs, volume.ConfigMap.Name)+":"+mount.MountPath+":"+how)
		default:
			c.flags = append(c.flags, "--tmpfs", mount.MountPath)
		}
	}
	return c
}

// readMarathon reads the container of the Marathon app.
func readMarathon(t *testing.T) container {
	t.Helper()
	text, err := os.ReadFile("../../deploy/marathon/qtune.json")
	if err != nil {
		t.Fatal(err)
	}
	var app struct {
		Args      []string
		Env       map[string]string
		Container struct {
			Docker struct {
				Network    string
				Parameters []struct{ Key, Value string }
			}
		}
	}
	if err := json.Unmarshal(text, &app); err != nil {
		t.Fatal(err)
	}
	c := container{args: app.Args, flags: []string{"--network", "host"}}
	for name, value := range app.Env {
		c.flags = append(c.flags, "--env", name+"="+value)
	}
	for _, p := range app.Container.Docker.Parameters {
		switch p.Key {
		case "cap-drop": // container.run drops all
		case "cap-add":
			c.caps = append(c.caps, p.Value)
		default:
			c.flags = append(c.flags, "--"+p.Key+"="+p.Value)
		}
	}
	return c
}
