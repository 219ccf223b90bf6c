// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/qtune/qtune/host"
)

// A stage is where the demo plays.
type stage struct {
	out    io.Writer
	qtune  string
	state  string // folder of the journal
	ns     *host.PrivateNamespace
	server *exec.Cmd
}

// show plays the whole of it.
func show(qtune string) error {
	if os.Geteuid() != 0 {
		return errors.New("the demo makes a network namespace and resizes a listener: it needs root (sudo make demo)")
	}
	s, err := newStage(os.Stdout, qtune)
	if err != nil {
		return err
	}
	defer s.end()

	s.say("A server in a network namespace of its own, which calls listen(fd, %d), and bursts of %d clients.", backlog, burst)
	before, err := s.load(nil)
	switch {
	case err != nil:
		return err
	case before.Late == 0:
		return errors.New("no client was refused: this machine is too fast for the demo, or too slow")
	}
	pid := strconv.Itoa(s.server.Process.Pid)
	s.say("\nWhich listener, and why? The same load again, while qtune watches.")
	if _, err := s.load([]string{"inspect", "--pid", pid, "--for", "2s", "--problems"}); err != nil {
		return err
	}
	s.say("\nIts queue is made longer while it runs.")
	if _, err := s.load([]string{"apply", "--pid", pid, "--for", "2s", "--live-resize", "--yes"}); err != nil {
		return err
	}
	s.say("\nThe same load, the same server, which was not restarted:")
	after, err := s.load(nil)
	switch {
	case err != nil:
		return err
	case after.Late > 0:
		return fmt.Errorf("%d clients were still refused", after.Late)
	}
	s.say("\nAnd back.")
	id, err := s.transaction()
	if err != nil {
		return err
	}
	if err := s.run("rollback", id); err != nil {
		return err
	}
	s.say("\nThe same load again:")
	again, err := s.load(nil)
	switch {
	case err != nil:
		return err
	case again.Late == 0:
		return errors.New("no client was refused after the rollback")
	}
	return nil
}

func newStage(out io.Writer, qtune string) (*stage, error) {
	live, err := host.NewLive("/")
	if err != nil {
		return nil, err
	}
	s := &stage{out: out, qtune: qtune}
	if s.state, err = os.MkdirTemp("", "qtune-demo-"); err != nil {
		return nil, err
	}
	if s.ns, err = live.NewNamespace(); err != nil {
		s.end()
		return nil, err
	}
	s.server = s.self("serve")
	if err := s.ns.Do(s.server.Start); err != nil {
		s.server = nil
		s.end()
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return s, nil
}

func (s *stage) end() {
	if s.server != nil {
		s.server.Process.Kill() //nolint:errcheck // it may have ended
		s.server.Wait()         //nolint:errcheck // it was killed
	}
	if s.ns != nil {
		s.ns.Close()
	}
	os.RemoveAll(s.state) //nolint:errcheck // in the folder for temporary files
}

// self is this program in another role.
func (s *stage) self(role string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], role) //nolint:noctx // end ends it
	cmd.Stderr = os.Stderr
	return cmd
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// load lets the bursts come, beside a command of qtune or alone, and tells what
// became of the clients.
func (s *stage) load(command []string) (result, error) {
	clients := s.self("load")
	var told strings.Builder
	clients.Stdout = &told
	if err := s.ns.Do(clients.Start); err != nil {
		return result{}, fmt.Errorf("start the clients: %w", err)
	}
	var failed error
	if command != nil {
		failed = s.run(command...)
	}
	if err := errors.Join(failed, clients.Wait()); err != nil {
		return result{}, err
	}
	var r result
	if err := json.Unmarshal([]byte(told.String()), &r); err != nil {
		return r, fmt.Errorf("read what became of the clients: %w", err)
	}
	if command == nil {
		s.say("  %s", r)
	}
	return r, nil
}

// run runs a command of qtune as at a terminal. What changes something keeps its
// journal in a folder of the demo.
func (s *stage) run(args ...string) error {
	s.say("$ qtune %s", strings.Join(args, " "))
	if args[0] == "apply" || args[0] == "rollback" {
		args = append(args, s.journal()...)
	}
	cmd := exec.Command(s.qtune, args...) //nolint:noctx // it ends by itself
	cmd.Stdout, cmd.Stderr = s.out, s.out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("qtune %s: %w", args[0], err)
	}
	return nil
}

func (s *stage) journal() []string {
	return []string{"--state-dir", s.state, "--lock-file", filepath.Join(s.state, "lock")}
}

// transaction returns the id of the only transaction there is.
func (s *stage) transaction() (string, error) {
	cmd := exec.Command(s.qtune, append([]string{"history", "-o", "json"}, s.journal()...)...) //nolint:noctx // it ends by itself
	cmd.Stderr = s.out
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("qtune history: %w", err)
	}
	var history struct{ Transactions []struct{ ID string } }
	if err := json.Unmarshal(text, &history); err != nil {
		return "", fmt.Errorf("read the history: %w", err)
	}
	if len(history.Transactions) != 1 {
		return "", fmt.Errorf("%d transactions in the history, want 1", len(history.Transactions))
	}
	return history.Transactions[0].ID, nil
}
