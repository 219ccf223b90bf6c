// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// The load: so many clients at once, again and again.
const (
	burst    = 300
	bursts   = 8
	interval = 250 * time.Millisecond
)

// retried is from when on a client has asked again: the kernel repeats a SYN after
// one second.
const retried = 900 * time.Millisecond

// patience is how long a client waits.
const patience = 3 * time.Second

// A result is what became of the clients.
type result struct {
	Clients int
	Late    int // of them, those that had to ask again, or gave up
}

func (r result) String() string {
	if r.Late == 0 {
		return fmt.Sprintf("%d clients in %d bursts: all served at once", r.Clients, bursts)
	}
	return fmt.Sprintf("%d clients in %d bursts: %d had to ask again after a second, or gave up", r.Clients, bursts, r.Late)
}

// load lets the bursts come.
func load() result {
	r := result{Clients: burst * bursts}
	var all sync.WaitGroup
	var mu sync.Mutex // guards r.Late
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for range bursts {
		<-ticker.C
		for range burst {
			all.Go(func() {
				if !visit() {
					mu.Lock()
					r.Late++
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return r
}

// visit connects, waits until the server hangs up, and reports whether that went
// without a second attempt.
func visit() bool {
	began := time.Now()
	conn, err := net.DialTimeout("tcp4", address.String(), patience)
	if err != nil {
		return false
	}
	defer conn.Close()
	took := time.Since(began)
	conn.SetDeadline(began.Add(patience)) //nolint:errcheck // a read that never ends would be seen
	_, err = conn.Read(make([]byte, 1))
	return err != nil && took < retried
}
