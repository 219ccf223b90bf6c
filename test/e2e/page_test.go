// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/qtune/qtune/inspection"
)

var shots = flag.String("shots", "", "write pictures of the status page into this folder, to be looked at")

// visible are the names of the rows that are shown, in their order.
const visible = `[...document.querySelectorAll("#rows tr:not([hidden]) th")].map((e) => e.textContent)`

// TestPageWithoutScript reads the page as HTML alone.
func TestPageWithoutScript(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.must(err)
	b.open("/")
	b.shot("no-script", true)
	text := func(selector string) string {
		text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS(selector)))
		b.must(err)
		return text
	}
	for _, want := range []string{"cni-shop", "0.0.0.0:8000", "shop/cart-7d9f8b6c5d-x2x4z gunicorn[17]", "9/8", "0/9", "33", "44 +33", "application", "accept-queue-overflow"} {
		if got := text("#rows tr"); !strings.Contains(got, want) {
			t.Errorf("the first row is %q, want %q in it", got, want)
		}
	}
	if got, want := text("#findings"), "--backlog 128"; !strings.Contains(got, want) {
		t.Errorf("the findings are %q, want the remedy %q in them", got, want)
	}
	b.do(chromedp.Click(chromedp.CSS("#rows a")))
	if got, want := text("#listener h2"), "0.0.0.0:8000"; got != want {
		t.Errorf("a click leads to %q, want %q", got, want)
	}
	if got := text("#listener figcaption"); !strings.Contains(got, "limit 8") {
		t.Errorf("below the chart stands %q, want the limit", got)
	}
	b.shot("no-script-listener", true)
}

// TestPageFilterAndOrder uses the mouse, and looks at the address.
func TestPageFilterAndOrder(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	b.open("/")
	b.shot("desktop-light", true)
	shows := func(when string, want ...string) {
		t.Helper()
		if got := say[[]string](b, visible); !slices.Equal(got, want) {
			t.Errorf("%s it shows %q, want %q", when, got, want)
		}
	}
	shows("at first", "0.0.0.0:8000", "127.0.0.1:10248", "[::]:10250", "[::]:9100")

	b.do(chromedp.SendKeys(chromedp.CSS("#filter"), "HOST kubelet"))
	shows("filtered by two words", "127.0.0.1:10248", "[::]:10250")
	if got := say[string](b, `document.getElementById("shown").textContent`); got != "2 shown" {
		t.Errorf("the filter says %q, want %q", got, "2 shown")
	}
	b.do(chromedp.Click(chromedp.CSS(`[data-sort="listener"] button`)), chromedp.Click(chromedp.CSS(`[data-sort="listener"] button`)))
	shows("ordered by listener, downwards", "127.0.0.1:10248", "[::]:10250")

	b.do(chromedp.Reload())
	b.wait(`document.querySelectorAll("#rows tr:not([hidden])").length === 2`)
	if got := say[string](b, `document.getElementById("filter").value`); got != "HOST kubelet" {
		t.Errorf("after a reload the filter is %q, want that of the address, %s", got, say[string](b, "location.search"))
	}
	if got := say[string](b, `document.querySelector('[data-sort="listener"]').ariaSort`); got != "descending" {
		t.Errorf("after a reload the column is sorted %q, want that of the address, %s", got, say[string](b, "location.search"))
	}

	b.open("/?q=nothing+like+it")
	b.wait(`!document.getElementById("none").hidden`)
	b.do(chromedp.Click(chromedp.CSS("#clear")), chromedp.Click(chromedp.CSS("#problems")))
	shows("with problems only", "0.0.0.0:8000")
	for column, want := range map[string]string{"refused": "0.0.0.0:8000", "accept": "0.0.0.0:8000", "discards": "0.0.0.0:8000", "netns": "[::]:9100", "limit": "0.0.0.0:8000", "owner": "127.0.0.1:10248"} {
		b.open("/")
		b.do(chromedp.Click(chromedp.CSS(`[data-sort="` + column + `"] button`)))
		if got := say[[]string](b, visible)[0]; got != want {
			t.Errorf("ordered by %s the first is %q, want %q", column, got, want)
		}
	}
}

