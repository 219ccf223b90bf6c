// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Now reads the clocks and which boot this is.
func (t *Tuner) Now() (Now, error) {
	id, err := os.ReadFile(filepath.Join(t.opts.Root, "/proc/sys/kernel/random/boot_id"))
	if err != nil {
		return Now{}, fmt.Errorf("read which boot this is: %w", err)
	}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return Now{}, fmt.Errorf("read the boot clock: %w", err)
	}
	return Now{
		Moment: Moment{Wall: time.Now().UTC().Round(0), Boot: time.Duration(boot.Nano())},
		BootID: strings.TrimSpace(string(id)),
	}, nil
}

// after returns the moment this much later.
func (m Moment) after(d time.Duration) *Moment { return &Moment{m.Wall.Add(d), m.Boot + d} }
