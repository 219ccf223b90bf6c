// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// How soon a pod's veth is to be gone, and how long it is waited for at all.
const (
	vethBar      = time.Second
	vethPatience = 20 * time.Second
)

// inNode calls f on a thread in the namespace where the nodes' ends of veths are.
func (l *load) inNode(f func() error) error {
	return inNamespace(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), l.node.File().Fd()), f)
}

// awaitVeth waits until the veth of a pod that ended is gone.
func (l *load) awaitVeth(ctx context.Context, p *pod) {
	var took time.Duration
	err := l.inNode(func() error {
		ctx, cancel := context.WithDeadline(ctx, p.ended.Add(vethPatience))
		defer cancel()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			_, err := net.InterfaceByName(p.veth)
			if took = time.Since(p.ended); err != nil {
				return nil //nolint:nilerr // it is gone
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	})
	if err != nil && took < vethBar {
		return // the run ended
	}
	l.report.check("veth", err == nil && took <= vethBar, "%s of pod net:[%d] was there %v after its end", p.veth, p.inode, took.Round(time.Millisecond))
	l.report.longest("veth gone", took)
}
