// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/policy"
)

// A privileged is a server that runs, a remote of it, and the box it may change.
type privileged struct {
	*box
	tuner   *Tuner
	remote  *Remote
	socket  string
	ceiling *policy.Policy // changed by a test between two calls

	end   context.CancelFunc
	ended chan error
}

// ceilingText allows the box, whose namespace is named so, and little else.
const ceilingText = `
apiVersion: qtune.dev/v1alpha1
kind: ListenQueuePolicy
metadata: {name: ceiling}
spec:
  mode: enforce
  scopes: [pod]
  bounds: {somaxconn: {max: 2048}, backlog: {max: 1024}}
  namespaces: [box]
  liveResize: {namespaces: [box]}
`

func newPrivileged(t *testing.T) *privileged {
	t.Helper()
	s := &privileged{box: newBox(t), ended: make(chan error, 1)}
	s.ns.Mount(filepath.Join(t.TempDir(), "box"))
	var err error
	if s.ceiling, err = policy.Parse("ceiling.yaml", []byte(ceilingText)); err != nil {
		t.Fatal(err)
	}
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(t)
	s.socket = filepath.Join(o.Dir, "tuner.sock")
	s.tuner = New(live, o)
	l, err := ListenServer(t.Context(), s.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(live, s.tuner, ServerOptions{
		Ceiling: func() (*policy.Policy, error) { p := *s.ceiling; return &p, nil }, Log: slog.New(slog.DiscardHandler),
	})
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	go func() { s.ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		end()
		if err := <-s.ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		s.ended <- nil
	})
	s.remote = NewRemote(s.socket)
	if _, err := s.remote.History(t.Context()); err != nil { // it serves when it has recovered
		t.Fatal(err)
	}
	return s
}

// apply asks for steps, on trial for a minute.
func (s *privileged) apply(steps ...Step) (*Transaction, error) {
	s.t.Helper()
	p := planOf(steps...)
	var err error
	if p.BootID, err = s.tuner.kernel.(*liveKernel).live.BootID(); err != nil {
		s.t.Fatal(err)
	}
	return s.remote.Apply(s.t.Context(), Now{}, p, ApplyOptions{Trial: time.Minute, Why: "a test"})
}

// TestRemoteOfADeafServer proves that whoever asks a server that does not answer is
// held up by it once, and not longer than it wants to wait.
func TestRemoteOfADeafServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuner.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := NewRemote(path)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.History(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("History = %v, want %v", err, context.DeadlineExceeded)
	}
	r.http.Timeout = 10 * time.Millisecond
	for range 2 {
		if _, err := r.History(t.Context()); err == nil || !strings.Contains(err.Error(), path+": it did not answer within 10ms and is not asked for 1m0s") {
			t.Errorf("History = %v, want that it did not answer", err)
		}
	}
	calls := func() (n int) {
		if err := l.(*net.UnixListener).SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for {
			c, err := l.Accept()
			if err != nil {
				return n
			}
			c.Close()
			n++
		}
	}
	if n := calls(); n != 2 {
		t.Errorf("it was called %d times, want twice", n)
	}
	later := time.Now().Add(-remoteRest)
	r.deaf.Store(&later)
	if _, err := r.History(t.Context()); err == nil || calls() != 1 {
		t.Errorf("a minute later: History = %v, want that it was asked", err)
	}
}

// TestKernelServer applies, keeps and takes back through the socket.
func TestKernelServer(t *testing.T) {
	s := newPrivileged(t)
	steps := []Step{s.sysctl(somaxconn, 128, 1024), s.listen(64, 1024)}
	tx, err := s.apply(steps...)
	if err != nil {
		t.Fatal(err)
	}
	s.want("on trial", steps, 1024, 1024)
	if tx.State != Applied || tx.Actor.Comm != AgentActor || tx.Actor.PID != os.Getpid() || tx.Why != "a test" || tx.Deadline == nil {
		t.Errorf("the transaction is %+v", tx)
	}
	if _, err := s.apply(s.sysctl(synBacklog, 256, 512)); !errors.Is(err, ErrOpen) && !errors.Is(err, ErrRail) {
		t.Errorf("a second one: %v, want ErrOpen", err)
	}
	if tx, err = s.remote.Confirm(t.Context(), Now{}, tx.ID); err != nil || tx.State != Confirmed {
		t.Fatalf("Confirm: %+v, %v", tx, err)
	}
	if all, err := s.remote.History(t.Context()); err != nil || len(all) != 1 || all[0].ID != tx.ID {
		t.Errorf("History: %d transactions, %v", len(all), err)
	}
	s.ns.SetSysctl(somaxconn, "512")
	if all, err := s.remote.Drift(t.Context(), Now{}); err != nil || len(all) != 1 || *all[0].Step.Seen != 512 {
		t.Errorf("Drift: %+v, %v", all, err)
	}
	s.ns.SetSysctl(somaxconn, "1024")
	if all, err := s.remote.Recover(t.Context(), Now{}, false); err != nil || len(all) != 0 {
		t.Errorf("Recover: %+v, %v", all, err)
	}
	if tx, err = s.remote.Rollback(t.Context(), Now{}, tx.ID, "a test"); err != nil || tx.State != RolledBack || tx.Reason != "a test" {
		t.Fatalf("Rollback: %+v, %v", tx, err)
	}
	s.want("rolled back", steps, 128, 64)
}

