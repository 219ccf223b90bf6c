// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// TestKernelDeadPod ends a pod's last process while it is being watched: its
// network must go with it, and not wait for qtune.
func TestKernelDeadPod(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ip")
	node := lab.NewNamespace(t)
	pod := node.Start(lab.Process{NewNet: true, Listen: []lab.Socket{{Addr: "::", Port: 8080, Backlog: 7}}})
	inode := inodeOf(t, pod.PID)
	node.Run("ip", "link", "add", "pod0", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pod.PID))
	gone := func() (gone bool) {
		node.Do(func() {
			_, err := net.InterfaceByName("pod0")
			gone = err != nil
		})
		return gone
	}
	if gone() {
		t.Fatal("the pod has no veth")
	}

	run := lab.Go(t, "-o", "json", "--for", "5s")
	run.WaitIdle()
	pod.Kill()
	if !lab.Within(time.Second, gone) {
		t.Errorf("the veth is there 1 s after the pod ended")
		lab.Wait(t, "the veth to vanish with qtune", func() bool { return gone() || !run.Running() })
	}
	if !run.Running() {
		t.Error("qtune ended early: nothing was proved")
	}
	in := run.Inspection()
	if n := byInode(in, inode); n != nil && n.PID == pod.PID {
		t.Errorf("namespace = %+v: it ended before the last snapshot", n)
	}
	for _, l := range in.Listeners {
		if l.Owner != nil && l.Owner.PID == pod.PID {
			t.Errorf("listener = %+v: its process ended before the last snapshot", l)
		}
	}
	if len(in.Errors) > 0 {
		t.Errorf("errors = %v: that a pod ends is ordinary", in.Errors)
	}
}
