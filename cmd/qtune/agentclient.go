// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/inspection"
)

// unixScheme begins the address of an agent that listens on a unix socket.
const unixScheme = "unix:"

const (
	agentTimeout  = 2 * time.Second  // until an agent begins to answer
	agentPatience = 10 * time.Second // until it has
	// agentLimit is ten times what an agent answers for ten thousand listeners.
	agentLimit = 64 << 20
)

var (
	// errNoAgent says that nobody answers at the address of an agent.
	errNoAgent = errors.New("no agent answers")
	// errNotFound says that somebody does, and knows no such thing.
	errNotFound = errors.New("404 not found (is it an agent?)")
	// errNoHistory says that nothing is kept of a listener.
	errNoHistory = errors.New("nothing is kept of this listener")
)

// An agentClient asks an agent for what it knows.
type agentClient struct {
	base  *url.URL
	http  *http.Client
	limit int64  // of an answer, in bytes
	name  string // of the agent, for people: without a password
}

// newAgentClient returns a client of the agent at http://HOST:PORT,
// https://HOST:PORT or unix:PATH; user and password may stand before the host.
func newAgentClient(address string) (*agentClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, usageError("--agent: want http://HOST:PORT, https://HOST:PORT or unix:PATH") // err would show a password
	}
	dialer := net.Dialer{Timeout: agentTimeout}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ResponseHeaderTimeout: agentTimeout,
		MaxIdleConns:          1,
	}
	c := &agentClient{base: u, http: &http.Client{Transport: transport, Timeout: agentPatience}, limit: agentLimit, name: inspection.Text(u.Redacted())}
	switch {
	case u.Scheme+":" == unixScheme && u.Host == "" && u.Path+u.Opaque != "":
		path := u.Path + u.Opaque
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		c.base = &url.URL{Scheme: "http", Host: "localhost"}
		c.name = unixScheme + inspection.Text(path)
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == "":
	default:
		return nil, usageError("--agent %s: want http://HOST:PORT, https://HOST:PORT or unix:PATH", c.name)
	}
	return c, nil
}

// inspection returns the last inspection of the agent.
func (c *agentClient) inspection(ctx context.Context) (*inspection.Inspection, error) {
	in := &inspection.Inspection{}
	if err := c.get(ctx, in, "api", "v1", "inspection"); err != nil {
		return nil, err
	}
	if err := c.checkKind(in.APIVersion, in.Kind, inspection.Kind); err != nil {
		return nil, err
	}
	makePrintable(in)
	return in, nil
}

// history returns the course of one listener.
func (c *agentClient) history(ctx context.Context, id listenerID) (*inspection.History, error) {
	h := &inspection.History{}
	err := c.get(ctx, h, "api", "v1", "listeners", strconv.FormatUint(id.netns, 10), id.cookie, "history")
	if errors.Is(err, errNotFound) {
		return nil, errNoHistory
	}
	if err != nil {
		return nil, err
	}
	if err := c.checkKind(h.APIVersion, h.Kind, inspection.KindHistory); err != nil {
		return nil, err
	}
	makePrintable(h)
	return h, nil
}

// decisions returns what an agent that enforces has decided.
func (c *agentClient) decisions(ctx context.Context) ([]inspection.Decision, error) {
	d := &inspection.Decisions{}
	if err := c.get(ctx, d, "api", "v1", "decisions"); err != nil {
		return nil, err
	}
	if err := c.checkKind(d.APIVersion, d.Kind, inspection.KindDecisions); err != nil {
		return nil, err
	}
	makePrintable(d)
	return d.Decisions, nil
}

// checkKind refuses what is not what was asked for.
func (c *agentClient) checkKind(version, kind, want string) error {
	if version == inspection.APIVersion && kind == want {
		return nil
	}
	return fmt.Errorf("the agent at %s answers %q %q, and this qtune knows %s %s: use the same version of both",
		c.name, version, kind, inspection.APIVersion, want)
}

// get asks for a path and decodes the answer.
func (c *agentClient) get(ctx context.Context, into any, path ...string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.JoinPath(path...).String(), nil)
	if err != nil {
		return fmt.Errorf("ask the agent at %s: %w", c.name, err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		if about, ok := errors.AsType[*url.Error](err); ok {
			err = about.Err // without the address: c.name has it
		}
		return fmt.Errorf("ask the agent at %s: %w: %w", c.name, errNoAgent, err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return fmt.Errorf("ask the agent at %s for /%s: %w", c.name, strings.Join(path, "/"), errNotFound)
	default:
		return fmt.Errorf("ask the agent at %s for /%s: %s%s", c.name, strings.Join(path, "/"),
			inspection.Text(answer.Status), statusHint(answer.StatusCode))
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, c.limit+1))
	switch {
	case err != nil:
		return fmt.Errorf("read what the agent at %s answers: %w", c.name, err)
	case int64(len(b)) > c.limit:
		return fmt.Errorf("the agent at %s answers more than %d MiB", c.name, c.limit>>20)
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(into); err != nil {
		return fmt.Errorf("read what the agent at %s answers: is it an agent? %w", c.name, err)
	}
	return nil
}

// statusHint says what an answer means that is none.
func statusHint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return " (user and password go into the URL: https://USER:PASSWORD@HOST:PORT)"
	case http.StatusServiceUnavailable:
		return " (it has only just begun)"
	}
	return ""
}
