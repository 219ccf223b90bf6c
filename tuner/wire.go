// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/qtune/qtune/host"
)

// What travels between a [Remote] and a [Server]: JSON over HTTP on a unix socket.
// Each call is a POST of its request to /v1/NAME, and answered with an answer.
const (
	callApply    = "/v1/apply"
	callConfirm  = "/v1/confirm"
	callRollback = "/v1/rollback"
	callRecover  = "/v1/recover"
	callHistory  = "/v1/history"
	callDrift    = "/v1/drift"
)

// maxMessage is more than a request or an answer for every listener of a large host
// takes.
const maxMessage = 8 << 20

// An applyRequest asks for a plan to be applied. Who asks, the kernel tells.
type applyRequest struct {
	Plan         json.RawMessage `json:"plan"` // as ReadPlan takes it
	TrialSeconds float64         `json:"trialSeconds"`
	Why          string          `json:"why"`
}

// A decideRequest asks for a transaction to be confirmed or rolled back.
type decideRequest struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// An answer is what came of a call: of the fields those that it gives, and an error
// beside them as the case may be.
type answer struct {
	Transaction  *Transaction   `json:"transaction,omitempty"`
	Transactions []*Transaction `json:"transactions,omitempty"`
	Drifts       []Drift        `json:"drifts,omitempty"`
	Error        *remoteError   `json:"error,omitempty"`
}

// A remoteError is an error that has travelled: its text, and what of those that
// callers decide on it is.
type remoteError struct {
	Message string   `json:"message"`
	Is      []string `json:"is,omitempty"` // names of sentinels
}

// sentinels are the errors that callers decide on, under the names they travel by.
var sentinels = []struct {
	name string
	err  error
}{
	{"busy", ErrBusy},
	{"open", ErrOpen},
	{"stale", ErrStale},
	{"conflict", ErrConflict},
	{"rail", ErrRail},
	{"verify", ErrVerify},
	{"incomplete", ErrIncomplete},
	{"unknown", ErrUnknown},
	{"late", ErrLate},
	{"satisfied", ErrSatisfied},
	{"closed", ErrClosed},
	{"gone", host.ErrGone},
	{"permission", host.ErrPermission},
	{"absent", host.ErrAbsent},
	{"changed", host.ErrChanged},
	{"unsupported", host.ErrUnsupported},
}

// travelling returns what of an error travels, nil for none.
func travelling(err error) *remoteError {
	if err == nil {
		return nil
	}
	e := &remoteError{Message: err.Error()}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			e.Is = append(e.Is, s.name)
		}
	}
	return e
}

func (e *remoteError) Error() string { return e.Message }

// Unwrap returns what the error is.
func (e *remoteError) Unwrap() []error {
	var all []error
	for _, s := range sentinels {
		for _, name := range e.Is {
			if name == s.name {
				all = append(all, s.err)
			}
		}
	}
	return all
}

// err returns the error of an answer.
func (a *answer) err() error {
	if a.Error == nil {
		return nil
	}
	return fmt.Errorf("qtune tuner: %w", a.Error)
}
