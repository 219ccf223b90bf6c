// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// The layout of a recording. docs/recordings.md describes it for people.
//
//	meta.json                     which host, by which qtune
//	000/, 001/, ...               the steps, in order of time
//	    found.json                when, and what the search for namespaces said
//	    vitals.json               how processes with full listeners were doing
//	    INODE/netns.json          which namespace it is
//	    INODE/listen.hex          a netlink message a line; synrecv.hex likewise
//	    INODE/netstat, snmp, nf_conntrack, softnet_stat
//	    INODE/sysctl, devices     NAME = VALUE, NUMBER NAME
//	    INODE/FILE.error          instead of FILE: why it could not be read
//	proc/PID/                     the processes that hold listeners
//	processes.json                the numbers of all processes
//	cgroups                       ID PATH
//	pods.json                     the pods of the kubelet's log folders
const formatVersion = 1

// A meta is meta.json.
type meta struct {
	Format     int       `json:"format"`
	Qtune      string    `json:"qtune"`
	Name       string    `json:"name"`
	Kernel     string    `json:"kernel"`
	KernelLine string    `json:"kernelLine"`
	SynFull    string    `json:"synFull,omitempty"` // what a trial showed: tcpq.SynFullTest
	Time       time.Time `json:"time"`
	Redacted   bool      `json:"redacted"`
}

// A foundFile is found.json.
type foundFile struct {
	Time     time.Time     `json:"time"`
	Coverage coverageFile  `json:"coverage"`
	Errors   []errorRecord `json:"errors,omitempty"`
}

// A coverageFile is what is known of the coverage before anything was read.
type coverageFile struct {
	Listns          bool `json:"listns"`
	Processes       int  `json:"processes"`
	ProcessesDenied int  `json:"processesDenied"`
	ProcessesHidden bool `json:"processesHidden"`
	OwnPIDNamespace bool `json:"ownPIDNamespace"`
	MountNamespaces int  `json:"mountNamespaces"`
	MountsDenied    int  `json:"mountsDenied"`
	SocketsSearched bool `json:"socketsSearched"`
}

// An errorRecord is something that could not be found.
type errorRecord struct {
	Netns   uint64 `json:"netns,omitempty"`
	Stage   string `json:"stage"`
	Message string `json:"message"`
}

func newFoundFile(f Found) foundFile {
	c := f.Coverage
	out := foundFile{Coverage: coverageFile{
		Listns: c.Listns, Processes: c.Processes, ProcessesDenied: c.ProcessesDenied, ProcessesHidden: c.ProcessesHidden,
		OwnPIDNamespace: c.OwnPIDNamespace, MountNamespaces: c.MountNamespaces, MountsDenied: c.MountsDenied,
		SocketsSearched: c.SocketsSearched,
	}}
	for _, e := range f.Errors {
		out.Errors = append(out.Errors, errorRecord(e))
	}
	return out
}

func (c coverageFile) coverage() tcpq.Coverage {
	return tcpq.Coverage{
		Listns: c.Listns, Processes: c.Processes, ProcessesDenied: c.ProcessesDenied, ProcessesHidden: c.ProcessesHidden,
		OwnPIDNamespace: c.OwnPIDNamespace, MountNamespaces: c.MountNamespaces, MountsDenied: c.MountsDenied,
		SocketsSearched: c.SocketsSearched,
	}
}

func (f foundFile) errors() (all []tcpq.Error) {
	for _, e := range f.Errors {
		all = append(all, tcpq.Error(e))
	}
	return all
}

// A netnsFile is netns.json.
type netnsFile struct {
	Cookie uint64 `json:"cookie,string"`
	Host   bool   `json:"host,omitempty"`
	Name   string `json:"name,omitempty"`
	PID    int    `json:"pid,omitempty"`
}

// A procsFile is processes.json.
type procsFile struct {
	All    []int `json:"all"`
	Denied []int `json:"denied,omitempty"` // those whose descriptors may not be seen
}

// Files with a name of their own.
const (
	metaName    = "meta.json"
	foundName   = "found.json"
	vitalsName  = "vitals.json"
	netnsName   = "netns.json"
	sysctlName  = "sysctl"
	devicesName = "devices"
	enterName   = "enter"
	cgroupsName = "cgroups"
	podsName    = "pods.json"
	procsName   = "processes.json"
	errorSuffix = ".error"
)

// name returns how a recording calls a file of /proc/PID/net.
func (f File) name() string { return filepath.Base(string(f)) }

func (d DumpName) name() string { return string(d) + ".hex" }

func stepDir(step int) string { return fmt.Sprintf("%03d", step) }

func procDir(pid int) string { return "proc/" + strconv.Itoa(pid) }

func netnsDir(inode uint64) string { return strconv.FormatUint(inode, 10) }

// errorKinds are the errors a recording must give back as what they were.
var errorKinds = map[string]error{"gone": ErrGone, "permission": ErrPermission, "absent": ErrAbsent}

// formatError writes an error as "KIND: text".
func formatError(err error) []byte {
	for kind, e := range errorKinds {
		if errors.Is(err, e) {
			return []byte(kind + ": " + err.Error() + "\n")
		}
	}
	return []byte("error: " + err.Error() + "\n")
}

// parseError reads what formatError wrote.
func parseError(b []byte) error {
	kind, text, _ := strings.Cut(strings.TrimSpace(string(b)), ": ")
	if e := errorKinds[kind]; e != nil {
		return recordedError{text, e}
	}
	return errors.New(text)
}

// A recordedError has the text an error had when it was recorded.
type recordedError struct {
	text string
	kind error
}

func (e recordedError) Error() string { return e.text }
func (e recordedError) Unwrap() error { return e.kind }

// sizeofNlmsghdr is the length of a netlink message's header: length, type,
// flags, sequence number at offset 8, port.
const sizeofNlmsghdr = 16

// appendHex appends the messages of a datagram, one a line.
func appendHex(dst, datagram []byte) []byte {
	for len(datagram) > 0 {
		n := len(datagram)
		if n >= sizeofNlmsghdr {
			if l := int(binary.NativeEndian.Uint32(datagram)); l >= sizeofNlmsghdr && l < n {
				n = min(n, (l+3)&^3)
			}
		}
		dst = append(hex.AppendEncode(dst, datagram[:n]), '\n')
		datagram = datagram[n:]
	}
	return dst
}

// eachHex hands every line, as bytes, to each until that is done or fails.
func eachHex(content []byte, each func([]byte) (bool, error)) (done bool, err error) {
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		b := make([]byte, hex.DecodedLen(len(line)))
		if _, err := hex.Decode(b, line); err != nil {
			return false, err
		}
		if done, err := each(b); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// parsePairs reads lines of "KEY SEPARATOR VALUE".
func parsePairs(content []byte, separator string) map[string]string {
	pairs := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), separator); ok {
			pairs[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return pairs
}
