// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// A Recording is a host that was saved by a Recorder. It shows its last step
// until Seek.
type Recording struct {
	dir   string
	meta  meta
	steps []string
	step  int
}

// OpenRecording opens a recording.
func OpenRecording(dir string) (*Recording, error) {
	r := &Recording{dir: dir}
	if err := readJSON(filepath.Join(dir, metaName), &r.meta); err != nil {
		return nil, fmt.Errorf("%s is not a recording of qtune: %w", dir, err)
	}
	if r.meta.Format != formatVersion {
		return nil, fmt.Errorf("recording %s: format %d, this qtune reads %d", dir, r.meta.Format, formatVersion)
	}
	found, err := filepath.Glob(filepath.Join(dir, "[0-9]*", foundName))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("recording %s has no step", dir)
	}
	slices.Sort(found)
	for _, f := range found {
		r.steps = append(r.steps, filepath.Dir(f))
	}
	r.step = len(r.steps) - 1
	return r, nil
}

// Steps returns how many steps there are.
func (r *Recording) Steps() int { return len(r.steps) }

// Seek makes a step the one that is read.
func (r *Recording) Seek(step int) { r.step = step }

func (r *Recording) path(name ...string) string {
	return filepath.Join(append([]string{r.dir}, name...)...)
}

// Info says which host was recorded, and when the step was.
func (r *Recording) Info() (Info, error) {
	f, err := r.foundFile()
	if err != nil {
		return Info{}, err
	}
	v, err := tcpq.ParseVersion(r.meta.Kernel, r.meta.KernelLine)
	return Info{Name: r.meta.Name, Kernel: v, KernelLine: r.meta.KernelLine, Time: f.Time}, err
}

func (r *Recording) foundFile() (f foundFile, err error) {
	err = readJSON(filepath.Join(r.steps[r.step], foundName), &f)
	return f, err
}

// Namespaces returns the namespaces of the step.
func (r *Recording) Namespaces(ctx context.Context, s Search) (Found, error) {
	if s.Path != "" {
		return Found{}, fmt.Errorf("--netns %s: a recording has no paths, name the namespace by its number", s.Path)
	}
	f, err := r.foundFile()
	if err != nil {
		return Found{}, err
	}
	entries, err := os.ReadDir(r.steps[r.step])
	if err != nil {
		return Found{}, err
	}
	found := Found{Coverage: f.Coverage, Errors: f.Errors}
	if s.All() {
		if found.Processes, err = r.Processes(ctx); err != nil {
			return Found{}, err
		}
	}
	for _, e := range entries {
		inode, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil {
			continue
		}
		var n netnsFile
		if err := readJSON(filepath.Join(r.steps[r.step], e.Name(), netnsName), &n); err != nil {
			return Found{}, err
		}
		if s.All() || s.Host && n.Host || s.Inode == inode || s.PID != 0 && s.PID == n.PID {
			found.Namespaces = append(found.Namespaces, &Namespace{Inode: inode, Cookie: n.Cookie, Host: n.Host, Name: n.Name, PID: n.PID})
		}
	}
	slices.SortFunc(found.Namespaces, compareNamespaces)
	return found, nil
}

// Visit looks into the folder of each namespace.
func (r *Recording) Visit(ctx context.Context, all []*Namespace, look func(*Namespace, Inside, error)) error {
	for _, ns := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		in := recordedInside{filepath.Join(r.steps[r.step], netnsDir(ns.Inode))}
		if _, err := os.Stat(in.dir); err != nil {
			look(ns, nil, ErrGone)
		} else if _, err := in.file(enterName); !errors.Is(err, ErrAbsent) {
			look(ns, nil, err)
		} else {
			look(ns, in, nil)
		}
	}
	return nil
}

// Processes returns the processes there were; those that held no listener are
// only numbers.
func (r *Recording) Processes(context.Context) ([]Process, error) {
	var f procsFile
	if err := readJSON(r.path(procsName), &f); err != nil {
		return nil, err
	}
	all := []Process{}
	for _, pid := range f.All {
		all = append(all, Process{PID: pid})
	}
	return all, nil
}

