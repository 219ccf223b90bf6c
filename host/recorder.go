// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// A Recorder is a Live host that keeps what is read through it.
type Recorder struct {
	*Live
	dir      string
	qtune    string
	redactor *redactor // nil: record as it is

	step    int            // of the pass under way; -1 before the first
	vitals  map[int]Vitals // of that step
	found   foundFile
	fds     map[int][]Descriptor
	procs   procsFile
	cgroups map[uint64]string
	err     error // the first write that failed
}

// NewRecorder returns a Recorder that writes to dir, which must be empty or not
// there yet. A redacted recording names no host, user, address, unit, container
// or pod, but each always by the same substitute; programs keep their names.
func NewRecorder(l *Live, dir, qtuneVersion string, redact bool) (*Recorder, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: a recording wants a folder of its own", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &Recorder{
		Live: l, dir: dir, qtune: qtuneVersion, step: -1,
		fds: map[int][]Descriptor{}, cgroups: map[uint64]string{},
	}
	if redact {
		r.redactor = newRedactor()
	}
	return r, nil
}

// Info begins a new step.
func (r *Recorder) Info() (Info, error) {
	info, err := r.Live.Info()
	if err != nil {
		return info, err
	}
	r.step++
	r.vitals = map[int]Vitals{}
	if r.step == 0 {
		r.writeJSON(metaName, meta{
			Format: formatVersion, Qtune: r.qtune,
			Name: r.redactor.name("host", info.Name), Kernel: info.Kernel.Release, KernelLine: info.KernelLine, SynFull: string(info.Kernel.SynFull),
			Time: info.Time.UTC(), Redacted: r.redactor != nil,
		})
	}
	r.found.Time = info.Time.UTC()
	r.writeJSON(filepath.Join(stepDir(r.step), foundName), r.found)
	return info, nil
}

// Namespaces keeps what the search said, for the steps that follow.
func (r *Recorder) Namespaces(ctx context.Context, s Search) (Found, error) {
	found, err := r.Live.Namespaces(ctx, s)
	r.found = newFoundFile(found)
	r.keepProcesses(found.Processes)
	return found, err
}

// Processes keeps the numbers of the processes.
func (r *Recorder) Processes(ctx context.Context) ([]Process, error) {
	all, err := r.Live.Processes(ctx)
	r.keepProcesses(all)
	return all, err
}

func (r *Recorder) keepProcesses(all []Process) {
	if all == nil {
		return
	}
	r.procs.All = r.procs.All[:0]
	for _, p := range all {
		r.procs.All = append(r.procs.All, p.PID)
	}
}

// Visit keeps what is read inside.
func (r *Recorder) Visit(ctx context.Context, all []*Namespace, look func(*Namespace, Inside, error)) error {
	return r.Live.Visit(ctx, all, func(ns *Namespace, in Inside, err error) {
		t := &tee{in: in, recorder: r, dir: filepath.Join(stepDir(r.step), netnsDir(ns.Inode))}
		r.writeJSON(filepath.Join(t.dir, netnsName), netnsFile{
			Cookie: ns.Cookie, Host: ns.Host, Name: r.redactor.name("netns", ns.Name), PID: ns.PID,
		})
		if err != nil {
			t.keep(enterName, nil, err)
			look(ns, nil, err)
			return
		}
		look(ns, t, nil)
		t.keepLines(sysctlName, t.sysctls)
		t.keepLines(devicesName, t.devices)
	})
}

// Descriptors keeps the descriptors until it is known whether the process holds
// a listener.
func (r *Recorder) Descriptors(pid int, each func(Descriptor) (more bool)) error {
	r.fds[pid] = nil
	err := r.Live.Descriptors(pid, func(d Descriptor) bool {
		r.fds[pid] = append(r.fds[pid], d)
		return each(d)
	})
	if errors.Is(err, ErrPermission) && !slices.Contains(r.procs.Denied, pid) {
		r.procs.Denied = append(r.procs.Denied, pid)
	}
	return err
}

// Process keeps what is known of a process: it holds a listener.
func (r *Recorder) Process(pid int) (ProcessInfo, error) {
	p, err := r.Live.Process(pid)
	if err != nil {
		return p, err
	}
	dir := procDir(pid)
	r.write(filepath.Join(dir, "comm"), []byte(r.redactor.title(p.Comm)))
	r.write(filepath.Join(dir, "exe"), []byte(r.redactor.program(p.Exe)))
	r.write(filepath.Join(dir, "uid"), []byte(strconv.FormatUint(uint64(p.UID), 10)))
	r.write(filepath.Join(dir, "start"), []byte(p.Started.UTC().Format(time.RFC3339Nano)))
	r.write(filepath.Join(dir, "cgroup"), []byte(r.redactor.path(string(p.Cgroup))))
	var fds strings.Builder
	for _, d := range r.fds[pid] {
		fmt.Fprintln(&fds, d)
	}
	r.write(filepath.Join(dir, "fds"), []byte(fds.String()))
	return p, nil
}

