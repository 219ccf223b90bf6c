// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// A Recording is a host that was saved by a Recorder. It shows its last step
// until Seek.
//
// It may come from a stranger: no symbolic link in it leads out of its folder,
// and nothing but regular files of a bounded size is read.
type Recording struct {
	root  *os.Root
	meta  meta
	steps []string // folders, in order of time
	step  int

	procs   procsFile
	denied  map[int]bool
	cgroups map[string]string // paths by id
	members map[string][]int  // recorded processes by cgroup v2
}

// OpenRecording opens a recording.
func OpenRecording(dir string) (*Recording, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	r := &Recording{root: root}
	if err := r.readJSON(metaName, &r.meta); err != nil {
		return nil, fmt.Errorf("%s is not a recording of qtune: %w", dir, err)
	}
	if r.meta.Format != formatVersion {
		return nil, fmt.Errorf("recording %s: format %d, this qtune reads %d", dir, r.meta.Format, formatVersion)
	}
	if err := r.findSteps(); err != nil {
		return nil, fmt.Errorf("recording %s: %w", dir, err)
	}
	if err := r.readJSON(procsName, &r.procs); err != nil {
		return nil, fmt.Errorf("recording %s: %w", dir, err)
	}
	r.index()
	return r, nil
}

// findSteps finds the steps and checks that time goes forward.
func (r *Recording) findSteps() error {
	entries, err := fs.ReadDir(r.root.FS(), ".")
	if err != nil {
		return err
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() && e.Name() == stepDir(n) {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		return errors.New("it has no step")
	}
	slices.Sort(numbers)
	var last time.Time
	for _, n := range numbers {
		r.steps = append(r.steps, stepDir(n))
		r.step = len(r.steps) - 1
		f, err := r.foundFile()
		if err != nil {
			return err
		}
		if !f.Time.After(last) {
			return fmt.Errorf("step %s is not later than the one before", stepDir(n))
		}
		last = f.Time
	}
	return nil
}

// index reads what is asked for again and again.
func (r *Recording) index() {
	r.denied = map[int]bool{}
	for _, pid := range r.procs.Denied {
		r.denied[pid] = true
	}
	content, _ := r.read(cgroupsName) // a host without cgroup v2 has none
	r.cgroups = parsePairs(content, " ")
	r.members = map[string][]int{}
	for _, pid := range r.procs.All {
		content, err := r.read(path.Join(procDir(pid), "cgroup"))
		if err != nil {
			continue // it held no listener
		}
		for line := range bytes.Lines(content) {
			if v2, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::"); ok {
				r.members[v2] = append(r.members[v2], pid)
			}
		}
	}
}

// Steps returns how many steps there are.
func (r *Recording) Steps() int { return len(r.steps) }

// Seek makes a step the one that is read.
func (r *Recording) Seek(step int) { r.step = step }

// Info says which host was recorded, and when the step was.
func (r *Recording) Info() (Info, error) {
	f, err := r.foundFile()
	if err != nil {
		return Info{}, err
	}
	v, err := tcpq.ParseVersion(r.meta.Kernel, r.meta.KernelLine)
	v.SynFull = tcpq.SynFullTest(r.meta.SynFull)
	return Info{Name: r.meta.Name, Kernel: v, KernelLine: r.meta.KernelLine, Time: f.Time}, err
}

func (r *Recording) foundFile() (f foundFile, err error) {
	err = r.readJSON(path.Join(r.steps[r.step], foundName), &f)
	return f, err
}

// Namespaces returns the namespaces of the step.
func (r *Recording) Namespaces(ctx context.Context, s Search) (Found, error) {
	if s.Path != "" {
		return Found{}, fmt.Errorf("--netns %s: a recording has no paths, name the namespace or give its number", s.Path)
	}
	f, err := r.foundFile()
	if err != nil {
		return Found{}, err
	}
	entries, err := fs.ReadDir(r.root.FS(), r.steps[r.step])
	if err != nil {
		return Found{}, err
	}
	found := Found{Coverage: f.Coverage.coverage(), Errors: f.errors()}
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
		if err := r.readJSON(path.Join(r.steps[r.step], e.Name(), netnsName), &n); err != nil {
			found.Errors = append(found.Errors, tcpq.Error{Netns: inode, Stage: "discover", Message: err.Error()})
			continue
		}
		ns := &Namespace{Inode: inode, Cookie: n.Cookie, Host: n.Host, Name: n.Name, PID: n.PID}
		if s.wants(ns) && (!s.Host || ns.Host) { // a process may hold sockets of any
			found.Namespaces = append(found.Namespaces, ns)
		}
	}
	slices.SortFunc(found.Namespaces, compareNamespaces)
	return found, s.missing(found.Namespaces)
}

