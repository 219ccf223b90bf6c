// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
)

// binaryVariable names a qtune binary to test instead of building one, for
// machines without Go.
const binaryVariable = "QTUNE_BINARY"

var built struct {
	once sync.Once
	dir  string // to remove at the end
	path string
	err  error
}

// Binary returns the path of the qtune binary, built once for all tests; every
// user may run it.
func Binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.path = os.Getenv(binaryVariable); built.path == "" {
			built.err = buildBinary()
		}
	})
	must(t, "build qtune", built.err)
	return built.path
}

func buildBinary() error {
	dir, err := os.MkdirTemp("", "qtune-lab-")
	if err != nil {
		return err
	}
	built.dir = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	built.path = filepath.Join(dir, "qtune")
	//nolint:noctx // outlives the test that comes first
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", built.path, "github.com/qtune/qtune/cmd/qtune")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

func removeBinary() {
	if built.dir != "" {
		os.RemoveAll(built.dir) //nolint:errcheck // in the folder for temporary files
	}
}

// A Run is a qtune that was started.
type Run struct {
	PID            int
	Stdout, Stderr bytes.Buffer

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error
}

// Command starts qtune with arguments and does not wait for it.
func Command(t testing.TB, args ...string) *Run {
	t.Helper()
	return startRun(t, nil, append([]string{Binary(t)}, args...))
}

// CommandAs is [Command] as another user, of no group and without any capability.
func CommandAs(t testing.TB, uid uint32, args ...string) *Run {
	t.Helper()
	return startRun(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}, append([]string{Binary(t)}, args...))
}

// Go starts `qtune inspect` with arguments and does not wait for it.
func Go(t testing.TB, args ...string) *Run {
	t.Helper()
	return startRun(t, nil, append([]string{Binary(t), "inspect", "--agent", "none"}, args...))
}

// GoAs is [Go] as another user, of no group and without any capability.
func GoAs(t testing.TB, uid uint32, args ...string) *Run {
	t.Helper()
	return startRun(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}},
		append([]string{Binary(t), "inspect", "--agent", "none"}, args...))
}

// GoIn is [Go] in a child process with namespaces of its own.
func GoIn(t testing.TB, p Process, args ...string) *Run {
	t.Helper()
	p.Exec = append([]string{Binary(t), "inspect", "--agent", "none"}, args...)
	r := &Run{t: t, cmd: command(t, exec.CommandContext(t.Context(), "/proc/self/exe"), p)}
	r.start()
	return r
}

func startRun(t testing.TB, attr *syscall.SysProcAttr, argv []string) *Run {
	t.Helper()
	r := &Run{t: t, cmd: exec.CommandContext(t.Context(), argv[0], argv[1:]...)}
	r.cmd.SysProcAttr = attr
	r.cmd.Dir = "/" // one that every user may be in
	r.start()
	return r
}

func (r *Run) start() {
	r.t.Helper()
	r.cmd.Stdout, r.cmd.Stderr = &r.Stdout, &r.Stderr
	must(r.t, "start qtune", r.cmd.Start())
	r.PID = r.cmd.Process.Pid
	r.done = make(chan struct{})
	go func() {
		r.err = r.cmd.Wait()
		close(r.done)
	}()
	r.t.Cleanup(func() { <-r.done }) // the test's context ended it
}

// Running reports whether it has not ended yet.
func (r *Run) Running() bool {
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// WaitIdle waits until the program has read something and then nothing for a
// while: it has begun to watch and waits for its next turn.
func (r *Run) WaitIdle() {
	r.t.Helper()
	const enough, still = 100, 50 * time.Millisecond // read calls; some 10 make a start
	var last uint64
	var since time.Time
	Wait(r.t, "qtune to watch", func() bool {
		reads := reads(r.PID)
		if reads != last {
			last, since = reads, time.Now()
		}
		return !r.Running() || reads > enough && time.Since(since) > still
	})
}

// reads returns how often a process has called read(2) and the like.
func reads(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/io")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "syscr: ")
	text, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.ParseUint(text, 10, 64) // 0 when it has ended
	return n
}

// Wait waits for the end and returns the exit code.
func (r *Run) Wait() int {
	r.t.Helper()
	<-r.done
	if _, ok := errors.AsType[*exec.ExitError](r.err); !ok {
		must(r.t, "run qtune", r.err)
	}
	return r.cmd.ProcessState.ExitCode()
}

// Inspection waits for a run with -o json, which must succeed and must not
// panic, and returns what it wrote.
func (r *Run) Inspection() *inspection.Inspection {
	r.t.Helper()
	if code := r.Wait(); code != 0 || strings.Contains(r.Stderr.String(), "goroutine ") {
		r.t.Fatalf("qtune inspect %q: exit %d, %s", r.cmd.Args[1:], code, r.Stderr.String())
	}
	d := json.NewDecoder(&r.Stdout)
	d.DisallowUnknownFields()
	in := &inspection.Inspection{}
	must(r.t, "decode the JSON of qtune", d.Decode(in))
	return in
}

// Inspect runs `qtune inspect -o json` with more arguments.
func Inspect(t testing.TB, args ...string) *inspection.Inspection {
	t.Helper()
	return Go(t, append([]string{"-o", "json"}, args...)...).Inspection()
}

// In returns what an inspection says of the namespace, nil when it is missing.
func (n *Namespace) In(in *inspection.Inspection) *inspection.Namespace {
	for i := range in.Namespaces {
		if in.Namespaces[i].Inode == n.Inode {
			return &in.Namespaces[i]
		}
	}
	return nil
}
