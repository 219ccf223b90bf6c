// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/qtune/qtune/advisor"
)

// Flavour returns the protocol and families: "tcp4", "tcp6", "tcp4+6", "mptcp4".
func (l *Listener) Flavour() string {
	switch {
	case l.Family == "ipv4":
		return l.Protocol + "4"
	case l.V6Only != nil && *l.V6Only, l.Address != "::":
		return l.Protocol + "6"
	}
	return l.Protocol + "4+6"
}

// String returns the bounds of loss: "0", "7" or "3-7"; "-" when unknown.
func (r *Refused) String() string {
	switch {
	case r == nil:
		return "-"
	case r.Min == r.Max:
		return strconv.FormatUint(r.Max, 10)
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Max)
}

// String returns NAMESPACE/NAME, or the uid of a pod whose name is not known.
func (p *Pod) String() string {
	if p.Name == "" {
		return p.UID
	}
	return p.Namespace + "/" + p.Name
}

// Place returns the pod or the container, as short as is clear, or "".
func (o *Owner) Place() string {
	switch {
	case o == nil:
		return ""
	case o.Pod != nil && o.Pod.Name != "":
		return o.Pod.String()
	case o.Pod != nil:
		return "pod " + o.Pod.UID
	case o.Container != nil:
		return o.Container.String()
	}
	return ""
}

// Process returns COMM[PID] of the oldest process and how many others hold the
// listener, or why none is named.
func (o *Owner) Process() string {
	switch {
	case o == nil:
		return "-"
	case o.PID == 0:
		return o.whyUnfound()
	case len(o.PIDs) > 1:
		return fmt.Sprintf("%s[%d]+%d", o.Comm, o.PID, len(o.PIDs)-1)
	}
	return o.Comm + "[" + strconv.Itoa(o.PID) + "]"
}

// String returns the place and the process.
func (o *Owner) String() string {
	if place := o.Place(); place != "" {
		return place + " " + o.Process()
	}
	return o.Process()
}

func (o *Owner) whyUnfound() string {
	switch o.Unfound {
	case "not-permitted":
		return "(not permitted)"
	case "kernel":
		return "(the kernel)"
	}
	return "(no process)"
}

// String returns RUNTIME:NAME, or the start of the id as the runtimes print it;
// "-" for none.
func (c *Container) String() string {
	if c == nil {
		return "-"
	}
	name := c.Name
	if name == "" {
		name = c.ID[:min(len(c.ID), 12)]
	}
	if c.Runtime == "" {
		return name
	}
	return c.Runtime + ":" + name
}

// hostName is what the host's namespace is called.
const hostName = "host"

// NetnsNames returns what people call each namespace: host, its name or its
// inode number.
func (in *Inspection) NetnsNames() map[uint64]string {
	names := make(map[uint64]string, len(in.Namespaces))
	taken := map[string]bool{}
	for _, n := range in.Namespaces {
		switch {
		case n.Host:
			names[n.Inode] = hostName
		case n.Name != "" && !misleading(n.Name) && !taken[n.Name]:
			names[n.Inode] = n.Name
			taken[n.Name] = true
		default:
			names[n.Inode] = strconv.FormatUint(n.Inode, 10)
		}
	}
	return names
}

// misleading reports whether a name looks like what it is not: whoever may mount
// gives namespaces their names.
func misleading(name string) bool {
	return name == hostName || strings.Trim(name, "0123456789") == ""
}

// Problem reports whether something is wrong, or about to be.
func (f *Finding) Problem() bool { return f.Severity != string(advisor.Info) }

// SameAddress reports whether two findings say the same of members of one
// reuse-port group.
func (f *Finding) SameAddress(g *Finding) bool {
	if f.Code != g.Code || f.Netns != g.Netns || f.Listener == nil || g.Listener == nil {
		return false
	}
	return f.Listener.Address == g.Listener.Address && f.Listener.Port == g.Listener.Port && f.Listener.Device == g.Listener.Device
}

// String returns the number with its unit. Counts of connections and packets
// need none.
func (e Evidence) String() string {
	text := e.Name + " " + strconv.FormatFloat(e.Value, 'f', -1, 64)
	switch e.Unit {
	case "", "connections", "packets", "peers", "listeners", "descriptors":
		return text
	}
	return text + " " + e.Unit
}

// Felt says when a change is.
func (c Change) Felt() string {
	if c.EffectiveNow {
		return "at once"
	}
	return "felt when the program listens again"
}

// String says what to do; what was not tried is said to be hearsay.
func (h Hint) String() string {
	text := h.Setting
	if h.Program != "" {
		text = h.Program + ": " + text
	}
	switch advisor.Effect(h.TakesEffect) {
	case advisor.Reload:
		text += ", then reload"
	case advisor.Restart:
		text += ", then restart"
	case advisor.Rebuild:
		text += ", then build and restart"
	}
	if !h.Verified {
		text += " (from its documentation, not tried)"
	}
	return text
}

// BytesText writes a number of bytes by its largest unit, in powers of 1024.
func BytesText(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	value, i := float64(n)/1024, 0
	const units = "KMGT"
	for ; value >= 1024 && i < len(units)-1; i++ {
		value /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", value, units[i])
}
