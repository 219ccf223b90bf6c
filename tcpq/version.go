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

	// Release is the kernel's own name for itself (uname -r), for people.
	Release string
}

// ParseVersion reads uname's release, and its version line for the
// distributions whose release hides the patch level: Debian calls 6.1.170
// "6.1.0-50-amd64" and tells the truth in the version line.
func ParseVersion(release, line string) (Version, error) {
	v := Version{Release: release}
	base, err := parseTriple(release)
	if err != nil {
		return v, fmt.Errorf("kernel release %q: %w", release, err)
	}
	if _, rest, ok := strings.Cut(line, "Debian "); ok {
		if deb, err := parseTriple(rest); err == nil && deb[0] == base[0] && deb[1] == base[1] {
			base = deb
		}
	}
	v.Major, v.Minor, v.Patch = base[0], base[1], base[2]
	return v, nil
}

// parseTriple reads "6.18.44-anything"; the patch level may be missing.
func parseTriple(s string) (t [3]int, err error) {
	for i := range t {
		digits := s
		if end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
			digits = s[:end]
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n > 1<<16 {
			return t, fmt.Errorf("number %d is missing or too large", i+1)
		}
		t[i] = n
		s = s[len(digits):]
		if !strings.HasPrefix(s, ".") {
			if i == 0 {
				return t, fmt.Errorf("no minor version")
			}
			return t, nil
		}
		s = s[1:]
	}
	return t, nil
}

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }
