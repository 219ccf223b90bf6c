// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// A redactor replaces names and addresses, the same one always by the same
// substitute. A nil redactor replaces nothing.
type redactor struct {
	secret [32]byte // so that an id cannot be guessed from its substitute
	names  map[string]string
	count  map[string]int // substitutes given out, by kind
	addrs  map[netip.Addr]netip.Addr
}

func newRedactor() *redactor {
	r := &redactor{names: map[string]string{}, count: map[string]int{}, addrs: map[netip.Addr]netip.Addr{}}
	rand.Read(r.secret[:]) // never fails
	return r
}

// name returns KIND-N for a name; what every host has stays.
func (r *redactor) name(kind, s string) string {
	if r == nil || s == "" || s == "lo" {
		return s
	}
	key := kind + " " + s
	if r.names[key] == "" {
		r.count[kind]++
		r.names[key] = fmt.Sprintf("%s-%d", kind, r.count[kind])
	}
	return r.names[key]
}

// pod replaces the names of a pod.
func (r *redactor) pod(p PodLog) PodLog {
	if r == nil {
		return p
	}
	out := PodLog{
		Namespace: r.name("namespace", p.Namespace), Name: r.name("pod", p.Name), UID: r.words(p.UID),
		Containers: map[string]string{},
	}
	for id, name := range p.Containers {
		out.Containers[r.words(id)] = r.name("container", name)
	}
	return out
}

// program leaves of a path what says which program it is.
func (r *redactor) program(path string) string {
	if r == nil || !strings.Contains(path, "/") {
		return path
	}
	for _, usual := range []string{"/bin/", "/sbin/", "/usr/"} {
		if strings.HasPrefix(path, usual) {
			return path
		}
	}
	return "/redacted/" + filepath.Base(path)
}

// title leaves of a process's name what says which program it is.
func (r *redactor) title(comm string) string {
	if r == nil {
		return comm
	}
	return programTitle(comm)
}

// argv leaves of every path its last name.
func (r *redactor) argv(args []string) []string {
	for i := range args {
		args[i] = r.program(args[i])
	}
	return args
}

// path replaces the names in the content of /proc/PID/cgroup, or in one path.
func (r *redactor) path(content string) string {
	if r == nil {
		return content
	}
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		if slash := strings.IndexByte(line, '/'); slash >= 0 {
			lines[i] = line[:slash] + r.words(line[slash:])
		}
	}
	return strings.Join(lines, "\n")
}

// cgroupWord matches what a cgroup path is made of: a pod's id, a container's,
// or a word.
var cgroupWord = regexp.MustCompile(`[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32,64}|pod|[A-Za-z0-9]+`)

// words replaces each word that is not part of how runtimes and systemd build
// paths.
func (r *redactor) words(s string) string {
	return cgroupWord.ReplaceAllStringFunc(s, func(word string) string {
		switch {
		case cgroupStructure[word] || strings.Trim(word, "0123456789") == "":
			return word
		case len(word) >= 32 && strings.Trim(word, "0123456789abcdef-_") == "":
			return r.id(word)
		}
		return strings.ReplaceAll(r.name("name", word), "-", "")
	})
}

// id returns another id of the same shape.
func (r *redactor) id(id string) string {
	plain := strings.NewReplacer("-", "", "_", "").Replace(id)
	sum := sha256.Sum256(append(r.secret[:], plain...))
	digits := hex.EncodeToString(sum[:])
	var out strings.Builder
	for _, c := range []byte(id) {
		if c == '-' || c == '_' {
			out.WriteByte(c)
			continue
		}
		out.WriteByte(digits[0])
		digits = digits[1:]
	}
	return out.String()
}

// cgroupStructure are the words with which paths are built; they name nobody.
var cgroupStructure = func() map[string]bool {
	words := map[string]bool{}
	for w := range strings.FieldsSeq(`slice scope service socket system user machine init session app
		docker cri containerd crio conmon libpod parent payload podman nerdctl lxc monitor nspawn systemd
		kubepods kubepod besteffort burstable guaranteed pod k8s io kubelet runtime default ecs garden container deleted`) {
		words[w] = true
	}
	return words
}()

// datagram replaces the addresses in a copy of the messages.
func (r *redactor) datagram(b []byte) []byte {
	if r == nil {
		return b
	}
	b = append([]byte(nil), b...)
	for rest := b; len(rest) >= sizeofNlmsghdr; {
		n := int(binary.NativeEndian.Uint32(rest))
		if n < sizeofNlmsghdr || n > len(rest) {
			break
		}
		r.message(rest[sizeofNlmsghdr:n])
		rest = rest[min((n+3)&^3, len(rest)):]
	}
	return b
}

// Where struct inet_diag_msg has its addresses: local, then the peer's.
const (
	offLocal      = 8
	offPeer       = 24
	sizeofDiagMsg = 72
)

func (r *redactor) message(b []byte) {
	if len(b) < sizeofDiagMsg {
		return // the end of the dump, or an error
	}
	for _, at := range []int{offLocal, offPeer} {
		if b[0] == unix.AF_INET {
			a := r.addr(netip.AddrFrom4([4]byte(b[at:]))).As4()
			copy(b[at:], a[:])
		} else {
			a := r.addr(netip.AddrFrom16([16]byte(b[at:]))).As16()
			copy(b[at:], a[:])
		}
	}
}

// addr replaces an address by one of the ranges for documentation and
// benchmarks. Which kind of address it is stays to be seen.
func (r *redactor) addr(a netip.Addr) netip.Addr {
	switch {
	case a.IsUnspecified(), a.IsLoopback(), a.Is4In6() && a.Unmap().IsLoopback():
		return a
	case a.Is4In6():
		four := r.addr(a.Unmap()).As4()
		return netip.AddrFrom16(netip.AddrFrom4(four).As16())
	}
	if b, ok := r.addrs[a]; ok {
		return b
	}
	n := uint16(len(r.addrs) + 1)
	base := netip.AddrFrom4([4]byte{198, 18}) // RFC 2544
	if a.Is6() {
		base = netip.MustParseAddr("2001:db8::") // RFC 3849
		if a.IsLinkLocalUnicast() {
			base = netip.MustParseAddr("fe80::")
		}
	}
	raw := base.AsSlice()
	binary.BigEndian.PutUint16(raw[len(raw)-2:], n)
	r.addrs[a], _ = netip.AddrFromSlice(raw)
	return r.addrs[a]
}