// Visit looks into the folder of each namespace.
func (r *Recording) Visit(ctx context.Context, all []*Namespace, look func(*Namespace, Inside, error)) error {
	for _, ns := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		in := recordedInside{r, path.Join(r.steps[r.step], netnsDir(ns.Inode))}
		if _, err := r.root.Stat(in.dir); err != nil {
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
	all := make([]Process, 0, len(r.procs.All))
	for _, pid := range r.procs.All {
		all = append(all, Process{PID: pid})
	}
	return all, nil
}

// Process returns a process that was recorded.
func (r *Recording) Process(pid int) (ProcessInfo, error) {
	dir := procDir(pid)
	text := func(name string) string {
		content, _ := r.read(path.Join(dir, name))
		return string(content)
	}
	if _, err := r.root.Stat(dir); err != nil {
		return ProcessInfo{}, meaning(err)
	}
	uid, err := strconv.ParseUint(text("uid"), 10, 32)
	if err != nil {
		return ProcessInfo{}, fmt.Errorf("%s/uid: %w", dir, err)
	}
	started, err := time.Parse(time.RFC3339Nano, text("start"))
	if err != nil {
		return ProcessInfo{}, fmt.Errorf("%s/start: %w", dir, err)
	}
	return ProcessInfo{
		Comm: text("comm"), Exe: text("exe"), UID: uint32(uid), Cgroup: []byte(text("cgroup")), Started: started,
	}, nil
}

// Program returns what was recorded of the program of a process.
func (r *Recording) Program(pid int) ProgramInfo {
	var p ProgramInfo
	dir := procDir(pid)
	if argv, err := r.read(path.Join(dir, "argv")); err == nil && len(argv) > 0 {
		p.Argv = strings.Split(string(argv[:min(len(argv), maxArgv)]), "\n")
	}
	if build, err := r.read(path.Join(dir, "build")); err == nil {
		p.Build = string(build)
	}
	if handed, err := r.read(path.Join(dir, "handed")); err == nil {
		if n, err := strconv.Atoi(string(handed)); err == nil {
			p.Handed = max(n, 0)
		}
	}
	return p
}

// Vitals returns how a process was doing in this step.
func (r *Recording) Vitals(pid int) (Vitals, error) {
	var all map[int]Vitals
	if err := r.readJSON(path.Join(r.steps[r.step], vitalsName), &all); err != nil {
		return Vitals{}, err
	}
	v, ok := all[pid]
	if !ok {
		return v, ErrAbsent
	}
	return v, nil
}

// Descriptors returns the descriptors that were recorded.
func (r *Recording) Descriptors(pid int, each func(Descriptor) (more bool)) error {
	if r.denied[pid] {
		return ErrPermission
	}
	content, err := r.read(path.Join(procDir(pid), "fds"))
	if err != nil {
		return nil //nolint:nilerr // it held no listener
	}
	for line := range strings.Lines(string(content)) {
		d, err := parseDescriptor(strings.TrimSpace(line))
		if err != nil {
			return err
		}
		if !each(d) {
			return nil
		}
	}
	return nil
}

// NamespaceOf returns a namespace that can no longer be entered: those that were
// met as descriptors have folders like all others.
func (r *Recording) NamespaceOf(_ int, fd Descriptor) *Namespace {
	return &Namespace{Inode: fd.Inode}
}

// CgroupPath returns the path of a cgroup id.
func (r *Recording) CgroupPath(id uint64) (string, bool) {
	path, ok := r.cgroups[strconv.FormatUint(id, 10)]
	return path, ok
}

// CgroupProcesses returns the recorded processes of a cgroup v2.
func (r *Recording) CgroupProcesses(path string) []int { return r.members[path] }

// PodLogs returns the pods that were recorded.
func (r *Recording) PodLogs() (pods []PodLog) {
	if err := r.readJSON(podsName, &pods); err != nil {
		return nil
	}
	return pods
}

// maxRecorded is the size of the largest file of a recording that is read: the
// dump of a hundred thousand listeners.
const maxRecorded = 64 << 20

// read reads a file of the recording.
func (r *Recording) read(name string) ([]byte, error) {
	f, err := r.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not make us wait
	if err != nil {
		return nil, meaning(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > maxRecorded {
		return nil, fmt.Errorf("%s: not a file of a recording", name)
	}
	return io.ReadAll(io.LimitReader(f, maxRecorded))
}

func (r *Recording) readJSON(name string, v any) error {
	b, err := r.read(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
