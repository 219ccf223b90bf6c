// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package kernel holds the tests that compare qtune with a real kernel: what
// `qtune inspect` says of sockets and namespaces the tests made, beside what the
// tests know, what ss(8) says and what /proc shows. They need root.
package kernel
