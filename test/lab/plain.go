// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"debug/elf"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

var plain struct {
	once sync.Once
	dir  string // to remove at the end
	path string
	err  error
}

// plainSelf returns a copy of the test binary that does not tell that Go made it:
// it has no table of sections, which the kernel does not need.
func plainSelf(t testing.TB) string {
	t.Helper()
	plain.once.Do(func() {
		if plain.dir, plain.err = os.MkdirTemp("", "qtune-lab-"); plain.err != nil {
			return
		}
		plain.path = filepath.Join(plain.dir, "server")
		var b []byte
		if b, plain.err = os.ReadFile("/proc/self/exe"); plain.err == nil {
			hideSections(b)
			plain.err = os.WriteFile(plain.path, b, 0o755)
		}
	})
	must(t, "copy the test binary", plain.err)
	return plain.path
}

// hideSections clears e_shoff, e_shnum and e_shstrndx of a 64-bit ELF header.
func hideSections(b []byte) {
	const shoff, shnum, end = 40, 60, 64
	if len(b) < end || elf.Class(b[elf.EI_CLASS]) != elf.ELFCLASS64 {
		return
	}
	clear(b[shoff : shoff+8])
	clear(b[shnum:end])
}

func removePlain() {
	if plain.dir != "" {
		os.RemoveAll(plain.dir) //nolint:errcheck // in the folder for temporary files
	}
}
