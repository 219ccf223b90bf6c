// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/qtune/qtune/test/lab"
)

// packages are what the servers come in.
var packages = []string{
	"apache2", "chromium", "default-jdk-headless", "dnsdist", "docker.io", "erlang-base", "etcd-server", "fonts-dejavu-core", "gunicorn", "haproxy", "iproute2", "jetty9",
	"lighttpd", "mariadb-server", "memcached", "mosquitto", "nats-server", "nginx-light", "nodejs", "openssh-server",
	"pgbouncer", "php-fpm", "postgresql", "prometheus", "prometheus-alertmanager", "puma", "python3", "python3-aiohttp", "python3-flask",
	"python3-tornado", "python3-twisted", "python3-waitress", "redis-server", "rsyslog", "rustc", "systemd", "tmux",
	"tomcat10", "unicorn", "uvicorn", "uwsgi-core", "uwsgi-plugin-python3", "varnish",
}

// noDaemons tells Debian's packages to start nothing when they are installed.
const noDaemons = "/usr/sbin/policy-rc.d"

func TestMain(m *testing.M) {
	if err := install(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	// Those of the loop mostly wait for windows to pass: all run at once, however few
	// CPUs there are, unless -parallel says otherwise.
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	lab.Main(m)
}

// install installs what is missing. It needs root and the network.
func install() error {
	if os.Getuid() != 0 {
		return nil // the tests skip themselves
	}
	if _, err := os.Stat(noDaemons); err != nil {
		if err := os.WriteFile(noDaemons, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil { //nolint:gosec // it must be executable
			return err
		}
		defer os.Remove(noDaemons) //nolint:errcheck // was written above
	}
	args := append([]string{"install", "-y", "-qq", "--no-install-recommends", "--no-upgrade"}, packages...)
	if aptGet(args...) == nil {
		return nil
	}
	// A fresh machine knows of no package, and the lists of an old one name what is gone.
	if err := aptGet("update", "-qq"); err != nil {
		return err
	}
	return aptGet(args...)
}

func aptGet(args ...string) error {
	args = append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)
	cmd := exec.Command("apt-get", args...) //nolint:noctx // before any test there is no context
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %v: %w: %s", args, err, out)
	}
	return nil
}
