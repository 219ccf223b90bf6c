// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestIsStopped(t *testing.T) {
	for stat, want := range map[string]bool{
		"9 (nginx) S 1 9": false, "9 (nginx) T 1 9": true, "9 (nginx) t 1 9": true, "9 (a) T (b) S 1": false, "": false, "9 (x)": false,
	} {
		if got := isStopped([]byte(stat)); got != want {
			t.Errorf("isStopped(%q) = %t, want %t", stat, got, want)
		}
	}
}

func TestParseDescriptorLimit(t *testing.T) {
	const head = "Limit                     Soft Limit           Hard Limit           Units\n"
	for limits, want := range map[string]int{
		head + "Max open files            1024                 524288               files\n":   1024,
		head + "Max open files            unlimited            unlimited            files\n":   0,
		head + "Max cpu time              unlimited            unlimited            seconds\n": 0,
		head + "Max open files\n": 0,
		"":                        0,
	} {
		if got := parseDescriptorLimit([]byte(limits)); got != want {
			t.Errorf("parseDescriptorLimit(%q) = %d, want %d", limits, got, want)
		}
	}
}

// TestCgroupVitals proves that the freezer and the quota of an outer cgroup hold
// for what is inside, in both versions.
func TestCgroupVitals(t *testing.T) {
	tests := []struct {
		name   string
		files  map[string]string // below the root
		cgroup string
		want   Vitals
	}{
		{
			"v2, frozen from above, throttled itself",
			map[string]string{
				"v2/pod/cgroup.events": "populated 1\nfrozen 0\n", "v2/pod/app/cgroup.events": "populated 1\nfrozen 1\n",
				"v2/pod/app/cpu.stat": "usage_usec 1\nnr_periods 100\nnr_throttled 71\nthrottled_usec 9\n",
				"v2/pod/cpu.stat":     "usage_usec 1\nnr_periods 90\nnr_throttled 3\n",
			},
			"0::/pod/app\n",
			Vitals{Frozen: true, Quotas: map[string]QuotaUse{"v2/pod": {90, 3}, "v2/pod/app": {100, 71}}},
		},
		{
			"v2, throttled from above",
			map[string]string{"v2/pod/app/cpu.stat": "nr_periods 0\nnr_throttled 0\n", "v2/pod/cpu.stat": "nr_periods 90\nnr_throttled 80\n"},
			"0::/pod/app\n",
			Vitals{Quotas: map[string]QuotaUse{"v2/pod": {90, 80}}},
		},
		{
			"v1",
			map[string]string{
				"sys/fs/cgroup/freezer/pod/freezer.state": "FROZEN\n", "sys/fs/cgroup/cpu,cpuacct/pod/cpu.stat": "nr_periods 10\nnr_throttled 9\nthrottled_time 1\n",
			},
			"6:freezer:/pod\n3:cpu,cpuacct:/pod\n0::/\n",
			Vitals{Frozen: true, Quotas: map[string]QuotaUse{"sys/fs/cgroup/cpu,cpuacct/pod": {10, 9}}},
		},
		{"v1, thawed", map[string]string{"sys/fs/cgroup/freezer/pod/freezer.state": "THAWED\n"}, "6:freezer:/pod\n", Vitals{}},
		{"outside of what can be seen", map[string]string{"v2/cgroup.events": "frozen 1\n"}, "0::/../../other\n", Vitals{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, content := range tt.files {
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l := &Live{root: root, cgroups: cgroupTree{searched: true, mount: filepath.Join(root, "v2")}}
			var got Vitals
			l.cgroupVitals([]byte(tt.cgroup), &got)
			quotas := map[string]QuotaUse{}
			for dir, use := range got.Quotas {
				quotas[strings.TrimPrefix(dir, root+"/")] = use
			}
			if got.Frozen != tt.want.Frozen || !maps.Equal(quotas, tt.want.Quotas) {
				t.Errorf("cgroupVitals(%q) = %+v, want %+v", tt.cgroup, got, tt.want)
			}
		})
	}
}

// TestThreadTimes proves that threads of which the kernel keeps no times, or which
// are too many to look at, are not taken for threads that do not run.
func TestThreadTimes(t *testing.T) {
	tests := []struct {
		name     string
		threads  int
		sched    string
		known    int
		thereMay bool // be more
	}{
		{"two that ran", 2, "5 1 1\n", 2, false},
		{"a kernel that does not count", 2, "0 0 0\n", 0, false},
		{"more than are looked at", maxThreads + 5, "5 1 1\n", maxThreads, true},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		for tid := range tt.threads {
			task := filepath.Join(dir, strconv.Itoa(100+tid))
			if err := os.Mkdir(task, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(task, "schedstat"), []byte(tt.sched), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		times, more := threadTimes(dir)
		if len(times) != tt.known || more != tt.thereMay {
			t.Errorf("%s: threadTimes = %d threads, more %t, want %d, %t", tt.name, len(times), more, tt.known, tt.thereMay)
		}
	}
}

func TestVitals(t *testing.T) {
	l, err := NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	v, err := l.Vitals(os.Getpid())
	if err != nil || v.Start == 0 || v.Stopped || v.Descriptors < 3 || v.DescriptorLimit < v.Descriptors || len(v.Threads) == 0 {
		t.Errorf("Vitals(this test) = %+v, %v, want a running process", v, err)
	}
	if _, err := l.Vitals(1 << 30); err == nil {
		t.Error("Vitals(nobody) = nil, want an error")
	}
}

func FuzzVitals(f *testing.F) {
	f.Add([]byte("9 (nginx) T 1 9"))
	f.Add([]byte("Max open files 1024 4096 files\n"))
	f.Add([]byte("nr_periods 9\nfrozen 1\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		isStopped(b)
		parseDescriptorLimit(b)
		parseSchedstat(b)
		fieldOf(b, "nr_periods")
		innerPID(b, 1)
		handedTo(b, 1)
	})
}
