// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package tcpq holds what Linux does with the queues of a listening TCP socket:
// the words, the tables and the rules. It does no I/O and knows the standard
// library only.
//
// # Two queues, one limit
//
// A listener has an accept queue (connections whose handshake is done and which
// nobody has accepted yet) and a SYN queue (request sockets whose handshake is
// under way). Since Linux 4.4 one number bounds both: the backlog the
// application gave to listen(2), cut down to net.core.somaxconn of the socket's
// own network namespace. The kernel takes that minimum once, inside listen(2);
// no later sysctl reaches it. See [Queue] and [SynQueueMax].
//
// # What the kernel shows
//
// Per listener: both numbers of the accept queue, and a count of packets it
// discarded ([Listener].Discards), which is not a count of lost connections:
// port scans, half-open health checks and deferred accepts raise it too.
// Per namespace: [Counters], which count refused packets, and [Sysctls].
// The length of a SYN queue has to be counted from the request sockets, and the
// backlog an application asked for is not kept anywhere.
//
// # From numbers to judgement
//
// A [Snapshot] is what was read at one instant. Two of them give a [Delta], a
// run of Deltas in equal slots is a [Window], and every judgement is over a
// Window: see [Window.Listener] for how loss is attributed to a listener.
//
// # Identity
//
// Inode numbers of namespaces are reused within a second, so a namespace is its
// cookie ([NetnsID]) and a listener is namespace and socket cookie
// ([ListenerID]). No difference is ever taken across two identities.
package tcpq
