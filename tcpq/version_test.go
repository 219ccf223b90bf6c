// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import "testing"

func TestParseVersion(t *testing.T) {
	tests := []struct {
		name          string
		release, line string
		want          string // "" for an error
	}{
		{"upstream", "6.18.44", "#1 SMP PREEMPT_DYNAMIC @0", "6.18.44"},
		{"upstream with a name of its own", "6.18.44-fc-v657", "#1 SMP PREEMPT_DYNAMIC @0", "6.18.44"},
		{"a whole series has no patch level", "6.18", "#1 SMP", "6.18"},
		{"a release candidate", "6.19.0-rc3", "#1 SMP", "6.19.0"},
		{"a release candidate without a patch level", "6.19-rc3", "#1 SMP", "6.19"},
		{"debian tells the patch level in the version line", "6.1.0-50-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-05-02)", "6.1.170"},
		{"debian 11", "5.10.0-32-amd64", "#1 SMP Debian 5.10.223-1 (2024-08-10)", "5.10.223"},
		{"debian cloud", "6.1.0-50-cloud-arm64", "#1 SMP Debian 6.1.170-1 (2026-05-02)", "6.1.170"},
		{"debian backports tell the patch level in both", "6.12.9+bpo-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1~bpo12+1 (2025-01-19)", "6.12.9"},
		{"another version than the release's is not believed", "6.1.0-50-amd64", "#1 SMP Debian 6.12.9-1", "6.1.0"},
		{"debian without a version", "6.1.0-50-amd64", "#1 SMP Debian unknown", "6.1.0"},
		{"debian at the very end", "6.1.0-50-amd64", "#1 SMP Debian ", "6.1.0"},
		{"proxmox is no debian", "6.8.12-4-pve", "#1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 (2024-11-06T15:04Z)", "6.8.12"},
		{"el7", "3.10.0-1160.119.1.el7.x86_64", "#1 SMP Tue Jun 4 14:43:51 UTC 2024", "3.10.0"},
		{"el9", "5.14.0-503.11.1.el9_5.x86_64", "#1 SMP PREEMPT_DYNAMIC Tue Nov 12 2024", "5.14.0"},
		{"ubuntu hides the patch level", "5.15.0-91-generic", "#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023", "5.15.0"},
		{"ubuntu on aws", "6.8.0-1021-aws", "#23-Ubuntu SMP Mon Dec 9 23:59:34 UTC 2024", "6.8.0"},
		{"amazon linux", "6.1.119-129.201.amzn2023.x86_64", "#1 SMP PREEMPT_DYNAMIC Tue Dec 3 2024", "6.1.119"},
		{"amazon linux 2", "4.14.355-275.572.amzn2.x86_64", "#1 SMP Fri Nov 8 2024", "4.14.355"},
		{"container-optimized os has a plus", "6.6.56+", "#1 SMP Sun Oct 27 2024", "6.6.56"},
		{"wsl", "5.15.167.4-microsoft-standard-WSL2", "#1 SMP Tue Nov 5 2024", "5.15.167"},
		{"large numbers", "65536.65536.65536", "", "65536.65536.65536"},
		{"numbers too large", "6.65537.1", "", ""},
		{"numbers of twenty digits", "6.1.99999999999999999999", "", ""},
		{"nothing", "", "", ""},
		{"a word", "linux", "", ""},
		{"a major version only", "6", "", ""},
		{"a major version and a dot", "6.", "", ""},
		{"a dot and no patch level", "6.1.", "", ""},
		{"no digits first", "v6.1.0", "", ""},
		{"a negative number", "-6.1.0", "", ""},
		{"digits of another script", "٦.١.٠", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := ParseVersion(tt.release, tt.line)
			if v.Release != tt.release {
				t.Errorf("ParseVersion(%q, %q).Release = %q, want the release", tt.release, tt.line, v.Release)
			}
			if tt.want == "" {
				if err == nil || v.Major != 0 {
					t.Errorf("ParseVersion(%q, %q) = %v, %v, want an unknown version and an error", tt.release, tt.line, v, err)
				}
				return
			}
			if err != nil || v.String() != tt.want || v.Major == 0 {
				t.Errorf("ParseVersion(%q, %q) = %v, %v, want %s", tt.release, tt.line, v, err, tt.want)
			}
		})
	}
}

