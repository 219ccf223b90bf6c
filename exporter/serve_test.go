// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// secure writes a web config file with TLS and the user "prometheus", whose password
// is "let me in", and returns it with who signed its certificate.
func secure(t *testing.T) (file string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "qtune"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(certificate)
	dir := t.TempDir()
	file = filepath.Join(dir, "web.yml")
	for name, content := range map[string]string{
		"cert.pem": string(certificate),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
		"web.yml": `tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  min_version: TLS13
basic_auth_users:
  prometheus: $2a$04$zJerex8ohA3wyvgWYn3KW.GQO4QNX8weNvoPIkcFQyTJRo5VUtPDi
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file, roots
}

func TestTLSAndBasicAuth(t *testing.T) {
	file, roots := secure(t)
	in := hostOf(1, 1)
	e := newExporter(t, &aSource{in: in}, Options{Limits: Limits{Connections: 2}})
	e.Publish(in)
	address := start(t, e, Web{ConfigFile: file})
	tests := []struct {
		name, user, password string
		http2                bool
		want                 int
	}{
		{"with the password", "prometheus", "let me in", false, 200},
		{"with HTTP/2", "prometheus", "let me in", true, 200},
		{"with another", "prometheus", "let me out", false, 401},
		{"with none", "", "", false, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if tt.user != "" {
				r.SetBasicAuth(tt.user, tt.password)
			}
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: tt.http2}
			defer transport.CloseIdleConnections()
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != tt.want || (response.ProtoMajor == 2) != tt.http2 {
				t.Errorf("GET /metrics = %d by %s, want %d", response.StatusCode, response.Proto, tt.want)
			}
			if body := bodyOf(t, response); strings.Contains(body, "qtune_listener_info") != (tt.want == 200) {
				t.Errorf("status %d with %.200q", response.StatusCode, body)
			}
		})
	}
	// Who never finishes a handshake has the place of others only until they come.
	for range 2 {
		raw(t, address, "\x16\x03\x01")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/-/healthy", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("prometheus", "let me in")
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

// TestUnixSocket serves the same on a socket of the agent.
func TestUnixSocket(t *testing.T) {
	in := hostOf(1, 1)
	e := newExporter(t, &aSource{in: in}, Options{})
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e.Handler(), ReadHeaderTimeout: time.Second}
	defer func() { _ = server.Close() }()
	go func() { _ = server.Serve(l) }()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent/api/v1/inspection", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body := bodyOf(t, response); response.StatusCode != 200 || !strings.Contains(body, `"listeners":[{`) {
		t.Errorf("inspection = %d, %.200q, want 200 and listeners", response.StatusCode, body)
	}
}

// TestSystemdSocket is a process that is given a socket, as systemd does it.
func TestSystemdSocket(t *testing.T) {
	const variable = "QTUNE_SOCKET_FROM_SYSTEMD"
	if os.Getenv(variable) != "" {
		for name, value := range map[string]string{"LISTEN_PID": strconv.Itoa(os.Getpid()), "LISTEN_FDS": "1"} {
			t.Setenv(name, value)
		}
		start(t, newExporter(t, &aSource{}, Options{}), Web{Systemd: true})
		_, _ = io.Copy(io.Discard, os.Stdin) // until the other is content
		return
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSystemdSocket$")
	child.Env = append(os.Environ(), variable+"=1")
	child.ExtraFiles = []*os.File{socket}
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if r := ask(t, http.MethodGet, fmt.Sprintf("http://%s/-/healthy", l.Addr())); r.StatusCode != 200 {
		t.Errorf("healthy = %d, want 200", r.StatusCode)
	}
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Errorf("the process with the socket: %v", err)
	}
}

func TestServeErrors(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	broken := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(broken, []byte("tls: yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		web  Web
		want string
	}{
		{"nowhere", Web{}, "serve: no address to listen on"},
		{"no address", Web{Addresses: []string{"here"}}, "serve: listen tcp: address here: missing port in address"},
		{"an address in use, after a free one", Web{Addresses: []string{"127.0.0.1:0", l.Addr().String()}}, "address already in use"},
		{"no such config file", Web{Addresses: []string{"127.0.0.1:0"}, ConfigFile: "/nowhere.yml"}, "web config file /nowhere.yml: open /nowhere.yml: no such file"},
		{"a config file with a mistake", Web{Addresses: []string{"127.0.0.1:0"}, ConfigFile: broken}, "field tls not found"},
		{"no socket from systemd", Web{Systemd: true}, "sockets from systemd: there are none"},
	}
	e := newExporter(t, &aSource{}, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := e.Serve(t.Context(), tt.web); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Serve = %v, want %q", err, tt.want)
			}
		})
	}
}