// TestPageByKeyboard touches no mouse.
func TestPageByKeyboard(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	b.open("/")
	focused := func() string {
		return say[string](b, `document.activeElement.textContent || document.activeElement.id`)
	}
	b.keys(kb.Tab)
	if got, want := focused(), "Skip to the content"; got != want {
		t.Errorf("the first Tab leads to %q, want %q", got, want)
	}
	for i := 0; focused() != "filter"; i++ {
		if i > 20 {
			t.Fatal("twenty Tabs do not lead to the filter")
		}
		b.keys(kb.Tab)
	}
	b.keys("9100")
	for i := 0; focused() != "[::]:9100"; i++ {
		if i > 20 {
			t.Fatal("twenty Tabs do not lead from the filter to the listener")
		}
		b.keys(kb.Tab)
	}
	if got := say[string](b, `getComputedStyle(document.activeElement).outlineStyle`); got != "solid" {
		t.Errorf("the outline of what has the focus is %q, want solid", got)
	}
	b.keys(kb.Enter)
	b.wait(`document.getElementById("dialog").open`)
	if got, want := say[string](b, `document.querySelector("#dialog h2").textContent`), "[::]:9100"; got != want {
		t.Errorf("Enter opens %q, want %q", got, want)
	}
	b.keys(kb.Escape)
	b.wait(`!document.getElementById("dialog").open`)
	if got, want := focused(), "[::]:9100"; got != want {
		t.Errorf("after Escape the focus is on %q, want %q again", got, want)
	}
}

// TestPageOrderByKeyboard presses a heading.
func TestPageOrderByKeyboard(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	b.open("/")
	heading := `document.querySelector('[data-sort="netns"]')`
	say[bool](b, `(`+heading+`.querySelector("button").focus(), true)`)
	for _, want := range []string{"ascending", "descending"} {
		b.keys(kb.Enter)
		if got := say[string](b, heading+".ariaSort"); got != want {
			t.Errorf("Enter on the heading sorts %q, want %q", got, want)
		}
	}
	if got, want := say[[]string](b, visible)[0], "127.0.0.1:10248"; got != want {
		t.Errorf("by namespace downwards the first is %q, want %q of the host", got, want)
	}
}

// TestPageDetails opens a listener over the table, and a link to it.
func TestPageDetails(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	b.open("/")
	b.size(1200, 720)
	b.shot("small-page", false)
	b.size(1440, 900)
	b.do(chromedp.Click(chromedp.CSS("#rows tr .queue"))) // anywhere in the row
	b.wait(`document.getElementById("dialog").open`)
	b.shot("details-light", false)
	if got := say[int](b, `document.querySelectorAll("#dialog .slot").length`); got != 60 {
		t.Errorf("the chart has %d slots, want 60", got)
	}
	if got := say[int](b, `[...document.querySelectorAll("#dialog rect.refused")].filter((e) => e.getBoundingClientRect().height > 2).length`); got < 2 {
		t.Errorf("the chart draws %d slots with refusals, want some", got)
	}
	if got := say[float64](b, `document.querySelector("#dialog line.limit").getBoundingClientRect().width`); got < 300 {
		t.Errorf("the limit is a line of %v pixels, want it across the chart", got)
	}
	address := say[string](b, "location.search")
	b.size(1200, 720)
	b.shot("small-details", false)
	b.do(chromedp.NavigateBack())
	b.wait(`!document.getElementById("dialog").open`)
	b.dark()
	b.open("/" + address)
	b.wait(`document.getElementById("dialog").open`)
	b.shot("details-dark", false)
	b.do(chromedp.Click(chromedp.CSS("#close")))
	b.wait(`!document.getElementById("dialog").open && location.search === ""`)
}

// TestPageLives changes what is known while somebody reads.
func TestPageLives(t *testing.T) {
	before := crowd(recorded(t, "pods"), 200)
	b := newBrowser(t, before)
	b.open("/?q=cart")
	b.wait(`document.querySelectorAll("#rows tr:not([hidden])").length > 100`)
	say[bool](b, `(window.mine = document.querySelectorAll("#rows tr:not([hidden]) a")[50], mine.focus(), mine.scrollIntoView({ block: "center" }), true)`)
	scroll := say[float64](b, "scrollY")

	after := *before
	after.Time = before.Time.Add(1)
	after.Listeners = slices.Clone(before.Listeners)
	last := len(after.Listeners) - 1
	after.Listeners[last].Refused = &inspection.Refused{Min: 7, Max: 7}
	b.stage.last.Store(&after)
	b.wait(`document.querySelector("h1").textContent.startsWith("2 listeners lost")`)
	for what, holds := range map[string]string{
		"the focus is where it was":     `document.activeElement === mine`,
		"the filter is what it was":     `document.getElementById("filter").value === "cart"`,
		"the new loss is among the top": `document.querySelectorAll("#rows tr:not([hidden])")[1].querySelector(".refused").textContent.startsWith("7")`,
	} {
		if !say[bool](b, holds) {
			t.Errorf("after an update it is not so that %s (%s)", what, holds)
		}
	}
	if got := say[float64](b, "scrollY"); got < scroll-200 || got > scroll+200 {
		t.Errorf("after an update the page is scrolled to %v, want about %v", got, scroll)
	}

	gone := after
	gone.Time = after.Time.Add(1)
	gone.Listeners = slices.Delete(slices.Clone(after.Listeners), last, last+1)
	b.stage.last.Store(&gone)
	b.wait(`document.querySelector("h1").textContent.startsWith("1 listener lost")`)
	if got, want := say[int](b, `document.querySelectorAll("#rows tr").length`), len(gone.Listeners); got != want {
		t.Errorf("%d rows are left, want %d", got, want)
	}
}