// TestKernelServerRefuses has what a compromised agent might ask for.
func TestKernelServerRefuses(t *testing.T) {
	s := newPrivileged(t)
	other := newBox(t) // a namespace that the ceiling does not name
	zombie := s.listen(64, 1024)
	zombie.Listener.Cookie = "00000000deadbeef"
	tests := []struct {
		name  string
		steps []Step
		with  func(*policy.Policy) // another ceiling
		want  error
		says  string
	}{
		{name: "a lower value", steps: []Step{s.sysctl(somaxconn, 128, 64)}, want: ErrRail, says: "increase-only"},
		{name: "a shorter queue", steps: []Step{s.listen(64, 8)}, want: ErrRail, says: "increase-only"},
		{name: "more than the ceiling", steps: []Step{s.sysctl(somaxconn, 128, 4096)}, want: ErrRail, says: "bounds"},
		{name: "a longer queue than the ceiling", steps: []Step{s.sysctl(somaxconn, 128, 2048), s.listen(64, 2048)}, want: ErrRail, says: "bounds"},
		{name: "another setting", steps: []Step{s.sysctl("net.ipv4.tcp_abort_on_overflow", 0, 1)}, says: "no sysctl that qtune changes"},
		{name: "cookies turned off", steps: []Step{s.sysctl(syncookies, 1, 0)}, want: ErrRail, says: "cookies-on"},
		{name: "another namespace", steps: []Step{other.sysctl(somaxconn, 128, 1024)}, want: ErrRail, says: "does not cover"},
		{name: "another namespace's listener", steps: []Step{other.listen(64, 128)}, want: ErrRail, says: "does not cover"},
		{name: "a socket that is not there", steps: []Step{zombie}, want: ErrStale, says: "no more"},
		{name: "a resize that the ceiling does not allow", steps: []Step{s.listen(64, 128)}, want: ErrRail, says: NoConsent, with: func(p *policy.Policy) { p.LiveResize.Namespaces = nil }},
		{name: "a program that is left alone", steps: []Step{s.listen(64, 128)}, want: ErrRail, says: Excluded, with: func(p *policy.Policy) { p.Exclude.Commands = []string{filepath.Base(os.Args[0])} }},
		{name: "anything where the ceiling only advises", steps: []Step{s.sysctl(somaxconn, 128, 256)}, want: ErrRail, says: "enforce", with: func(p *policy.Policy) { p.Mode = policy.Advise }},
		{name: "more often than the ceiling allows", steps: []Step{s.sysctl(somaxconn, 128, 256)}, want: ErrRail, says: "maxPerHour", with: func(p *policy.Policy) { p.MaxPerHour = 0 }},
	}
	all := *s.ceiling
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			*s.ceiling = all
			if tt.with != nil {
				tt.with(s.ceiling)
			}
			tx, err := s.apply(tt.steps...)
			if tx != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Apply = %+v, %v, want an error %v with %q", tx, err, tt.want, tt.says)
			}
		})
	}
	s.want("afterwards", s.three(), 128, 256, 64)
	other.want("afterwards", other.three(), 128, 256, 64)
}

