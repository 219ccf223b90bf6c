// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package collector reads a host into a [tcpq.Snapshot]: the namespaces, their
// listeners with both queues, counters and sysctls, and who owns each listener.
//
// What cannot be read is left out and noted in the Snapshot's Errors; it never
// ends a pass.
package collector

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// A Host is what is read: [host.Live], [host.Recording] or [host.Recorder].
type Host interface {
	Info() (host.Info, error)
	Namespaces(ctx context.Context, s host.Search) (host.Found, error)
	Visit(ctx context.Context, all []*host.Namespace, look func(*host.Namespace, host.Inside, error)) error

	Processes(ctx context.Context) ([]host.Process, error)
	Process(pid int) (host.ProcessInfo, error)
	Program(pid int) host.ProgramInfo
	Vitals(pid int) (host.Vitals, error)
	Descriptors(pid int, each func(host.Descriptor) (more bool)) error
	NamespaceOf(pid int, fd host.Descriptor) *host.Namespace
	CgroupPath(id uint64) (path string, ok bool)
	CgroupProcesses(path string) []int
	PodLogs() []host.PodLog
}

// A SynMode says whose SYN queues are counted.
type SynMode string

// Whose SYN queues are counted.
const (
	SynAuto  SynMode = "auto"  // of the namespaces whose counters ask for it
	SynAll   SynMode = "all"   // of every namespace
	SynNever SynMode = "never" // of none
)

// Options say what a Collector reads.
type Options struct {
	Search host.Search
	Syn    SynMode

	// Progress, when not nil, is told what is being done and how far it is.
	Progress func(doing string, done, of int)

	Log *slog.Logger // of every pass, at level debug; nil for none
}

// A Collector reads snapshots of one host. What it keeps from one pass to the next
// is about what was alive in the last.
type Collector struct {
	host Host
	opts Options

	queues     Queues
	known      map[tcpq.NetnsID][]Known // listeners that were looked up
	counters   counterParser
	lines      map[tcpq.NetnsID]string // of TCP in snmp
	ownersTook time.Duration           // on looking for owners, in the last pass that did
	synSpent   time.Duration           // on counting SYN queues, less what time has given back
	synSince   time.Time               // when it last did
	found      []*host.Namespace       // by the last search
	strays     []*host.Namespace       // met only as descriptors, while owners were looked for
	searched   map[int]bool            // processes whose descriptors were looked into
	unfound    map[uint64]again        // listeners whose owner was not found, by cookie
	listed     bool                    // the processes were, since owners were last looked for
	patients   map[int]*patient        // by pid
}

// New returns a Collector of h.
func New(h Host, o Options) *Collector {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Collector{host: h, opts: o, patients: map[int]*patient{}}
}

// Snapshot reads the host once: everything, owners included. With prev, counters
// that moved since then decide which SYN queues are counted.
func (c *Collector) Snapshot(ctx context.Context, prev *tcpq.Snapshot) (*tcpq.Snapshot, error) {
	found, err := c.Find(ctx)
	if err != nil {
		return nil, err
	}
	return c.Pass(ctx, found, prev, Everything)
}

// Find searches for the namespaces.
func (c *Collector) Find(ctx context.Context) (host.Found, error) {
	c.opts.Progress("looking for namespaces", 0, 0)
	found, err := c.host.Namespaces(ctx, c.opts.Search)
	if err != nil {
		return found, fmt.Errorf("find network namespaces: %w", err)
	}
	found.Recall(c.found)
	found.Namespaces = c.withStrays(found.Namespaces)
	c.found = found.Namespaces
	c.listed = found.Processes != nil
	return found, nil
}

// withStrays adds the namespaces that were met as descriptors.
func (c *Collector) withStrays(all []*host.Namespace) []*host.Namespace {
	for _, stray := range c.strays {
		if !slices.ContainsFunc(all, func(n *host.Namespace) bool { return n.Inode == stray.Inode }) {
			all = append(all, stray)
		}
	}
	return all
}

// forgetStray forgets a namespace that has ended, or to which the only way known
// has.
func (c *Collector) forgetStray(ended *host.Namespace) {
	c.strays = slices.DeleteFunc(c.strays, func(n *host.Namespace) bool { return n == ended })
}

// newPass begins a Snapshot.
func (c *Collector) newPass(found host.Found, prev *tcpq.Snapshot, work Work) (*pass, error) {
	info, err := c.host.Info()
	if err != nil {
		return nil, fmt.Errorf("read what host this is: %w", err)
	}
	p := &pass{
		collector: c,
		began:     time.Now(),
		work:      work,
		kept:      map[tcpq.NetnsID][]Known{},
		lines:     map[tcpq.NetnsID]string{},
		snapshot: &tcpq.Snapshot{
			Time: info.Time, Hostname: info.Name, Kernel: info.Kernel,
			Coverage: found.Coverage,
			Errors:   slices.Clone(found.Errors),
		},
	}
	c.regainSynBudget(p.began)
	if prev != nil {
		p.before = make(map[tcpq.NetnsID]*tcpq.Namespace, len(prev.Namespaces))
		for i := range prev.Namespaces {
			p.before[prev.Namespaces[i].ID] = &prev.Namespaces[i]
			p.listeners += len(prev.Namespaces[i].Listeners)
		}
	}
	return p, nil
}
