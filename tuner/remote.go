// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

const (
	// remotePatience is how long a call may take: a plan of a thousand steps takes a
	// second, and who waits for the lock ten.
	remotePatience = 15 * time.Second

	// remoteRest is how long a server is not asked again that did not answer: who
	// asks has other things to do.
	remoteRest = time.Minute
)

// A Remote changes the host through a [Server], which has the rights to and trusts
// nobody. It has the methods of a [Tuner]; the clocks are the server's.
type Remote struct {
	path string // of the socket
	http *http.Client
	deaf atomic.Pointer[time.Time] // when the server did not answer
}

// NewRemote returns the remote of the server at a unix socket. It connects at each
// call.
func NewRemote(path string) *Remote {
	var dialer net.Dialer
	return &Remote{path: path, http: &http.Client{
		Timeout: remotePatience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", path)
			},
		},
	}}
}

// Apply is [Tuner.Apply], within the ceiling of the server.
func (r *Remote) Apply(ctx context.Context, _ Now, p *Plan, o ApplyOptions) (*Transaction, error) {
	var plan bytes.Buffer
	if err := WritePlan(&plan, p); err != nil {
		return nil, err
	}
	a, err := r.call(ctx, callApply, applyRequest{Plan: plan.Bytes(), TrialSeconds: o.Trial.Seconds(), Why: o.Why})
	return a.Transaction, err
}

// Confirm is [Tuner.Confirm].
func (r *Remote) Confirm(ctx context.Context, _ Now, id string) (*Transaction, error) {
	a, err := r.call(ctx, callConfirm, decideRequest{ID: id})
	return a.Transaction, err
}

// Rollback is [Tuner.Rollback].
func (r *Remote) Rollback(ctx context.Context, _ Now, id, reason string) (*Transaction, error) {
	a, err := r.call(ctx, callRollback, decideRequest{ID: id, Reason: reason})
	return a.Transaction, err
}

// Recover is [Tuner.Recover]. A trial that still runs may be a person's: the server
// leaves it to its guardian.
func (r *Remote) Recover(ctx context.Context, _ Now, orphaned bool) ([]*Transaction, error) {
	if orphaned {
		return nil, fmt.Errorf("recover orphaned trials from afar: %w", host.ErrUnsupported)
	}
	a, err := r.call(ctx, callRecover, struct{}{})
	return a.Transactions, err
}

// Drift is [Tuner.Drift].
func (r *Remote) Drift(ctx context.Context, _ Now) ([]Drift, error) {
	a, err := r.call(ctx, callDrift, struct{}{})
	return a.Drifts, err
}

// History is [Tuner.History].
func (r *Remote) History(ctx context.Context) ([]*Transaction, error) {
	a, err := r.call(ctx, callHistory, struct{}{})
	return a.Transactions, err
}

// call makes one call. What it answers is there beside an error, too.
func (r *Remote) call(ctx context.Context, name string, request any) (answer, error) {
	deaf := fmt.Errorf("ask qtune tuner at %s: it did not answer within %v and is not asked for %v", r.path, r.http.Timeout, remoteRest)
	if since := r.deaf.Load(); since != nil && time.Since(*since) < remoteRest {
		return answer{}, deaf
	}
	a, err := r.ask(ctx, name, request)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		now := time.Now()
		r.deaf.Store(&now)
		return a, deaf
	}
	return a, err
}

func (r *Remote) ask(ctx context.Context, name string, request any) (answer, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return answer{}, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tuner"+name, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	got, err := r.http.Do(q)
	if err != nil {
		if request, ok := errors.AsType[*url.Error](err); ok { // its text names a URL that nobody knows
			err = request.Err
		}
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
			err = fmt.Errorf("none runs there: %w", err)
		}
		return answer{}, fmt.Errorf("ask qtune tuner at %s: %w", r.path, err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("ask qtune tuner at %s for %s: %s", r.path, name, got.Status)
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(got.Body, maxMessage)).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("read what qtune tuner at %s answers: %w", r.path, err)
	}
	return a, a.err()
}