// TestPageSaysWhenNobodyAnswers stops the agent.
func TestPageSaysWhenNobodyAnswers(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	b.open("/")
	b.stage.last.Store(nil)
	b.wait(`document.getElementById("status").textContent.startsWith("The agent answers 503: nothing new for ")`)
	b.shot("no-answer", false)
	b.mu.Lock()
	b.complaints = slices.DeleteFunc(b.complaints, func(s string) bool { return strings.Contains(s, "503") }) // that was the test
	b.mu.Unlock()
	again := recorded(t, "pods")
	b.stage.last.Store(again)
	b.wait(`document.getElementById("status").textContent === ""`)

	old := *again
	old.Time = again.Time.Add(-time.Hour)
	b.stage.last.Store(&old)
	b.wait(`document.getElementById("status").textContent.startsWith("This is old")`)
}

// TestPageOnAPhone is 360 pixels wide.
func TestPageOnAPhone(t *testing.T) {
	for _, name := range []string{"pods", "hostile", "reuseport", "scanned"} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, recorded(t, name))
			b.size(360, 740)
			b.open("/")
			b.shot("phone-"+name, true)
			narrow := `document.documentElement.scrollWidth <= 360`
			if !say[bool](b, narrow) {
				t.Errorf("the page is %d pixels wide, want 360", say[int](b, `document.documentElement.scrollWidth`))
			}
			b.do(chromedp.Click(chromedp.CSS("#rows a")))
			b.wait(`document.getElementById("dialog").open`)
			b.shot("phone-details-"+name, false)
			if !say[bool](b, `(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.getElementById("dialog"))`) {
				t.Error("the details are wider than their window")
			}
			if !say[bool](b, narrow) {
				t.Error("with details the page is wider than 360 pixels")
			}
		})
	}
}

// TestPageInTheDark measures contrast in both schemes.
func TestPageInTheDark(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	for _, scheme := range []string{"light", "dark"} {
		if scheme == "dark" {
			b.dark()
		}
		b.open("/")
		b.do(chromedp.Click(chromedp.CSS("#remarks summary")))
		b.shot("desktop-"+scheme, true)
		for _, bad := range say[[]string](b, lowContrast) {
			t.Errorf("%s: %s", scheme, bad)
		}
	}
	if got := say[string](b, `getComputedStyle(document.body).backgroundColor`); got != "rgb(17, 21, 24)" {
		t.Errorf("in the dark the ground is %s, want a dark one", got)
	}
}

// TestPageFits looks at windows of many widths.
func TestPageFits(t *testing.T) {
	b := newBrowser(t, recorded(t, "pods"))
	for _, width := range []int64{1920, 1440, 1280, 1100, 1024, 768, 320} {
		b.size(width, 900)
		b.open("/")
		if got := say[int64](b, `document.documentElement.scrollWidth`); got > width {
			t.Errorf("in a window of %d pixels the page is %d wide", width, got)
		}
		b.shot(fmt.Sprintf("width-%d", width), false)
	}
}

// TestPageWithManyListeners draws and filters a thousand.
func TestPageWithManyListeners(t *testing.T) {
	b := newBrowser(t, crowd(recorded(t, "pods"), 1000))
	b.open("/")
	b.shot("many", false)
	took := say[float64](b, `(() => { const began = performance.now(); const f = document.getElementById("filter"); f.value = "cart-3"; f.dispatchEvent(new Event("input")); document.body.offsetHeight; return performance.now() - began; })()`)
	t.Logf("filtering 1000 rows and laying them out took %.0f ms", took)
	if got := say[[]string](b, visible); len(got) < 20 || len(got) > 220 {
		t.Errorf("the filter leaves %d of 1000 rows, want a few", len(got))
	}
}

