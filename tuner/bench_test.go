// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/lab"
)

// BenchmarkKernelApply applies a thousand steps, three in each namespace, and beside
// it, in turn, writes the same values in the barest way: setns, open, write, close.
// It may take three times as long, and 100 ms more.
func BenchmarkKernelApply(b *testing.B) {
	lab.NeedRoot(b)
	const namespaces = 334
	dir := b.TempDir()
	var all []*lab.Namespace
	var files []int
	for i := range namespaces {
		ns := lab.NewNamespace(b)
		ns.Mount(filepath.Join(dir, strconv.Itoa(i))) // as those of pods and of ip-netns(8) are
		fd, err := unix.Open(ns.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		all, files = append(all, ns), append(files, fd)
	}
	old := map[string]int64{somaxconn: 128, synBacklog: 256, syncookies: 0}
	to := map[string]int64{somaxconn: 1024, synBacklog: 512, syncookies: 1}
	var steps []Step
	for _, ns := range all {
		for key := range old {
			steps = append(steps, Step{Kind: KindSysctl, Scope: Scope{Netns: ns.Inode, Cookie: cookieText(ns.Cookie), Name: "pod"}, Key: key, From: old[key], To: to[key]})
		}
	}
	var bare, ours time.Duration
	for b.Loop() {
		start := time.Now()
		all[0].Do(func() { writeBare(b, files, old) }) // on a thread that ends with it
		bare += time.Since(start)
		tn := newTuner(b, testOptions(b))
		start = time.Now()
		if _, err := tn.Apply(b.Context(), at(0), planOf(steps...), ApplyOptions{}); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
	}
	n := float64(b.N)
	b.ReportMetric(float64(len(steps)), "steps")
	b.ReportMetric(bare.Seconds()*1000/n, "bare-ms")
	b.ReportMetric(ours.Seconds()*1000/n, "apply-ms")
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "x-bare")
	b.ReportMetric((ours-3*bare).Seconds()*1000/n, "ms-above-3x") // at most 100
}

// writeBare writes the values into every namespace.
func writeBare(b *testing.B, namespaces []int, values map[string]int64) {
	b.Helper()
	for _, ns := range namespaces {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			b.Error(err)
		}
		for key, v := range values {
			f, err := os.OpenFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), os.O_WRONLY, 0)
			if err != nil {
				b.Error(err)
			}
			if _, err := f.WriteString(strconv.FormatInt(v, 10)); err != nil {
				b.Error(err)
			}
			f.Close()
		}
	}
}
