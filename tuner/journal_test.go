// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/sysctl"
)

// keptTransaction is a transaction with everything in it that one can have.
func keptTransaction() *Transaction {
	now, seen := at(0), int64(777)
	return &Transaction{
		Schema: schema, ID: "01JDHV5A000000000000000000", State: Conflict, Reason: "operator",
		Created: now.Moment, BootID: testBoot, Deadline: now.after(time.Minute), Closed: now.Wall,
		Actor: Actor{UID: 1000, PID: 7, Comm: "qtune", Policy: "fleet"}, Why: "<bursts> & more", Guardian: BySystemd, Persist: true,
		Steps: []Step{
			{
				Kind: KindSysctl, Scope: Scope{Netns: 4026531840, Cookie: "0000000000000001", Host: true}, Key: somaxconn, From: 128, To: 1024,
				Findings: []string{"accept-queue-overflow"}, Affects: []Affect{{Listener: "0.0.0.0:80"}},
				SetBy: []Setter{{Where: "/etc/sysctl.conf:1", Value: "128"}}, Outcome: Foreign, Seen: &seen, Message: "777 was found",
			},
			{
				Kind: KindListen, Scope: Scope{Netns: 4026532000, PID: 9, PIDStarted: 12}, From: 64, To: 1024, Outcome: Undone,
				Listener: &Socket{Address: "::", Port: 80, Device: "eth0", Protocol: "mptcp", Inode: 5, Cookie: "00000000000000ff", PIDs: []int{9}, Comm: "a\u2028b"},
			},
		},
		Boot: &BootFile{To: &sysctl.Persisted{Transaction: "01JDHV5A000000000000000000", Time: now.Wall, Values: map[string]int64{somaxconn: 1024}}},
	}
}

// TestRecord proves that what is read is what was written.
func TestRecord(t *testing.T) {
	want := keptTransaction()
	b, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decode(encode) differs (-want +got):\n%s", diff)
	}
	sum := sha256.Sum256(bytes.SplitN(b, []byte("\n"), 3)[2])
	if !bytes.Contains(b, []byte(hex.EncodeToString(sum[:]))) {
		t.Error("the checksum is not that of all lines from the third on")
	}
}

// resealed returns a record with another body and the checksum of that.
func resealed(b []byte, from, to string) []byte {
	body := strings.Replace(string(b[recordBody:]), from, to, 1)
	sum := sha256.Sum256([]byte(body))
	return []byte(recordHead + hex.EncodeToString(sum[:]) + recordMiddle + body)
}

func TestBadRecords(t *testing.T) {
	good, err := encode(keptTransaction())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		file []byte
		want string // part of what is said
	}{
		{"empty", nil, "does not begin with a checksum"},
		{"garbage", bytes.Repeat([]byte{0xff, 0}, 4096), "does not begin with a checksum"},
		{"torn in the head", good[:recordBody-1], "does not begin with a checksum"},
		{"torn in the middle", good[:len(good)/2], "checksum is wrong"},
		{"torn at the last byte", good[:len(good)-1], "checksum is wrong"},
		{"torn to zeros", append(bytes.Clone(good[:len(good)-64]), make([]byte, 64)...), "checksum is wrong"},
		{"one value edited", bytes.Replace(good, []byte(`"from": 128`), []byte(`"from": 127`), 1), "checksum is wrong"},
		{"another schema", resealed(good, `"schema": 1`, `"schema": 2`), "schema 2, this qtune knows 1"},
		{"an unknown field", resealed(good, `"state"`, `"colour": 1, "state"`), `unknown field "colour"`},
		{"something behind it", resealed(good, "\n}\n", "\n}\n{}\n"), "after top-level value"},
		{"an unknown state", resealed(good, `"conflict"`, `"maybe"`), `unknown state "maybe"`},
		{"a trial without a deadline", resealed(resealed(good, `"conflict"`, `"applied"`), `"deadline": {`, `"deadline": null, "created": {`), "has no deadline"},
		{"a sysctl of another kind", resealed(good, somaxconn, "kernel.panic"), "kernel.panic is no sysctl that qtune changes"},
		{"a listener without a cookie", resealed(good, "00000000000000ff", ""), "has no cookie"},
		{"a value that no kernel holds", resealed(good, `"from": 128`, `"from": 2147483648`), "no value the kernel could hold"},
		{"no id", resealed(good, "01JDHV5A000000000000000000", "../../etc/passwd"), "id "},
		{"the id of another file", resealed(good, `"01JDHV5A`, `"01JDHV5B`), "it is that of 01JDHV5B"},
		{"too large", append(bytes.Clone(good), make([]byte, maxRecord)...), "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := testOptions(t)
			tn := &Tuner{kernel: newFakeWorld().k, opts: o}
			dir := tn.journal().dir
			path := filepath.Join(dir, "01JDHV5A000000000000000000.json")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := tn.SetAside(); len(got) != 0 || err != nil {
				t.Errorf("SetAside = %q, %v, want none yet", got, err)
			}
			if all, err := tn.History(t.Context()); len(all) != 0 || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("History = %d transactions, %v, want none, and %q", len(all), err, tt.want)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("whoever only reads sets it aside: %v", err)
			}
			tx, err := tn.Apply(t.Context(), at(0), planOf(newFakeWorld().step(0, somaxconn, 128, 1024)), ApplyOptions{})
			if tx != nil || !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Apply = %v, %v, want %v", tx, err, ErrIncomplete)
			}
			if b, err := os.ReadFile(path + ".bad"); err != nil || !bytes.Equal(b, tt.file) {
				t.Errorf("it is not set aside as it was: %v", err)
			}
			if all, err := tn.Recover(t.Context(), at(0), true); len(all) != 0 || err != nil {
				t.Errorf("Recover = %d, %v, want that it is reported once", len(all), err)
			}
			if got, err := tn.SetAside(); err != nil || !slices.Equal(got, []string{path + ".bad"}) {
				t.Errorf("SetAside = %q, %v, want it listed from then on", got, err)
			}
		})
	}
}