// TestKernelServerLeavesPeopleAlone asks for what a person began.
func TestKernelServerLeavesPeopleAlone(t *testing.T) {
	s := newPrivileged(t)
	live := s.tuner.kernel.(*liveKernel).live
	now, err := Present(live)
	if err != nil {
		t.Fatal(err)
	}
	p := planOf(s.sysctl(somaxconn, 128, 1024))
	p.BootID = now.BootID
	tx, err := s.tuner.Apply(t.Context(), now, p, ApplyOptions{Trial: time.Minute, Actor: Actor{Comm: "qtune"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.remote.Rollback(t.Context(), Now{}, tx.ID, "a whim"); !errors.Is(err, host.ErrPermission) {
		t.Errorf("Rollback of a person's: %v, want ErrPermission", err)
	}
	if _, err := s.remote.Confirm(t.Context(), Now{}, tx.ID[:8]); !errors.Is(err, host.ErrPermission) {
		t.Errorf("Confirm of a person's: %v, want ErrPermission", err)
	}
	s.end()
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
	s.ended <- nil
	s.want("after the server ended", p.Steps, 1024)
}

// TestKernelServerEnds rolls its own trial back.
func TestKernelServerEnds(t *testing.T) {
	s := newPrivileged(t)
	steps := []Step{s.sysctl(somaxconn, 128, 1024), s.listen(64, 1024)}
	if _, err := s.apply(steps...); err != nil {
		t.Fatal(err)
	}
	s.end()
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
	s.ended <- nil
	s.want("after the server ended", steps, 128, 64)
}

// TestKernelServerServesRootOnly connects as nobody, to a socket that lets him.
func TestKernelServerServesRootOnly(t *testing.T) {
	s := newPrivileged(t)
	at, err := os.Stat(s.socket)
	if err != nil || at.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", at.Mode(), err)
	}
	for dir := s.socket; dir != "/"; dir = filepath.Dir(dir) { // of the test's own folders
		if err := os.Chmod(dir, 0o777); err != nil || filepath.Dir(dir) == os.TempDir() {
			break
		}
	}
	s.remote.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		return dialAs(65534, s.socket)
	}
	if _, err := s.remote.History(t.Context()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("History as nobody: %v, want 403", err)
	}
}

// dialAs connects on a thread that is another user, and ends.
func dialAs(uid uintptr, path string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); e != 0 {
			err = e
			return
		}
		fd, e := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if e != nil {
			err = e
			return
		}
		f := os.NewFile(uintptr(fd), path)
		defer f.Close()
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err == nil {
			conn, err = net.FileConn(f)
		}
	}()
	<-done
	return conn, err
}

// TestListenServer takes the place of what is dead, and of nothing else.
func TestListenServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuner.sock")
	first, err := ListenServer(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenServer(t.Context(), path); err == nil || !strings.Contains(err.Error(), "another qtune tuner") {
		t.Errorf("beside one that serves: %v, want that another serves", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as one that was killed
	first.Close()
	second, err := ListenServer(t.Context(), path)
	if err != nil {
		t.Fatalf("in the place of a dead one: %v", err)
	}
	second.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenServer(t.Context(), path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("in the place of a file: %v, want that it is no socket", err)
	}
}

// TestNobodyServes asks a tuner that is not there, and one that was killed.
func TestNobodyServes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuner.sock")
	for range 2 {
		_, err := NewRemote(path).History(t.Context())
		if want := "ask qtune tuner at " + path + ": none runs there: "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("History: %v, want %s", err, want)
		}
		l, err := ListenServer(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
	}
}

// TestErrorsTravel sends every error that callers decide on.
func TestErrorsTravel(t *testing.T) {
	if travelling(nil) != nil {
		t.Error("no error travels as one")
	}
	for _, s := range sentinels {
		sent := fmt.Errorf("set a value: %w", errors.Join(s.err, fs.ErrInvalid))
		got := (&answer{Error: travelling(sent)}).err()
		for _, other := range sentinels {
			if is := errors.Is(got, other.err); is != (other == s) {
				t.Errorf("%s arrives as %s: %v", s.name, other.name, is)
			}
		}
		if !strings.Contains(got.Error(), sent.Error()) {
			t.Errorf("%q arrives as %q", sent, got)
		}
	}
}

// TestTrialsHaveAnEnd refuses times that are none, before anything is looked at.
func TestTrialsHaveAnEnd(t *testing.T) {
	s := &Server{}
	for _, seconds := range []float64{-1, math.NaN(), math.Inf(1), 1e9} {
		_, err := s.apply(t.Context(), Now{}, applyRequest{Plan: []byte(`{"apiVersion":"` + APIVersion + `","kind":"Plan"}`), TrialSeconds: seconds})
		if !errors.Is(err, ErrRail) {
			t.Errorf("a trial of %g s: %v, want ErrRail", seconds, err)
		}
	}
}
