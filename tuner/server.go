// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/policy"
)

// ServerOptions say what a [Server] lets happen.
type ServerOptions struct {
	// Ceiling returns the bounds of everything, anew for each plan: whoever asks
	// cannot change them.
	Ceiling func() (*policy.Policy, error)

	Log *slog.Logger
}

// AgentActor is the Comm of what an agent began, by itself or through a [Server].
const AgentActor = "qtune agent"

// A Server is the half of qtune that may change the host. It serves a unix socket
// that only root can use, and no network. It does not believe who asks: whether a
// plan may be applied it decides by looking at the host itself, by the rails and
// the ceiling. So a compromised agent gets no more than raises within that: no lower
// values, no other settings, no socket that is no listener, and no trial without
// an end.
type Server struct {
	tuner *Tuner
	live  *host.Live
	opts  ServerOptions

	turn sync.Mutex // of a call, or of what is undone in between: the lock is for other processes
}

// NewServer returns a server that changes a host through a tuner.
func NewServer(live *host.Live, t *Tuner, o ServerOptions) *Server {
	return &Server{tuner: t, live: live, opts: o}
}

const (
	// recoverEvery is how often trials are looked for whose deadline has passed:
	// the agent that began one may be gone.
	recoverEvery = 10 * time.Second

	// longestTrial is longer than any policy allows.
	longestTrial = 24 * time.Hour
)

// Serve serves until the context ends, and then rolls an open trial back: whoever
// began it cannot end it any more. What was confirmed stays.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: remotePatience,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerOf(c))
		},
		ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelWarn),
	}
	s.recover(ctx)
	group, serving := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		tick := time.NewTicker(recoverEvery)
		defer tick.Stop()
		for {
			select {
			case <-serving.Done():
				return server.Shutdown(context.WithoutCancel(ctx)) // what was begun ends first
			case <-tick.C:
				s.recover(serving)
			}
		}
	})
	err := group.Wait()
	s.leave(context.WithoutCancel(ctx))
	return err
}

// leave rolls back what this server began and nobody decided.
func (s *Server) leave(ctx context.Context) {
	all, err := s.tuner.history()
	for _, tx := range all {
		if !tx.State.Open() || tx.Actor.Comm != AgentActor {
			continue
		}
		now, e := Present(s.live)
		if e == nil {
			_, e = s.tuner.Rollback(ctx, now, tx.ID, "qtune tuner ends")
			s.opts.Log.Info("rolled back", "transaction", tx.ID, "error", e)
		}
		err = errors.Join(err, e)
	}
	if err != nil {
		s.opts.Log.Error("roll back what is open", "error", err)
	}
}

// ours returns the id of a transaction that this server began, or an error. Those of
// people are theirs to decide: a rollback lowers values.
func (s *Server) ours(id string) (string, error) {
	tx, err := s.tuner.Find(id)
	if err != nil {
		return "", err
	}
	if tx.Actor.Comm != AgentActor {
		return "", fmt.Errorf("transaction %s is of %s[%d], who decides it: %w", tx.ID, tx.Actor.Comm, tx.Actor.PID, host.ErrPermission)
	}
	return tx.ID, nil
}

// recover undoes what has to be undone.
func (s *Server) recover(ctx context.Context) {
	s.turn.Lock()
	defer s.turn.Unlock()
	now, err := Present(s.live)
	if err == nil {
		var done []*Transaction
		done, err = s.tuner.Recover(ctx, now, false)
		for _, tx := range done {
			s.opts.Log.Info("recovered", "transaction", tx.ID, "state", tx.State, "reason", tx.Reason)
		}
	}
	if err != nil && !errors.Is(err, ErrBusy) { // who holds the lock does it, or the next time
		s.opts.Log.Error("recover", "error", err)
	}
}

