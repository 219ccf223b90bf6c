// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import "time"

// A NetnsID is the identity of a network namespace. Inode is what people see
// and type, and is reused within a second of the namespace's end; Cookie
// (SO_NETNS_COOKIE) never is. Before Linux 5.14 there is no cookie and it is 0.
type NetnsID struct {
	Inode  uint64
	Cookie uint64
}

// A ListenerID is the identity of a listener.
type ListenerID struct {
	Netns  NetnsID
	Cookie uint64
}

// A Namespace is what was read in one network namespace.
type Namespace struct {
	ID   NetnsID
	Host bool   // the namespace of process 1
	Name string // from a mount such as /run/netns/NAME; "" when it has none
	PID  int    // a process in it, 0 when none is known

	Sysctls   Sysctls
	Counters  Counters
	Listeners []Listener
	Listed    bool // the Listeners are complete

	// SynWalked says that the request sockets were counted. UnattributedSyn
	// of them belong to no listener: a transparent proxy's, or one that is
	// gone.
	SynWalked       bool
	UnattributedSyn uint32

	Err    string // why something in it could not be read, "" when all was
	Denied error  // why it could not even be entered
}

// A Snapshot is a host at one instant, immutable once made. A dump is not
// atomic: sockets that come or go while it runs may be missed.
type Snapshot struct {
	Time     time.Time
	Hostname string
	Kernel   Version

	Namespaces []Namespace    // the host's first, then by inode
	Vitals     map[int]Vitals // by pid, of processes whose listeners have connections waiting
	Coverage   Coverage
	Errors     []Error
}

// An Error is something that could not be read. It never ends a Snapshot.
type Error struct {
	Netns   uint64 // inode, 0 when it concerns the whole host
	Stage   string // discover, enter, listen, synrecv, counters, sysctls, owners
	Message string
}

// Coverage says where was looked, and so what may have been missed.
type Coverage struct {
	Listns            bool // the kernel listed all namespaces but those that only a socket holds
	Processes         int  // processes seen
	ProcessesDenied   int  // of them, those whose namespaces may not be seen
	ProcessesHidden   bool // /proc hides other users' processes (hidepid)
	OwnPIDNamespace   bool // only the processes of this PID namespace can be seen
	MountNamespaces   int  // distinct mount namespaces searched for nsfs mounts
	MountsDenied      int  // mount namespaces that could not be searched
	DescriptorsLeft   int  // processes whose descriptors were not searched
	DescriptorsDenied int  // of those that may be seen themselves, the ones whose descriptors may not
	SocketsSearched   bool // namespaces that only a socket holds were searched for
	SynWalked         int  // namespaces whose SYN queues were counted
	SynQuiet          int  // not counted: nothing there asked for it
	SynOverBudget     int  // not counted: the time for it was used up
}
