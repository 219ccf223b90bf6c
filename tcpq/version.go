// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"fmt"
	"strconv"
	"strings"
)

// A Version is a kernel version: the upstream release whose rules hold.
type Version struct {
	Major, Minor, Patch int

	Patches PatchLevel // whether Patch is upstream's
	Vendor  string     // who built it, "" for upstream or unknown: debian, ubuntu, el7, amzn, ...

	// SynFull is which test of a full SYN queue a trial on the running kernel
	// has shown, "" when none was made.
	SynFull SynFullTest

	// Release is the kernel's own name for itself (uname -r), for people.
	Release string
}

// A PatchLevel says what the patch level of a Version is worth.
type PatchLevel uint8

// What a patch level is worth.
const (
	PatchUpstream PatchLevel = iota // it is the upstream release's
	PatchAbsent                     // none was given: the whole series is meant
	PatchHidden                     // the distribution keeps a number of its own
)

// A SynFullTest is how the kernel tells that a SYN queue is full.
type SynFullTest string

// The two tests.
const (
	SynFullAt    SynFullTest = "at-limit"    // when it is as long as its limit
	SynFullAbove SynFullTest = "above-limit" // when it is longer
)

// A vendor is a distribution whose kernels can be told by their names.
type vendor struct {
	name   string
	mark   string // part of the release, or of the version line
	hidden bool   // the patch level of the release is not upstream's
}

// vendors are told apart in this order.
var vendors = []vendor{
	{"el7", ".el7", true},
	{"el8", ".el8", true},
	{"el9", ".el9", true},
	{"el10", ".el10", true},
	{"amzn", ".amzn", false},
	{"ubuntu", "Ubuntu", true}, // aws, azure and gke kernels of Ubuntu, too
	{"debian", "Debian", false},
	{"azure", "-azure", true},
	{"gke", "-gke", true},
	{"microsoft", "-microsoft", false},
	{"proxmox", "-pve", false},
}

// ParseVersion reads uname's release, and its version line for the
// distributions whose release hides the patch level: Debian calls 6.1.170
// "6.1.0-50-amd64" and tells the truth in the version line.
func ParseVersion(release, line string) (Version, error) {
	v := Version{Release: release}
	base, levels, err := parseTriple(release)
	if err != nil {
		return v, fmt.Errorf("kernel release %q: %w", release, err)
	}
	for _, vendor := range vendors {
		if strings.Contains(release, vendor.mark) || strings.Contains(line, vendor.mark) {
			v.Vendor = vendor.name
			if vendor.hidden {
				v.Patches = PatchHidden
			}
			break
		}
	}
	switch {
	case v.Vendor == "" && strings.HasSuffix(release, "+"):
		v.Vendor = "cos"
	case v.Vendor == "" && levels == 2:
		v.Patches = PatchAbsent
	case v.Vendor == "debian":
		_, rest, _ := strings.Cut(line, "Debian ")
		if deb, _, err := parseTriple(rest); err == nil && deb[0] == base[0] && deb[1] == base[1] {
			base = deb
		} else if base[2] == 0 {
			v.Patches = PatchHidden
		}
	case v.Vendor == "" && line == "" && base[2] == 0 && strings.Contains(release, ".0-"):
		v.Patches = PatchAbsent // as Debian and others name a series, with nothing to tell more
	}
	v.Major, v.Minor, v.Patch = base[0], base[1], base[2]
	return v, nil
}

// parseTriple reads "6.18.44-anything"; the patch level may be missing. Levels is
// how many numbers there were.
func parseTriple(s string) (t [3]int, levels int, err error) {
	for i := range t {
		digits := s
		if end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
			digits = s[:end]
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n > 1<<16 {
			return t, i, fmt.Errorf("number %d is missing or too large", i+1)
		}
		t[i] = n
		s = s[len(digits):]
		if !strings.HasPrefix(s, ".") {
			if i == 0 {
				return t, 1, fmt.Errorf("no minor version")
			}
			return t, i + 1, nil
		}
		s = s[1:]
	}
	return t, len(t), nil
}

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

func (v Version) String() string {
	if v.Patches == PatchAbsent {
		return fmt.Sprintf("%d.%d", v.Major, v.Minor)
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}