// Process returns a process that was recorded.
func (r *Recording) Process(pid int) (ProcessInfo, error) {
	dir := r.path("proc", strconv.Itoa(pid))
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return string(b)
	}
	if _, err := os.Stat(dir); err != nil {
		return ProcessInfo{}, meaning(err)
	}
	uid, err := strconv.ParseUint(read("uid"), 10, 32)
	if err != nil {
		return ProcessInfo{}, fmt.Errorf("%s/uid: %w", dir, err)
	}
	started, err := time.Parse(time.RFC3339Nano, read("start"))
	if err != nil {
		return ProcessInfo{}, fmt.Errorf("%s/start: %w", dir, err)
	}
	return ProcessInfo{
		Comm: read("comm"), Exe: read("exe"), UID: uint32(uid), Cgroup: []byte(read("cgroup")), Started: started,
	}, nil
}

// Descriptors returns the descriptors that were recorded.
func (r *Recording) Descriptors(pid int, each func(Descriptor) (more bool)) error {
	content, err := os.ReadFile(r.path("proc", strconv.Itoa(pid), "fds"))
	if err != nil {
		return r.whyNoDescriptors(pid)
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		d, err := parseDescriptor(lines.Text())
		if err != nil {
			return err
		}
		if !each(d) {
			return nil
		}
	}
	return lines.Err()
}

// whyNoDescriptors says why those of a process were not recorded.
func (r *Recording) whyNoDescriptors(pid int) error {
	var f procsFile
	if err := readJSON(r.path(procsName), &f); err != nil {
		return err
	}
	if slices.Contains(f.Denied, pid) {
		return ErrPermission
	}
	return nil // it held no listener
}

// NamespaceOf returns a namespace that can no longer be entered: those that were
// met as descriptors have folders like all others.
func (r *Recording) NamespaceOf(_ int, fd Descriptor) *Namespace {
	return &Namespace{Inode: fd.Inode}
}

// CgroupPath returns the path of a cgroup id.
func (r *Recording) CgroupPath(id uint64) (string, bool) {
	content, err := os.ReadFile(r.path(cgroupsName))
	if err != nil {
		return "", false
	}
	path, ok := parsePairs(content, " ")[strconv.FormatUint(id, 10)]
	return path, ok
}

// CgroupProcesses returns the recorded processes of a cgroup v2.
func (r *Recording) CgroupProcesses(path string) (pids []int) {
	processes, err := r.Processes(context.Background())
	if err != nil {
		return nil
	}
	for _, p := range processes {
		content, err := os.ReadFile(r.path("proc", strconv.Itoa(p.PID), "cgroup"))
		if err == nil && bytes.Contains(append([]byte{'\n'}, content...), []byte("\n0::"+path+"\n")) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// PodLogs returns the pods that were recorded.
func (r *Recording) PodLogs() (pods []PodLog) {
	if err := readJSON(r.path(podsName), &pods); err != nil {
		return nil
	}
	return pods
}

// A recordedInside is the folder of a namespace.
type recordedInside struct{ dir string }

// file reads a file, or why there is none.
func (in recordedInside) file(name string) ([]byte, error) {
	if why, err := os.ReadFile(filepath.Join(in.dir, name+errorSuffix)); err == nil {
		return nil, parseError(why)
	}
	content, err := os.ReadFile(filepath.Join(in.dir, name))
	return content, meaning(err)
}

// Dump hands out the recorded messages under the sequence number of the request.
func (in recordedInside) Dump(name DumpName, request []byte, each func([]byte) (bool, error)) error {
	content, err := in.file(name.name())
	if err != nil {
		return err
	}
	done, err := eachHex(content, func(message []byte) (bool, error) {
		if len(message) >= sizeofNlmsghdr && len(request) >= sizeofNlmsghdr {
			copy(message[8:12], request[8:12])
		}
		return each(message)
	})
	if err == nil && !done {
		return errors.New("read a sock_diag answer: it ended early")
	}
	return err
}

// Read returns a recorded file.
func (in recordedInside) Read(f File) ([]byte, error) { return in.file(f.name()) }

// Sysctl returns a recorded value.
func (in recordedInside) Sysctl(s tcpq.Sysctl) (string, error) {
	return in.pair(sysctlName, "=", s.String())
}

// Device returns a recorded name.
func (in recordedInside) Device(index uint32) (string, error) {
	return in.pair(devicesName, " ", strconv.FormatUint(uint64(index), 10))
}

// pair returns the value of a key in a file of pairs.
func (in recordedInside) pair(file, separator, key string) (string, error) {
	content, err := in.file(file)
	if err != nil {
		return "", err
	}
	value, ok := parsePairs(content, separator)[key]
	if !ok {
		return "", fmt.Errorf("%s: %w", key, ErrAbsent)
	}
	return value, nil
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