// handler returns what answers the calls.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	handle(s, mux, callApply, s.apply)
	handle(s, mux, callConfirm, func(ctx context.Context, now Now, q decideRequest) (a answer, err error) {
		id, err := s.ours(q.ID)
		if err == nil {
			a.Transaction, err = s.tuner.Confirm(ctx, now, id)
		}
		return a, err
	})
	handle(s, mux, callRollback, func(ctx context.Context, now Now, q decideRequest) (a answer, err error) {
		id, err := s.ours(q.ID)
		if err == nil {
			a.Transaction, err = s.tuner.Rollback(ctx, now, id, q.Reason)
		}
		return a, err
	})
	handle(s, mux, callRecover, func(ctx context.Context, now Now, _ struct{}) (a answer, err error) {
		a.Transactions, err = s.tuner.Recover(ctx, now, false)
		return a, err
	})
	handle(s, mux, callHistory, func(ctx context.Context, _ Now, _ struct{}) (a answer, err error) {
		a.Transactions, err = s.tuner.History(ctx)
		return a, err
	})
	handle(s, mux, callDrift, func(ctx context.Context, now Now, _ struct{}) (a answer, err error) {
		a.Drifts, err = s.tuner.Drift(ctx, now)
		return a, err
	})
	return mux
}

// handle answers one call. Only root is answered, and only what is well formed.
func handle[Q any](s *Server, mux *http.ServeMux, name string, do func(context.Context, Now, Q) (answer, error)) {
	mux.HandleFunc("POST "+name, func(w http.ResponseWriter, r *http.Request) {
		peer := peerIn(r.Context())
		if !peer.trusted() {
			s.opts.Log.Warn("refused who is not root", "call", name, "uid", peer.uid, "pid", peer.pid)
			http.Error(w, "only root is served", http.StatusForbidden)
			return
		}
		var q Q
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMessage))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			http.Error(w, "no such request: "+err.Error(), http.StatusBadRequest)
			return
		}
		a, err := inTurn(r.Context(), s, do, q)
		a.Error = travelling(err)
		level := slog.LevelDebug // an agent asks for the journal and for drift without end
		if err != nil || a.Transaction != nil {
			level = slog.LevelInfo
		}
		s.opts.Log.Log(r.Context(), level, "called", "call", name, "pid", peer.pid, "error", err)
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(a); err != nil {
			s.opts.Log.Warn("answer", "call", name, "error", err)
		}
	})
}

// inTurn makes a call when no other is being made. Who hangs up does not stop it.
func inTurn[Q any](ctx context.Context, s *Server, do func(context.Context, Now, Q) (answer, error), q Q) (answer, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	now, err := Present(s.live)
	if err != nil {
		return answer{}, err
	}
	return do(context.WithoutCancel(ctx), now, q)
}

// apply applies a plan that passes the rails.
func (s *Server) apply(ctx context.Context, now Now, q applyRequest) (answer, error) {
	p, err := ReadPlan(q.Plan)
	if err != nil {
		return answer{}, err
	}
	if !(q.TrialSeconds >= 0 && q.TrialSeconds <= longestTrial.Seconds()) { // NaN, too
		return answer{}, fmt.Errorf("%w: a trial of %g s: want 0 to %g", ErrRail, q.TrialSeconds, longestTrial.Seconds())
	}
	ceiling, err := s.opts.Ceiling()
	if err != nil {
		return answer{}, fmt.Errorf("read the ceiling: %w", err)
	}
	if err := s.check(ctx, now, p, ceiling); err != nil {
		return answer{}, err
	}
	peer := peerIn(ctx)
	tx, err := s.tuner.Apply(ctx, now, p, ApplyOptions{
		Trial: time.Duration(math.Round(q.TrialSeconds * float64(time.Second))), Guardian: ByAgent, Why: q.Why,
		Actor: Actor{UID: peer.uid, PID: peer.pid, Comm: AgentActor, Policy: p.Policy},
	})
	return answer{Transaction: tx}, err
}
