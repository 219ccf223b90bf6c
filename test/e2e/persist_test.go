// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/qtune/qtune/test/lab"
)

// persistence is a script for a host of its own: its process 1, its network
// namespace and its /etc/sysctl.d. It changes the host's value for good and takes
// it back, and says what there is in between.
const persistence = `
set -eu
mount -t tmpfs none /etc/sysctl.d
mount -t tmpfs none /var/lib
mount -t tmpfs none /run
say() { echo "$1: $(cat /proc/sys/net/core/somaxconn) $(grep -h '^net' /etc/sysctl.d/60-qtune.conf 2>/dev/null || echo no file)"; }
code() { "$@" >&2 && echo "exit 0" || echo "exit $?"; }
apply="$QTUNE apply net.core.somaxconn=8192 --persist --yes"

echo 4096 >/proc/sys/net/core/somaxconn
echo 'net.core.somaxconn = 128' >/etc/sysctl.d/99-vendor.conf
code $apply
say shadowed
code $apply --shadowed-ok
say applied
code $QTUNE drift
code $QTUNE rollback 0
say "rolled back"
`

// TestPersist applies and rolls back what survives a reboot.
func TestPersist(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "unshare")
	cmd := exec.CommandContext(t.Context(), "unshare", "--pid", "--fork", "--kill-child", "--net", "--mount", "--mount-proc", "sh", "-c", persistence)
	cmd.Env = append(cmd.Environ(), "QTUNE="+lab.Binary(t))
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, words.String())
	}
	want := `exit 10
shadowed: 4096 no file
exit 0
applied: 8192 net.core.somaxconn = 8192
exit 0
exit 0
rolled back: 4096 no file
`
	if string(out) != want {
		t.Errorf("got\n%swant\n%swith\n%s", out, want, words.String())
	}
}