// TestJournalNoFile proves that what is no file in the journal's folder is set aside
// like any record that cannot be read, and keeps nobody from the others.
func TestJournalNoFile(t *testing.T) {
	tests := []struct {
		name string
		make func(path string) error
	}{
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a link to a file", func(path string) error { return os.Symlink("/etc/hostname", path) }},
		{"a pipe that nobody writes to", func(path string) error { return unix.Mkfifo(path, 0o600) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tn := &Tuner{kernel: newFakeWorld().k, opts: testOptions(t)}
			j := tn.journal()
			if err := j.prepare(); err != nil {
				t.Fatal(err)
			}
			if err := j.write(keptTransaction()); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(j.dir, "01JDHV5B000000000000000000.json")
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			if all, err := tn.History(t.Context()); len(all) != 1 || err == nil {
				t.Errorf("History = %d transactions, %v, want 1 and an error", len(all), err)
			}
			if _, err := tn.Recover(t.Context(), at(0), false); !errors.Is(err, ErrIncomplete) {
				t.Errorf("Recover = %v, want %v", err, ErrIncomplete)
			}
			if _, err := os.Lstat(path + badSuffix); err != nil {
				t.Errorf("it was not set aside: %v", err)
			}
		})
	}
}

// FuzzDecode proves that nothing makes decode fail otherwise than by an error, and
// that what it takes, it writes and takes again.
func FuzzDecode(f *testing.F) {
	good, err := encode(keptTransaction())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[recordBody:])
	f.Add([]byte("\"schema\": 1}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		decode(body) //nolint:errcheck // it only must not panic
		tx, err := decode(resealed(append(bytes.Clone(good[:recordBody]), body...), "", ""))
		if err != nil {
			return
		}
		b, err := encode(tx)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		again, err := decode(b)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if diff := cmp.Diff(tx, again); diff != "" {
			t.Errorf("it changes:\n%s", diff)
		}
	})
}

