// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

// TestGuardians has a host with each kind of guardian. None here was booted with
// systemd, or is asked whether it was.
func TestGuardians(t *testing.T) {
	yes := func(context.Context) bool { return true }
	no := func(context.Context) bool { return false }
	tests := []struct {
		name string
		o    GuardOptions
		want Guardian
	}{
		{"an agent that enforces comes first", GuardOptions{Enforcing: yes, Foreground: true}, ByAgent},
		{"then who stays", GuardOptions{Enforcing: no, Foreground: true}, ByForeground},
		{"who has no agent to ask stays, too", GuardOptions{Foreground: true}, ByForeground},
		{"nobody", GuardOptions{Enforcing: no}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Trial = time.Minute
			g, err := Arrange(t.Context(), tt.o)
			switch {
			case tt.want == "":
				if !errors.Is(err, ErrNoGuardian) {
					t.Errorf("Arrange(%+v) = %v, want ErrNoGuardian", tt.o, err)
				}
			case err != nil || g.By != tt.want:
				t.Errorf("Arrange(%+v) = %+v, %v, want %s", tt.o, g, err, tt.want)
			default:
				if err := g.Release(t.Context()); err != nil {
					t.Errorf("Release: %v", err)
				}
			}
		})
	}
}

// A unit is one that systemd was asked for.
type unit struct {
	Name, Mode string
	Properties map[string]string
}

// A fakeManager takes what systemd takes and starts nothing.
type fakeManager struct {
	bus     *dbus.Conn
	result  string // of each job
	started chan unit
	stopped chan string
}

const (
	managerName = "org.freedesktop.systemd1"
	managerPath = "/org/freedesktop/systemd1"
)

// A property is one as it travels.
type property struct {
	Name  string
	Value dbus.Variant
}

// StartTransientUnit is the method of org.freedesktop.systemd1.Manager.
func (m *fakeManager) StartTransientUnit(name, mode string, properties []property, aux []struct {
	Name       string
	Properties []property
},
) (dbus.ObjectPath, *dbus.Error) {
	m.started <- unit{name, mode, texts(properties)}
	for _, a := range aux {
		m.started <- unit{a.Name, "", texts(a.Properties)}
	}
	return m.job(name)
}

// StopUnit is another.
func (m *fakeManager) StopUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	m.stopped <- name
	return m.job(name)
}

// job says at once that a job is done.
func (m *fakeManager) job(name string) (dbus.ObjectPath, *dbus.Error) {
	const id, path = uint32(7), dbus.ObjectPath(managerPath + "/job/7")
	if err := m.bus.Emit(managerPath, managerName+".Manager.JobRemoved", id, path, name, m.result); err != nil {
		return "", dbus.MakeFailedError(err)
	}
	return path, nil
}

func texts(properties []property) map[string]string {
	all := map[string]string{}
	for _, p := range properties {
		all[p.Name] = p.Value.String()
	}
	return all
}

// newBus starts a message bus of the test's own and a manager on it, and returns
// the manager and a connection to it.
func newBus(t *testing.T, result string) (*fakeManager, *systemd.Conn) {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("dbus-daemon is not installed")
	}
	daemon := exec.CommandContext(t.Context(), "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1",
		"--address=unix:dir="+t.TempDir())
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Wait() }) //nolint:errcheck // the test's context killed it
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("dbus-daemon: %v", err)
	}
	dial := func() (*dbus.Conn, error) { return dbus.Connect(strings.TrimSpace(address)) }

	m := &fakeManager{result: result, started: make(chan unit, 2), stopped: make(chan string, 1)}
	if m.bus, err = dial(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.bus.Close() }) //nolint:errcheck // the bus ends with the test
	if err := m.bus.Export(m, managerPath, managerName+".Manager"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.bus.RequestName(managerName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	conn, err := systemd.NewConnection(dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return m, conn
}

// TestTimerOverDBus sends what systemd is asked for over a real bus.
func TestTimerOverDBus(t *testing.T) {
	m, conn := newBus(t, "done")
	timer, err := startTimerBy(t.Context(), conn, []string{"/usr/bin/qtune", "recover"}, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(timer.name, ".timer")
	want := []unit{
		{name + ".timer", "fail", map[string]string{
			"Description":       `"End of a trial of qtune"`,
			"TimersMonotonic":   fmt.Sprintf(`@a(st) [["OnActiveSec", %d]]`, (10*time.Minute + timerLate).Microseconds()),
			"AccuracyUSec":      "@t 1000000",
			"RemainAfterElapse": "false",
		}},
		{name + ".service", "", map[string]string{
			"Description": `"Undo the trial of qtune that nobody confirmed"`,
			"Type":        `"oneshot"`,
			"ExecStart":   `[["/usr/bin/qtune", ["/usr/bin/qtune", "recover"], false]]`,
		}},
	}
	if diff := cmp.Diff(want, []unit{<-m.started, <-m.started}); diff != "" {
		t.Errorf("systemd was asked for (-want +got):\n%s", diff)
	}
	if err := timer.stopBy(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if got := <-m.stopped; got != timer.name {
		t.Errorf("and to stop %s, want %s", got, timer.name)
	}
}

// TestTimerThatDoesNotStart is no guardian.
func TestTimerThatDoesNotStart(t *testing.T) {
	_, conn := newBus(t, "failed")
	if _, err := startTimerBy(t.Context(), conn, []string{"/usr/bin/qtune"}, time.Minute); err == nil || !strings.Contains(err.Error(), `systemd says "failed"`) {
		t.Errorf("startTimerBy: %v, want that systemd failed", err)
	}
}