// TestPageWithManyProblems shows the first in full and folds the last away; what a
// reader unfolds stays so.
func TestPageWithManyProblems(t *testing.T) {
	in := crowd(recorded(t, "reuseport"), 40)
	worst := slices.IndexFunc(in.Findings, func(f inspection.Finding) bool { return f.Problem() })
	for i := range 15 {
		l := &in.Listeners[len(in.Listeners)-1-i]
		f := in.Findings[worst]
		f.Netns = l.Netns
		f.Listener = &inspection.FindingListener{Netns: l.Netns, Address: l.Address, Port: l.Port, Cookie: l.Cookie}
		f.Changes = []inspection.Change{{Netns: l.Netns, Key: "net.core.somaxconn", From: 4096, To: 8192}}
		in.Findings = append(in.Findings, f)
		l.Findings = []string{f.Code}
		l.SynQueue.Length = nil
	}
	b := newBrowser(t, in)
	b.open("/")
	b.do(chromedp.Click(chromedp.CSS("#namespaces summary")))
	b.shot("many-problems", true)
	open := `document.querySelectorAll("#findings .problem[open]").length`
	if got := say[int](b, open); got != 3 {
		t.Errorf("%d problems are shown in full, want 3", got)
	}
	if got := say[int](b, `[...document.querySelectorAll("#findings .problem")].filter((e) => e.checkVisibility()).length`); got != 10 {
		t.Errorf("%d problems have a line, want 10", got)
	}
	b.do(chromedp.Click(chromedp.CSS("#findings .problem:not([open]) summary")))
	after := *in
	after.Time = in.Time.Add(1)
	after.Host.Kernel = "6.99"
	b.stage.last.Store(&after)
	b.wait(`document.getElementById("head").textContent.includes("6.99")`)
	if got := say[int](b, open); got != 4 {
		t.Errorf("after an update %d problems are unfolded, want the 4 there were", got)
	}
	if !say[bool](b, `document.querySelector("#namespaces details").open`) {
		t.Error("after an update the namespace is folded, want it as the reader left it")
	}
}

// TestPageOfAQuietHost never says that all is well.
func TestPageOfAQuietHost(t *testing.T) {
	b := newBrowser(t, quiet(recorded(t, "pods")))
	b.open("/")
	b.shot("quiet", true)
	if got, want := say[string](b, `document.querySelector("h1").textContent`), "Nothing in 600 s"; got != want {
		t.Errorf("the verdict is %q, want %q", got, want)
	}
}

// TestPageOfAHostileHost shows names that try to be code.
func TestPageOfAHostileHost(t *testing.T) {
	in := recorded(t, "hostile")
	for i := range in.Listeners {
		in.Listeners[i].Owner.Comm = `<img src=x onerror=alert(1)>`
		in.Listeners[i].Owner.Unit = `"><script>alert(1)</script>`
	}
	b := newBrowser(t, in)
	b.open("/")
	if got := say[int](b, `document.querySelectorAll("img, body script").length`); got != 0 {
		t.Errorf("%d elements were made of names, want none", got)
	}
	b.do(chromedp.Click(chromedp.CSS("#rows a")))
	b.wait(`document.getElementById("dialog").open`)
	b.shot("hostile", false)
	if got := say[int](b, `document.querySelectorAll("img, body script").length`); got != 0 {
		t.Errorf("in the details %d elements were made of names, want none", got)
	}
}

// lowContrast lists texts whose contrast with their ground is below 4.5, as WCAG 2
// computes it.
const lowContrast = `(() => {
	const numbers = (c) => { const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number); return { r, g, b, a }; };
	const light = ({ r, g, b }) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const bad = [];
	for (const e of document.querySelectorAll("body *")) {
		const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
		if (!text || !e.checkVisibility() || e.closest(".unseen, .skip, svg")) continue;
		let ground = e;
		while (ground && numbers(getComputedStyle(ground).backgroundColor).a < 1) ground = ground.parentElement;
		const [x, y] = [getComputedStyle(e).color, getComputedStyle(ground ?? document.body).backgroundColor].map((c) => light(numbers(c)));
		const contrast = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
		if (contrast < 4.5) bad.push(e.textContent.slice(0, 40) + ": " + contrast.toFixed(2));
	}
	return bad;
})()`