// TestJournalFiles proves who may read the journal, and that what a stopped writer
// left goes.
func TestJournalFiles(t *testing.T) {
	tn := &Tuner{opts: testOptions(t)}
	j := tn.journal()
	if err := j.prepare(); err != nil {
		t.Fatal(err)
	}
	tx := keptTransaction()
	if err := j.write(tx); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(j.dir, tx.ID+unsureSuffix)
	if err := os.WriteFile(left, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{j.dir: 0o700 | os.ModeDir, filepath.Join(j.dir, tx.ID+recordSuffix): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("mode of %s = %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	if err := j.prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what was never finished is there still: %v", err)
	}
}

func TestPrune(t *testing.T) {
	tn := &Tuner{opts: testOptions(t)}
	j := tn.journal()
	if err := j.prepare(); err != nil {
		t.Fatal(err)
	}
	now := at(100 * 24 * time.Hour)
	var all []*Transaction
	add := func(state State, closed time.Duration, boot, key string) string {
		tx := &Transaction{Schema: schema, State: state, BootID: boot, Deadline: now.after(0)}
		if key != "" {
			tx.Steps = []Step{{Kind: KindSysctl, Key: key, From: 1, To: 2, Outcome: Done}}
		}
		if !state.Open() {
			tx.Closed = at(closed).Wall
		}
		var newest *Transaction
		if len(all) > 0 {
			newest = all[0]
		}
		var err error
		if tx.ID, err = newID(at(0).Wall, newest); err != nil {
			t.Fatal(err)
		}
		if err := j.write(tx); err != nil {
			t.Fatal(err)
		}
		all = slices.Insert(all, 0, tx)
		return tx.ID
	}
	const day = 24 * time.Hour
	kept := map[string]string{}
	kept[add(Applied, 0, testBoot, synBacklog)] = "an open one, however old"
	kept[add(Confirmed, 0, testBoot, somaxconn)] = "one in force, however many came after it"
	add(Confirmed, 99*day, testBoot, syncookies) // too many came after it, and one that changed its value again
	for range keepCount - 4 {
		kept[add(RolledBack, 99*day, testBoot, syncookies)] = "a young one"
	}
	kept[add(Confirmed, 0, testBoot, syncookies)] = "an old one that may be in force again"
	kept[add(Confirmed, 99*day, testBoot, syncookies)] = "one that changed its value again"
	add(Confirmed, 0, "another", syncookies) // of another boot
	add(RolledBack, 69*day, testBoot, syncookies)
	kept[add(RolledBack, 70*day, testBoot, syncookies)] = "one that is just young enough"
	if err := j.prune(all, now); err != nil {
		t.Fatal(err)
	}
	left, bad, err := j.load()
	if err != nil || len(bad) > 0 {
		t.Fatal(bad, err)
	}
	for _, tx := range left {
		if kept[tx.ID] == "" {
			t.Errorf("kept %s, %s, closed %v, want it removed", tx.ID, tx.State, tx.Closed)
		}
		delete(kept, tx.ID)
	}
	for _, why := range kept {
		t.Errorf("removed %s", why)
	}
}

// TestPruneInForce proves that even what is in force has a bound.
func TestPruneInForce(t *testing.T) {
	j := (&Tuner{opts: testOptions(t)}).journal()
	if err := j.prepare(); err != nil {
		t.Fatal(err)
	}
	var all []*Transaction
	for i := range keepInForce + 1 {
		tx := &Transaction{Schema: schema, State: Confirmed, BootID: testBoot, Closed: at(0).Wall}
		tx.Steps = []Step{{Kind: KindSysctl, Scope: Scope{Netns: uint64(i)}, Key: somaxconn, From: 1, To: 2, Outcome: Done}}
		var err error
		if tx.ID, err = newID(at(time.Duration(i)*time.Second).Wall, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(j.dir, tx.ID+recordSuffix), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		all = slices.Insert(all, 0, tx)
	}
	if err := j.prune(all, at(0)); err != nil {
		t.Fatal(err)
	}
	for i, tx := range all {
		_, err := os.Stat(filepath.Join(j.dir, tx.ID+recordSuffix))
		if kept := err == nil; kept != (i < keepInForce) {
			t.Errorf("of %d in force the %d. newest is kept: %t", len(all), i+1, kept)
		}
	}
}

// TestNewID proves that ids sort by age, whatever the clock does.
func TestNewID(t *testing.T) {
	var newest *Transaction
	wall := at(0).Wall
	for i, step := range []time.Duration{0, 0, time.Hour, -1000 * time.Hour, 0, 1, -time.Hour} {
		wall = wall.Add(step)
		id, err := newID(wall, newest)
		if err != nil {
			t.Fatal(err)
		}
		if newest != nil && id <= newest.ID {
			t.Errorf("id %d = %s, not after %s", i, id, newest.ID)
		}
		newest = &Transaction{ID: id}
	}
}

// TestFind proves by how much of its id a transaction is found.
func TestFind(t *testing.T) {
	all := []*Transaction{{ID: "01JDHV5BAA"}, {ID: "01JDHV5AAB"}, {ID: "01JDHV5AA"}}
	tests := []struct{ id, want string }{
		{"01JDHV5B", "01JDHV5BAA"},
		{"01jdhv5b", "01JDHV5BAA"},
		{"01JDHV5AA", "01JDHV5AA"}, // the whole of one, the beginning of another
		{"01JDHV5A", ""},
		{"01", ""},
		{"", ""},
		{"7", ""},
	}
	for _, tt := range tests {
		got := ""
		tx, err := find(all, tt.id)
		if tx != nil {
			got = tx.ID
		}
		if got != tt.want || (tt.want == "") != errors.Is(err, ErrUnknown) {
			t.Errorf("find(%q) = %q, %v, want %q", tt.id, got, err, tt.want)
		}
	}
}

// TestLock proves that one holds it at a time, and that the others hear who.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "lock")
	l, err := take(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := take(path); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("take = %v, want %v by process %d", err, ErrBusy, os.Getpid())
	}
	l.release()
	l, err = take(path)
	if err != nil {
		t.Fatalf("take after release = %v", err)
	}
	l.release()
}

// TestLockWaits proves that who waits gets the lock when it is given back, and hears
// who has it when it is not.
func TestLockWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := take(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := await(t.Context(), path, lockEvery); !errors.Is(err, ErrBusy) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await = %v, want %v", err, ErrBusy)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := await(stopped, path, time.Hour); !errors.Is(err, ErrBusy) {
		t.Errorf("await, interrupted = %v, want %v", err, ErrBusy)
	}
	time.AfterFunc(3*lockEvery, l.release)
	if l, err = await(t.Context(), path, time.Hour); err != nil {
		t.Fatalf("await = %v", err)
	}
	l.release()
}
