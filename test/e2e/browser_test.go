// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/qtune/qtune/exporter/page"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// A browser is a tab of headless Chromium that looks at a status page.
type browser struct {
	t     *testing.T
	ctx   context.Context
	at    string // the address of the server
	stage *stage

	mu         sync.Mutex
	complaints []string // of the console, the page's policy and scripts
	requests   []string // addresses that were asked for
}

// newBrowser serves a page of what is known and opens a tab. When the test ends,
// nothing may have complained, and nobody else may have been asked anything.
func newBrowser(t *testing.T, in *inspection.Inspection) *browser {
	t.Helper()
	lab.NeedProgram(t, "chromium")
	s := &stage{}
	s.last.Store(in)
	server := httptest.NewServer(page.Handler(s, "0.2.0"))
	t.Cleanup(server.Close)

	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("hide-scrollbars", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, at: server.URL, stage: s}
	b.must(chromedp.Listen(ctx, b.hear))
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	b.must(err)
	b.size(1440, 900)
	t.Cleanup(b.check)
	return b
}

// hear notes what the tab does.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console: %+v", e.Args))
	case *log.EventEntryAdded: // the policy's violations, too
		b.complaints = append(b.complaints, e.Entry.Text)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

// check is the end of every test.
func (b *browser) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		b.t.Errorf("the browser complained: %s", complaint)
	}
	foreign := func(address string) bool { return !strings.HasPrefix(address, b.at+"/") }
	if i := slices.IndexFunc(b.requests, foreign); i >= 0 {
		b.t.Errorf("asked %s, want only %s", b.requests[i], b.at)
	}
	if len(b.requests) == 0 {
		b.t.Error("no request was seen: the test looks at nothing")
	}
}

func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// do takes steps, each of which waits for what it needs.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	b.must(chromedp.Do(ctx, steps...))
}

// open goes to an address below the server's.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.at + path))
}

// size sets the window's.
func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// dark sets what the reader prefers.
func (b *browser) dark() {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	b.must(err)
}

// keys presses keys.
func (b *browser) keys(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// say returns what an expression is in the page.
func say[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// wait waits until an expression is true in the page.
func (b *browser) wait(expression string) {
	b.t.Helper()
	lab.Wait(b.t, expression, func() bool { return say[bool](b, expression) })
}

// shot writes a picture where the flag says: to be looked at.
func (b *browser) shot(name string, whole bool) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	picture, err := chromedp.Run(ctx, take)
	b.must(err)
	b.must(os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o644)) //nolint:gosec // to be looked at
}
