// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// nlmsg returns a netlink message of n bytes.
func nlmsg(n int, seq uint32) []byte {
	b := make([]byte, n)
	binary.NativeEndian.PutUint32(b, uint32(n))
	binary.NativeEndian.PutUint32(b[8:], seq)
	return b
}

func TestHexHasAMessageALine(t *testing.T) {
	datagram := append(append(nlmsg(20, 1), nlmsg(16, 1)...), 1, 2, 3) // and a tail that is none
	lines := appendHex(nil, datagram)
	if n := bytes.Count(lines, []byte{'\n'}); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
	var again []byte
	if _, err := eachHex(lines, func(b []byte) (bool, error) {
		again = append(again, b...)
		return false, nil
	}); err != nil || !bytes.Equal(again, datagram) {
		t.Errorf("read back %x, %v, want %x", again, err, datagram)
	}
}

func TestErrorsSurviveARecording(t *testing.T) {
	for _, kind := range []error{ErrGone, ErrPermission, ErrAbsent} {
		err := fmt.Errorf("open net:[7]: %w", kind)
		again := parseError(formatError(err))
		if !errors.Is(again, kind) || again.Error() != err.Error() {
			t.Errorf("%v came back as %v", err, again)
		}
	}
	if err := parseError(formatError(errors.New("disk: on fire"))); err.Error() != "disk: on fire" {
		t.Errorf("came back as %v", err)
	}
}