// Program keeps what tells which program a process runs, without what may be a
// secret.
func (r *Recorder) Program(pid int) ProgramInfo {
	p := r.Live.Program(pid)
	dir := procDir(pid)
	p.Argv = r.redactor.argv(keepArgs(p.Argv))
	r.write(filepath.Join(dir, "argv"), []byte(strings.Join(p.Argv, "\n")))
	if p.Build != "" {
		r.write(filepath.Join(dir, "build"), []byte(p.Build))
	}
	if p.Handed > 0 {
		r.write(filepath.Join(dir, "handed"), []byte(strconv.Itoa(p.Handed)))
	}
	return p
}

// Vitals keeps how a process is doing.
func (r *Recorder) Vitals(pid int) (Vitals, error) {
	v, err := r.Live.Vitals(pid)
	if err == nil {
		r.vitals[pid] = v
		r.writeJSON(filepath.Join(stepDir(r.step), vitalsName), r.vitals)
	}
	return v, err
}

// CgroupPath keeps the path.
func (r *Recorder) CgroupPath(id uint64) (string, bool) {
	path, ok := r.Live.CgroupPath(id)
	if ok {
		r.cgroups[id] = path
	}
	return path, ok
}

// PodLogs keeps the pods.
func (r *Recorder) PodLogs() []PodLog {
	pods := r.Live.PodLogs()
	kept := make([]PodLog, len(pods))
	for i, p := range pods {
		kept[i] = r.redactor.pod(p)
	}
	r.writeJSON(podsName, kept)
	return pods
}

// Close writes what was gathered and says whether all could be written.
func (r *Recorder) Close() error {
	var lines []string
	for id, path := range r.cgroups {
		lines = append(lines, fmt.Sprintf("%d %s", id, r.redactor.path(path)))
	}
	slices.Sort(lines)
	r.write(cgroupsName, []byte(strings.Join(lines, "\n")+"\n"))
	r.writeJSON(procsName, r.procs)
	return r.err
}

// Steps returns how many steps were recorded.
func (r *Recorder) Steps() int { return r.step + 1 }

func (r *Recorder) writeJSON(name string, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		r.err = errors.Join(r.err, err)
		return
	}
	r.write(name, append(b, '\n'))
}

func (r *Recorder) write(name string, content []byte) {
	if r.err != nil {
		return
	}
	path := filepath.Join(r.dir, name)
	if r.err = os.MkdirAll(filepath.Dir(path), 0o700); r.err == nil {
		r.err = os.WriteFile(path, content, 0o600)
	}
}

// A tee is an Inside that keeps what is read.
type tee struct {
	in       Inside
	recorder *Recorder
	dir      string
	sysctls  []string
	devices  []string
}

// keep writes a file, or why it could not be read. What is absent leaves none.
func (t *tee) keep(name string, content []byte, err error) {
	switch {
	case err == nil:
		t.recorder.write(filepath.Join(t.dir, name), content)
	case !errors.Is(err, ErrAbsent):
		t.recorder.write(filepath.Join(t.dir, name+errorSuffix), formatError(err))
	}
}

func (t *tee) keepLines(name string, lines []string) {
	if len(lines) > 0 {
		t.keep(name, []byte(strings.Join(lines, "\n")+"\n"), nil)
	}
}

// Dump keeps the messages; when the dump itself fails, why.
func (t *tee) Dump(name DumpName, request []byte, each func([]byte) (bool, error)) error {
	if name == Lookups {
		return fmt.Errorf("a lookup while recording: %w", ErrAbsent) // so that all is dumped
	}
	var lines []byte
	var eachErr error
	err := t.in.Dump(name, request, func(datagram []byte) (bool, error) {
		lines = appendHex(lines, t.recorder.redactor.datagram(datagram))
		done, err := each(datagram)
		eachErr = err
		return done, err
	})
	t.keep(name.name(), lines, nil)
	if err != nil && eachErr == nil {
		t.keep(name.name(), nil, err)
	}
	return err
}

// Read keeps the file.
func (t *tee) Read(f File) ([]byte, error) {
	content, err := t.in.Read(f)
	t.keep(f.name(), content, err)
	return content, err
}

// Sysctl keeps the value.
func (t *tee) Sysctl(s tcpq.Sysctl) (string, error) {
	value, err := t.in.Sysctl(s)
	if err == nil {
		t.sysctls = append(t.sysctls, s.String()+" = "+value)
	}
	return value, err
}

// Device keeps the name.
func (t *tee) Device(index uint32) (string, error) {
	name, err := t.in.Device(index)
	if err == nil {
		t.devices = append(t.devices, fmt.Sprintf("%d %s", index, t.recorder.redactor.name("dev", name)))
	}
	return name, err
}