// TestVendors proves who is told by the name of a kernel, and whether its patch
// level is upstream's.
func TestVendors(t *testing.T) {
	tests := []struct {
		release, line string
		vendor        string
		patches       PatchLevel
	}{
		{"6.18.44", "#1 SMP", "", PatchUpstream},
		{"6.18", "", "", PatchAbsent},
		{"6.1.0-50-amd64", "", "", PatchAbsent},
		{"6.1.0-50-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-05-02)", "debian", PatchUpstream},
		{"6.1.0-50-amd64", "#1 SMP Debian unknown", "debian", PatchHidden},
		{"3.10.0-1160.119.1.el7.x86_64", "#1 SMP Tue Jun 4 14:43:51 UTC 2024", "el7", PatchHidden},
		{"4.18.0-553.el8_10.x86_64", "#1 SMP", "el8", PatchHidden},
		{"5.14.0-503.11.1.el9_5.x86_64", "#1 SMP PREEMPT_DYNAMIC", "el9", PatchHidden},
		{"5.15.0-91-generic", "#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023", "ubuntu", PatchHidden},
		{"6.8.0-1021-aws", "#23-Ubuntu SMP", "ubuntu", PatchHidden},
		{"5.15.0-1053-azure", "#61~20.04.1-Ubuntu SMP", "ubuntu", PatchHidden},
		{"5.15.0-1053-azure", "", "azure", PatchHidden},
		{"5.15.0-1049-gke", "", "gke", PatchHidden},
		{"6.1.119-129.201.amzn2023.x86_64", "#1 SMP", "amzn", PatchUpstream},
		{"6.6.56+", "#1 SMP Sun Oct 27 2024", "cos", PatchUpstream},
		{"6.8.12-4-pve", "#1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4", "proxmox", PatchUpstream},
		{"5.15.167.4-microsoft-standard-WSL2", "#1 SMP", "microsoft", PatchUpstream},
	}
	for _, tt := range tests {
		v, err := ParseVersion(tt.release, tt.line)
		if err != nil || v.Vendor != tt.vendor || v.Patches != tt.patches {
			t.Errorf("ParseVersion(%q, %q) = vendor %q, patches %d, %v, want %q, %d", tt.release, tt.line, v.Vendor, v.Patches, err, tt.vendor, tt.patches)
		}
	}
}

func TestVersionAtLeast(t *testing.T) {
	tests := []struct {
		name         string
		major, minor int
		want         bool
	}{
		{"itself", 6, 1, true},
		{"an older minor", 6, 0, true},
		{"a newer minor", 6, 2, false},
		{"an older major with a larger minor", 5, 19, true},
		{"a newer major with a smaller minor", 7, 0, false},
	}
	v := Version{Major: 6, Minor: 1, Patch: 170}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := v.AtLeast(tt.major, tt.minor); got != tt.want {
				t.Errorf("%v.AtLeast(%d, %d) = %t, want %t", v, tt.major, tt.minor, got, tt.want)
			}
		})
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("6.18.44-fc-v657", "#1 SMP")
	f.Add("6.1.0-50-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-05-02)")
	f.Add("3.10.0-1160.el7", "Debian 3.10.")
	f.Fuzz(func(t *testing.T, release, line string) {
		v, err := ParseVersion(release, line)
		if err != nil {
			return
		}
		again, err := ParseVersion(v.String(), "")
		if err != nil || again.Major != v.Major || again.Minor != v.Minor || again.Patch != v.Patch {
			t.Errorf("ParseVersion(%q) = %v, %v, want %v as from %q, %q", v.String(), again, err, v, release, line)
		}
	})
}
