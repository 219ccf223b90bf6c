// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import "github.com/qtune/qtune/tcpq"

// An Explanation is what a kernel makes of a backlog and three sysctls.
type Explanation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Kernel     string `json:"kernel"`

	Backlog          int32 `json:"backlog"`
	Somaxconn        int64 `json:"somaxconn"`
	TCPMaxSynBacklog int64 `json:"tcpMaxSynBacklog"`
	TCPSyncookies    int64 `json:"tcpSyncookies"`

	AcceptQueue ExplainedAccept `json:"acceptQueue"`
	SynQueue    ExplainedSyn    `json:"synQueue"`
	Textbook    Textbook        `json:"textbook"`
	Unreachable bool            `json:"unreachable"` // nobody can connect
	Memory      Memory          `json:"memory"`
	Steps       []Step          `json:"steps"`
	Changes     []Effect        `json:"changes"`
}

// An ExplainedAccept is the accept queue.
type ExplainedAccept struct {
	Limit    uint32 `json:"limit"`
	Capacity uint64 `json:"capacity"`
	BoundBy  string `json:"boundBy"` // somaxconn or application
}

// An ExplainedSyn is the SYN queue: the half-open peers it holds.
type ExplainedSyn struct {
	Limit   uint32 `json:"limit"`
	BoundBy string `json:"boundBy"`
}

// A Textbook is what most books say.
type Textbook struct {
	AcceptQueue int64 `json:"acceptQueue"` // min(backlog, somaxconn)
	SynQueue    int64 `json:"synQueue"`    // min(backlog, somaxconn, tcp_max_syn_backlog)
}

// Memory is what both queues take when they are full, in bytes.
type Memory struct {
	IdleBytes  uint64 `json:"idleBytes"`
	WorstBytes uint64 `json:"worstBytes"` // every peer has sent as much as it may
}

// A Step is a sentence and the rule it stands on.
type Step struct {
	Text  string `json:"text"`
	Rule  string `json:"rule"`  // see docs/kernel-rules.md
	Proof string `json:"proof"` // measured, read or known
}

// An Effect is what changing one number does.
type Effect struct {
	Key      string       `json:"key"`
	From     int64        `json:"from"`
	To       int64        `json:"to"`
	Now      EffectLimits `json:"now"`
	Relisten EffectLimits `json:"relisten"` // once listen(2) is called again
}

// EffectLimits are both queues after a change.
type EffectLimits struct {
	Capacity    uint64 `json:"acceptCapacity"`
	Syn         uint32 `json:"synLimit"`
	Unreachable bool   `json:"unreachable"` // nobody can connect
}

// Explain computes the Explanation of a setup.
func Explain(s *tcpq.Setup) *Explanation {
	e := s.Explain()
	out := &Explanation{
		APIVersion: APIVersion, Kind: "Explanation", Kernel: s.Kernel.String(),
		Backlog: s.Backlog, Somaxconn: s.Somaxconn, TCPMaxSynBacklog: s.MaxSynBacklog, TCPSyncookies: s.Syncookies,
		AcceptQueue: ExplainedAccept{e.Limit, e.Capacity, string(e.LimitBy)},
		SynQueue:    ExplainedSyn{e.Syn, string(e.SynBy)},
		Textbook:    Textbook{e.TextbookAccept, e.TextbookSyn},
		Unreachable: e.Unreachable,
	}
	out.Memory.IdleBytes, out.Memory.WorstBytes = e.Memory()
	for _, step := range e.Steps {
		out.Steps = append(out.Steps, Step{step.Says, step.Rule.String(), string(step.Rule.Info().Proof)})
	}
	for _, f := range s.Effects() {
		out.Changes = append(out.Changes, Effect{
			f.Key, f.From, f.To,
			EffectLimits{f.Now.Capacity, f.Now.Syn, f.Now.Unreachable},
			EffectLimits{f.Relisten.Capacity, f.Relisten.Syn, f.Relisten.Unreachable},
		})
	}
	return out
}
