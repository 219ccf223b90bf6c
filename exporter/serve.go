// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
)

// Limits bound what a client may take. Zero values mean the defaults.
type Limits struct {
	Connections int           // at once; 256
	Header      time.Duration // for a request to arrive; 5 s
	Answer      time.Duration // for an answer to be taken; 15 s, more than a scrape's usual 10
	Idle        time.Duration // between two requests; 3 min
	HeaderBytes int           // of a request; 16 KiB
}

func (l *Limits) setDefaults() {
	setDefault(&l.Connections, 256)
	setDefault(&l.Header, 5*time.Second)
	setDefault(&l.Answer, 15*time.Second)
	setDefault(&l.Idle, 3*time.Minute)
	setDefault(&l.HeaderBytes, 16<<10)
}

// Web says where to serve.
type Web struct {
	Addresses  []string // host:port
	Systemd    bool     // the sockets systemd opened instead
	ConfigFile string   // TLS and basic auth, as exporter-toolkit has it; empty: neither

	// Listening, when not nil, is called once all addresses are open.
	Listening func([]net.Addr)
}

// Serve serves until the context ends, and for half a second longer those who are
// being answered.
func (e *Exporter) Serve(ctx context.Context, w Web) error {
	if err := web.Validate(w.ConfigFile); err != nil {
		return fmt.Errorf("web config file %s: %w", w.ConfigFile, err)
	}
	listeners, err := w.listen(ctx)
	if err != nil {
		return err
	}
	all := newConns(e.o.Limits.Connections)
	handler := e.Handler()
	group, ctx := errgroup.WithContext(ctx)
	addresses := make([]net.Addr, 0, len(listeners))
	for _, l := range listeners {
		defer l.Close() // nothing when the server has closed it
		addresses = append(addresses, l.Addr())
		server := e.server(handler) // one each: the toolkit changes it
		group.Go(func() error {
			flags := &web.FlagConfig{WebConfigFile: &w.ConfigFile}
			err := web.Serve(listener{l, all}, server, flags, e.o.Log)
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("serve on %s: %w", l.Addr(), err)
		})
		group.Go(func() error {
			<-ctx.Done()
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
			defer cancel()
			if server.Shutdown(end) != nil {
				_ = server.Close() // whoever is left has had their time
			}
			return nil
		})
	}
	if w.Listening != nil {
		w.Listening(addresses)
	}
	return group.Wait()
}

func (e *Exporter) server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:                      handler,
		ReadHeaderTimeout:            e.o.Limits.Header,
		ReadTimeout:                  e.o.Limits.Header,
		WriteTimeout:                 e.o.Limits.Answer,
		IdleTimeout:                  e.o.Limits.Idle,
		MaxHeaderBytes:               e.o.Limits.HeaderBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS is turned away like the others
		ConnContext:                  withConn,
		ErrorLog:                     slog.NewLogLogger(e.o.Log.Handler(), slog.LevelDebug), // what clients do wrong
	}
}

// listen opens all addresses or none.
func (w *Web) listen(ctx context.Context) ([]net.Listener, error) {
	if w.Systemd {
		listeners, err := activation.Listeners()
		if err != nil {
			return nil, fmt.Errorf("sockets from systemd: %w", err)
		}
		if len(listeners) == 0 {
			return nil, errors.New("sockets from systemd: there are none: is qtune started by a .socket unit?")
		}
		return listeners, nil
	}
	if len(w.Addresses) == 0 {
		return nil, errors.New("serve: no address to listen on")
	}
	var listeners []net.Listener
	for _, address := range w.Addresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, fmt.Errorf("serve: %w", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// promLog is where promhttp says what went wrong.
type promLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l promLog) Println(v ...any) { l.log.Warn("scrape", "error", fmt.Sprint(v...)) }
