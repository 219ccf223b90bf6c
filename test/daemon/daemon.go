// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package daemon starts programs that stay, asks them over HTTP, and reads what
// they cost: `qtune agent` and its peers, for the bench and the soak.
package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long [Start] waits for a program to be ready.
const patience = 20 * time.Second

// A Daemon is a program that runs.
type Daemon struct {
	PID int

	client http.Client
	base   string // of its addresses
	log    tail
	ended  chan struct{} // closed when it has
	err    error         // of it
}

// Options say how a program is asked.
type Options struct {
	Address string // host:port it serves on
	Ready   string // a path that answers 200 when it is ready

	// Dial, when not nil, makes its connections: from another network namespace.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Start starts a program, in the network namespace of the calling thread, and waits
// until it is ready. It ends with this process.
func Start(ctx context.Context, o Options, program string, args ...string) (*Daemon, error) {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	d := &Daemon{base: "http://" + o.Address, ended: make(chan struct{})}
	d.client.Transport = &http.Transport{DialContext: o.Dial, MaxIdleConns: 100}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	d.PID = cmd.Process.Pid
	go func() {
		d.err = cmd.Wait()
		close(d.ended)
	}()
	for end := time.Now().Add(patience); ; {
		_, err := d.Get(ctx, o.Ready)
		if err == nil {
			return d, nil
		}
		if time.Now().After(end) || ctx.Err() != nil || !d.Running() {
			d.Kill()
			return nil, fmt.Errorf("%s was not ready: %w\n%s", filepath.Base(program), err, d.Log())
		}
		d.wait(10 * time.Millisecond)
	}
}

// StartAgent starts a `qtune agent` on a free port of this host.
func StartAgent(ctx context.Context, qtune string, args ...string) (*Daemon, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return Start(ctx, Options{Address: address, Ready: "/-/ready"}, qtune,
		append([]string{"agent", "--socket", "", "--web.listen-address", address}, args...)...)
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Get asks for a path and returns the body of a good answer, which comes compressed
// as a scrape of Prometheus does.
func (d *Daemon) Get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.200s", path, resp.Status, body)
	}
	return body, nil
}

// Running reports whether it has not ended.
func (d *Daemon) Running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// wait waits until it ends, but not longer.
func (d *Daemon) wait(most time.Duration) {
	select {
	case <-d.ended:
	case <-time.After(most):
	}
}

// Kill ends it by SIGKILL and waits until it has ended.
func (d *Daemon) Kill() { d.end(unix.SIGKILL) }

// Stop ends it by SIGTERM, and waits until it has ended; it is killed when that
// takes ten seconds.
func (d *Daemon) Stop() {
	d.end(unix.SIGTERM)
}

func (d *Daemon) end(signal unix.Signal) {
	d.client.CloseIdleConnections()
	if !d.Running() {
		return
	}
	unix.Kill(d.PID, signal) //nolint:errcheck // not reaped yet, so it is there
	if d.wait(10 * time.Second); d.Running() {
		unix.Kill(d.PID, unix.SIGKILL) //nolint:errcheck // as above
		<-d.ended
	}
}

// Log returns the end of what it wrote.
func (d *Daemon) Log() string { return d.log.String() }

// CPU returns the CPU time it has used, to the nanosecond: that of threads that
// have ended, too.
func (d *Daemon) CPU() (time.Duration, error) {
	var t unix.Timespec
	clock := int32(^d.PID<<3 | 2) // MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", d.PID, err)
	}
	return time.Duration(t.Nano()), nil
}

// A Usage is what a process holds.
type Usage struct {
	RSS, Peak        int64 // bytes: resident now, and at most so far
	Threads, Handles int   // Handles are its descriptors
}

// Usage reads what it holds.
func (d *Daemon) Usage() (Usage, error) {
	dir := "/proc/" + strconv.Itoa(d.PID)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Usage{}, err
	}
	descriptors, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return Usage{}, err
	}
	u := Usage{Handles: len(descriptors)}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(fields[1], 10, 64) // not a number: not ours
		switch fields[0] {
		case "VmRSS:":
			u.RSS = n << 10
		case "VmHWM:":
			u.Peak = n << 10
		case "Threads:":
			u.Threads = int(n)
		}
	}
	if u.RSS == 0 {
		return u, errors.New(dir + " has ended")
	}
	return u, nil
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

const tailSize = 16 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len() > tailSize {
		t.buf.Next(t.buf.Len() - tailSize/2)
	}
	return t.buf.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