// TestRecordingThatWasDamaged reads a recorded host of which a file is missing or
// nonsense: an error or less data, never a panic.
func TestRecordingThatWasDamaged(t *testing.T) {
	for _, victim := range []string{"meta.json", "000/found.json", "000/4026532177/netns.json", "processes.json", "proc/8/uid", "proc/8/start", "proc/8/fds", "pods.json", "cgroups"} {
		for _, content := range []string{"", "{", "\x00\xff", "-1"} {
			dir := smallRecording(t)
			if err := os.WriteFile(filepath.Join(dir, victim), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			readEverything(dir)
		}
		dir := smallRecording(t)
		if err := os.Remove(filepath.Join(dir, victim)); err != nil {
			t.Fatal(err)
		}
		readEverything(dir)
	}
}

// smallRecording writes a recording of one step and one process.
func smallRecording(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"meta.json":                  `{"format": 1, "kernel": "6.18.0"}`,
		"000/found.json":             `{"time": "2026-01-01T00:00:00Z"}`,
		"000/4026532177/netns.json":  `{"cookie": "1"}`,
		"000/4026532177/listen.hex":  "00\n",
		"000/4026532177/netstat":     "",
		"000/4026532177/sysctl":      "net.core.somaxconn = 4096\n",
		"000/4026532177/enter.error": "gone: it ended",
		"processes.json":             `{"all": [8], "denied": [9]}`,
		"proc/8/comm":                "x",
		"proc/8/uid":                 "0",
		"proc/8/start":               "2026-01-01T00:00:00Z",
		"proc/8/fds":                 "3 socket:[5]\n",
		"proc/8/cgroup":              "0::/a\n",
		"pods.json":                  "[]",
		"cgroups":                    "7 /a\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readEverything reads what there is; it is enough that it returns.
func readEverything(dir string) {
	r, err := OpenRecording(dir)
	if err != nil {
		return
	}
	ctx := context.Background()
	r.Info()     //nolint:errcheck // see above
	r.Process(8) //nolint:errcheck // see above
	r.PodLogs()
	r.CgroupPath(7)
	r.CgroupProcesses("/a")
	r.Descriptors(8, func(Descriptor) bool { return true }) //nolint:errcheck // see above
	found, err := r.Namespaces(ctx, Search{})
	if err != nil {
		return
	}
	found.Namespaces = append(found.Namespaces, r.NamespaceOf(8, Descriptor{Inode: 1}))
	r.Visit(ctx, found.Namespaces, func(_ *Namespace, in Inside, err error) { //nolint:errcheck // see above
		if err != nil {
			return
		}
		in.Dump(ListenDump, nil, func([]byte) (bool, error) { return false, nil }) //nolint:errcheck // see above
		in.Read(Netstat)                                                           //nolint:errcheck // see above
		in.Sysctl(tcpq.Somaxconn)                                                  //nolint:errcheck // see above
		in.Device(1)                                                               //nolint:errcheck // see above
	})
}

func TestRecordingSaysWhatItHas(t *testing.T) {
	dir := smallRecording(t)
	r, err := OpenRecording(dir)
	if err != nil {
		t.Fatal(err)
	}
	if path, ok := r.CgroupPath(7); path != "/a" || !ok {
		t.Errorf("CgroupPath(7) = %q, %v", path, ok)
	}
	if pids := r.CgroupProcesses("/a"); len(pids) != 1 || pids[0] != 8 {
		t.Errorf("CgroupProcesses(/a) = %v, want [8]", pids)
	}
	if err := r.Descriptors(9, nil); !errors.Is(err, ErrPermission) {
		t.Errorf("descriptors of a denied process: %v, want %v", err, ErrPermission)
	}
	if err := r.Descriptors(10, nil); err != nil {
		t.Errorf("descriptors of a process that held no listener: %v", err)
	}
	if _, err := r.Namespaces(t.Context(), Search{Path: "/x"}); err == nil {
		t.Error("a recording found a namespace by its path")
	}
	if err := os.WriteFile(filepath.Join(dir, "meta.json"), []byte(`{"format": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRecording(dir); err == nil {
		t.Error("a recording of another format was opened")
	}
}

// TestRecordingFromAStranger has files that would show, hang or swell.
func TestRecordingFromAStranger(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := smallRecording(t)
	for name, make := range map[string]func(path string) error{
		"proc/8/comm":               func(p string) error { return os.Symlink(secret, p) },
		"000/4026532177/netstat":    func(p string) error { return unix.Mkfifo(p, 0o600) },
		"000/4026532177/sysctl":     func(p string) error { return os.Symlink("/dev/zero", p) },
		"000/4026532178/netns.json": func(p string) error { return os.WriteFile(p, []byte("{"), 0o600) },
	} {
		path := filepath.Join(dir, name)
		os.Remove(path) //nolint:errcheck // it may not be there
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := make(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "000/4026532177/enter.error")); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRecording(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Process(8); err != nil || p.Comm != "" {
		t.Errorf("Process = %+v, %v, want no name out of another folder", p, err)
	}
	found, err := r.Namespaces(t.Context(), Search{})
	if err != nil || len(found.Namespaces) != 1 || len(found.Errors) != 1 {
		t.Errorf("Namespaces = %d, errors %v, %v, want one of each", len(found.Namespaces), found.Errors, err)
	}
	err = r.Visit(t.Context(), found.Namespaces, func(_ *Namespace, in Inside, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if b, err := in.Read(Netstat); err == nil {
			t.Errorf("a FIFO was read: %q", b)
		}
		if v, err := in.Sysctl(tcpq.Somaxconn); err == nil {
			t.Errorf("a device was read: %q", v)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStepsGoForward(t *testing.T) {
	dir := smallRecording(t)
	if err := os.MkdirAll(filepath.Join(dir, "001"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "001/found.json"), []byte(`{"time": "2025-01-01T00:00:00Z"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRecording(dir); err == nil {
		t.Error("a recording whose time goes back was opened")
	}
}

func FuzzHex(f *testing.F) {
	f.Add([]byte("00ff\n"))
	f.Add([]byte("zz\n\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var bytesRead int
		eachHex(content, func(b []byte) (bool, error) { //nolint:errcheck // that it returns is the test
			bytesRead += len(b)
			return false, nil
		})
		if 2*bytesRead > len(content) {
			t.Errorf("%d bytes out of %d digits", bytesRead, len(content))
		}
	})
}

func FuzzAppendHex(f *testing.F) {
	f.Add(nlmsg(20, 1))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		var again []byte
		_, err := eachHex(appendHex(nil, datagram), func(b []byte) (bool, error) {
			again = append(again, b...)
			return false, nil
		})
		if err != nil || !bytes.Equal(again, datagram) {
			t.Errorf("%x came back as %x, %v", datagram, again, err)
		}
	})
}

func FuzzParsePairs(f *testing.F) {
	f.Add([]byte("a = 1\nb\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for key := range parsePairs(content, "=") {
			if !bytes.Contains(content, []byte(key)) {
				t.Errorf("key %q is not in %q", key, content)
			}
		}
	})
}

func FuzzParseDescriptor(f *testing.F) {
	f.Add("3 socket:[5]")
	f.Add("4 net:[5]")
	f.Fuzz(func(t *testing.T, line string) {
		d, err := parseDescriptor(line)
		if err != nil {
			return
		}
		if again, err := parseDescriptor(d.String()); err != nil || again != d {
			t.Errorf("%q is %v, and again %v, %v", line, d, again, err)
		}
	})
}
