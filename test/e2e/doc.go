// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package e2e tests qtune against real servers, as they come from Debian's
// packages: started at their defaults, overrun, and cured by the remedy that
// qtune prints; and what it tells against a real Prometheus and Alertmanager.
package e2e
