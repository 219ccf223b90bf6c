// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// A notifier tells systemd how the agent is doing; without systemd it does nothing.
type notifier struct {
	log   *slog.Logger
	ready bool
}

// watchdog returns how often systemd wants to hear that the agent is alive: twice
// in the time after which it would end it, 0 when it does not care.
func (n *notifier) watchdog() time.Duration {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("read systemd's watchdog", "error", err)
	}
	return interval / 2
}

// isReady says, the first time, that the agent is ready.
func (n *notifier) isReady() {
	if !n.ready {
		n.ready = true
		n.send(daemon.SdNotifyReady)
	}
}

func (n *notifier) alive()    { n.send(daemon.SdNotifyWatchdog) }
func (n *notifier) stopping() { n.send(daemon.SdNotifyStopping) }

func (n *notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("tell systemd", "state", state, "error", err)
	}
}
