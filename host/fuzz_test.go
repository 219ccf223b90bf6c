// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"strings"
	"testing"
)

func FuzzParseUID(f *testing.F) {
	f.Add([]byte("Name:\tx\nUid:\t1\t2\t3\t4\n"))
	f.Add([]byte("Uid:"))
	f.Fuzz(func(t *testing.T, status []byte) {
		if _, err := parseUID(status); err == nil && !strings.Contains(string(status), "Uid:") {
			t.Errorf("parseUID(%q) found a user", status)
		}
	})
}

func FuzzPodLogNames(f *testing.F) {
	f.Add("shop_cart-0_1234", "cart-0_shop_web-4f1c.log")
	f.Add("__", "__-")
	f.Fuzz(func(t *testing.T, folder, log string) {
		pod, ok := parsePodFolder(folder)
		if !ok {
			return
		}
		if again := pod.Namespace + "_" + pod.Name + "_" + pod.UID; again != folder {
			t.Errorf("parsePodFolder(%q) is %q put together", folder, again)
		}
		if id, name, ok := pod.parseContainerLog(log); ok && !strings.Contains(log, name+"-"+id) {
			t.Errorf("parseContainerLog(%q) = %q, %q", log, id, name)
		}
	})
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte("gone: it ended"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := parseError(b)
		if again := parseError(formatError(err)); !strings.Contains(again.Error(), strings.TrimSpace(err.Error())) {
			t.Errorf("parseError(%q) = %q, written and read again %q", b, err, again)
		}
	})
}
