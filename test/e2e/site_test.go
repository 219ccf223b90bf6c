// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"bytes"
	"cmp"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// port is where every server listens, each in a namespace of its own.
const port = 8080

var address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)

// patience is how long a server may take to start: Java's on a busy machine.
const patience = time.Minute

// grace is how long a server may take to end by itself.
const grace = 5 * time.Second

// A site is one server in its namespace, with its configuration.
type site struct {
	t      *testing.T
	ns     *lab.Namespace
	dir    string
	remedy string      // the example of the hint, once there is one
	env    []string    // beside this process's; {dir} is the folder
	end    unix.Signal // that ends it, 0 for SIGTERM
	main   *exec.Cmd
	words  bytes.Buffer // what the server said
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, ns: lab.NewNamespace(t), dir: t.TempDir()}
	// Servers drop their privileges and must still reach their files.
	for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		s.must("open the folder for all", os.Chmod(dir, 0o755)) //nolint:gosec // see above
	}
	t.Cleanup(s.stop)
	return s
}

func (s *site) must(doing string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v; the server said: %s", doing, err, s.words.String())
	}
}

// write writes a file of the configuration and returns its path.
func (s *site) write(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.must("make a folder", os.MkdirAll(filepath.Dir(path), 0o755))
	s.must("write the configuration", os.WriteFile(path, []byte(content), 0o644)) //nolint:gosec // servers drop their privileges
	return path
}

// run runs a program to its end, as a user of the system or as root.
func (s *site) run(as string, argv ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(s.t, as)}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

// start starts the server in the namespace.
func (s *site) start(as string, argv []string) {
	s.t.Helper()
	s.main = exec.CommandContext(s.t.Context(), argv[0], argv[1:]...)
	s.main.Dir = "/"
	s.main.Env = os.Environ()
	for _, word := range s.env {
		s.main.Env = append(s.main.Env, strings.ReplaceAll(word, "{dir}", s.dir))
	}
	s.main.Stdout, s.main.Stderr = &s.words, &s.words
	s.main.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential(s.t, as)}
	s.ns.Do(func() { s.must("start the server", s.main.Start()) })
}

// stop ends the server and all that it started.
func (s *site) stop() {
	if s.main == nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.main.Wait() //nolint:errcheck // it was killed
	}()
	unix.Kill(s.main.Process.Pid, cmp.Or(s.end, unix.SIGTERM)) //nolint:errcheck // it may have ended
	select {
	case <-ended: // in order: shared memory and the like are gone
	case <-time.After(grace):
	}
	unix.Kill(-s.main.Process.Pid, unix.SIGKILL) //nolint:errcheck // what is left of it, if anything
	<-ended
	s.main = nil
}

// credential returns who a user of the system is, nil for root.
func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// listener waits until the server listens and returns what qtune says of it.
func (s *site) listener() inspection.Listener {
	s.t.Helper()
	var found inspection.Listener
	listens := lab.Within(patience, func() bool {
		in := lab.Inspect(s.t, "--netns", s.ns.Path(), "--port", strconv.Itoa(port), "--for", "0")
		if len(in.Listeners) != 1 {
			return false
		}
		found = in.Listeners[0]
		return true
	})
	if !listens {
		s.t.Fatalf("waited %v in vain for the server to listen; it said: %s", patience, s.words.String())
	}
	return found
}

// overrun makes a server stand still for a moment while clients connect, and
// returns what qtune saw. Every client has to get in, sooner or later.
func (s *site) overrun(clients int) *inspection.Inspection {
	s.t.Helper()
	watching := lab.Go(s.t, "--netns", s.ns.Path(), "--for", "2s", "-o", "json")
	s.overrunBeside(watching, clients)
	return watching.Inspection()
}

// overrunBeside is overrun while a command watches.
func (s *site) overrunBeside(watching *lab.Run, clients int) {
	s.t.Helper()
	holders := s.listener().Owner.PIDs
	watching.WaitIdle()

	s.signal(holders, unix.SIGSTOP)
	before := s.ns.Counters()
	s.ns.Connect(address, clients)
	lab.Wait(s.t, "the kernel to answer every client", func() bool {
		s.ns.Say("\n") // a server that defers accepts waits for data
		now := s.ns.Counters()
		return now["PassiveOpens"]-before["PassiveOpens"]+now["ListenOverflows"]-before["ListenOverflows"] >= uint64(clients)
	})
	s.signal(holders, unix.SIGCONT)

	watching.Wait()
	s.ns.CloseClients()
}

func (s *site) signal(pids []int, sig unix.Signal) {
	s.t.Helper()
	for _, pid := range pids {
		s.must("signal the server", unix.Kill(pid, sig))
	}
}
