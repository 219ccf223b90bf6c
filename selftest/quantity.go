// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import "github.com/qtune/qtune/tcpq"

// A quantity is a number that can be read of a lab. Lengths and limits are those
// of the instant; all else is what moved since the last check.
type quantity struct {
	name string
	read func(*view) int64
}

// is predicts the quantity.
func (q quantity) is(number int64) want { return want{q, number} }

func limitOf(x *listener) quantity {
	return quantity{"limit", func(v *view) int64 { return int64(v.of(x).Accept.Max) }}
}

func acceptQueue(x *listener) quantity {
	return quantity{"accept queue", func(v *view) int64 { return int64(v.of(x).Accept.Len) }}
}

func synQueue(x *listener) quantity {
	return quantity{"SYN queue", func(v *view) int64 { return int64(v.of(x).Syn.Len) }}
}

// drops is what the kernel calls sk_drops.
func drops(x *listener) quantity {
	return quantity{"sk_drops", func(v *view) int64 {
		return int64(v.of(x).Discards - v.base.of(x).Discards)
	}}
}

func counter(c tcpq.Counter) quantity {
	return quantity{c.String(), func(v *view) int64 {
		return int64(v.Counters.Value(c) - min(v.Counters.Value(c), v.base.Counters.Value(c)))
	}}
}

func sysctl(s tcpq.Sysctl) quantity {
	return quantity{s.String(), func(v *view) int64 {
		value, ok := v.Sysctls.Get(s)
		if !ok {
			return -1
		}
		return value
	}}
}

// synAcks is how many peers were sent a first SYN-ACK.
var synAcks = quantity{"SYN-ACKs", func(v *view) int64 { return v.synAcks - v.base.synAcks }}

// resets is how many RSTs peers were sent.
var resets = quantity{"RSTs", func(v *view) int64 { return v.resets - v.base.resets }}

// of names the quantity of one listener among several.
func (q quantity) of(whose string) quantity {
	q.name += " of " + whose
	return q
}
