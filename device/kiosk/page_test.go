package kiosk

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"spinebox/internal/spine"
)

// visit serves the page and opens it in a browser.
func visit(t *testing.T, width, height int) (*Server, *browser) {
	t.Helper()
	s := newServer(t, Options{Scale: heat(64, 4)})
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	b := newBrowser(t, width, height) // closed before the server: its stream never ends by itself
	b.do(chromedp.Navigate(server.URL))
	b.says("headline", "No X-ray yet")
	return s, b
}

const overlayShown = `document.getElementById("overlay").checkVisibility()`

func TestPageShowsResultsAsTheyCome(t *testing.T) {
	s, b := visit(t, 1920, 1080)
	s.SetStatus(spine.Status{Ready: true, Unsigned: true, Shares: map[string]spine.ShareStatus{"scanner": {Online: true, Waiting: 2}}})
	b.says("word", "Ready")
	b.says("unsigned", "Unsigned model: for demonstration")
	b.says("facts", "Share scanner: 2 files waiting Results stay on this box")

	s.Show(classified("aa11", spine.Scoliosis))
	b.says("headline", "Scoliosis")
	b.says("percent", "94 % calibrated probability")
	b.says("about", finished.Format("2 Jan 15:04:05")+" · result aa11 · resnet50-random 3")
	b.until(overlayShown)
	if got := ask[string](b, `document.querySelector(".use").innerText`); got != spine.IntendedUse {
		t.Errorf("intended use %q", got)
	}

	// The map lies exactly on the picture, and the picture keeps its shape.
	for _, id := range []string{"picture", "overlay"} {
		box := ask[[]float64](b, fmt.Sprintf(`(() => { const r = document.getElementById(%q).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`, id))
		film := ask[[]float64](b, `(() => { const r = document.getElementById("film").getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`)
		for i := range box {
			if math.Abs(box[i]-film[i]) > .01 {
				t.Errorf("%s lies at %v, the film at %v", id, box, film)
			}
		}
		if ratio := box[2] / box[3]; math.Abs(ratio-.5) > .005 {
			t.Errorf("%s has width/height %v, want 0.5", id, ratio)
		}
	}

	s.Show(refused("bb22", spine.NotXray))
	b.says("headline", "No answer")
	b.says("sentence", spine.NotXray.Sentence())
	if ask[bool](b, `document.getElementById("percent").checkVisibility() || document.getElementById("readers").innerText !== ""`) {
		t.Error("a probability stands beside a refusal")
	}
	failed := refused("cc33", spine.Corrupt)
	failed.Preview, failed.Map, failed.Readings = nil, nil, nil
	s.Show(failed)
	b.says("headline", "Not processed")
	b.says("sentence", spine.Corrupt.Sentence())
	b.says("nothing", "No picture to show")
	if ask[bool](b, `document.getElementById("picture").checkVisibility() || `+overlayShown) {
		t.Error("another image's picture stands beside a failure")
	}
	if got := ask[[]string](b, `[...document.querySelectorAll("#recent .what")].map((e) => e.innerText)`); fmt.Sprint(got) != "[Not processed No answer Scoliosis]" {
		t.Errorf("last results %q", got)
	}

	for i := range 25 { // nothing grows
		s.Show(classified(fmt.Sprint("dd", i), spine.Normal))
	}
	b.until(`document.getElementById("about").innerText.includes("result dd24")`)
	if got := ask[[]int](b, `[document.querySelectorAll("#recent li").length, document.querySelectorAll("img").length]`); got[0] != 20 || got[1] != 3 {
		t.Errorf("%d results and %d pictures on the page", got[0], got[1])
	}
	if got := ask[[]string](b, `performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith(location.origin))`); len(got) > 0 {
		t.Errorf("the page asked elsewhere: %q", got)
	}
	if got := b.complained(); got != "" {
		t.Errorf("the page complains:\n%s", got)
	}
}

func TestPageByKeyboard(t *testing.T) {
	s, b := visit(t, 1280, 720)
	for i, l := range spine.Labels() {
		s.Show(classified(fmt.Sprint("id", i), l))
	}
	b.says("headline", "Spondylolisthesis")
	b.until(overlayShown)
	opacity := `getComputedStyle(document.getElementById("overlay")).opacity`
	if got := ask[string](b, opacity); got != "0.6" {
		t.Errorf("opacity %s", got)
	}
	b.press(kb.ArrowRight, kb.ArrowRight)
	b.until(opacity + `=== "0.7"`)
	b.says("percentage", "70 %")
	b.do(chromedp.Focus(chromedp.ID("opacity")))
	b.press(kb.ArrowLeft) // also the slider's own key: one step, not two
	b.until(opacity + `=== "0.65"`)
	for range 20 {
		b.press(kb.ArrowLeft)
	}
	b.until(opacity + `=== "0"`)
	b.do(chromedp.Evaluate[chromedp.Void](`(() => { const o = document.getElementById("opacity"); o.value = 40; o.dispatchEvent(new Event("input")); })()`))
	b.until(opacity + `=== "0.4"`) // by mouse or finger

	b.press("h")
	b.until("!" + overlayShown)
	b.press("H")
	b.until(overlayShown)

	b.press(kb.ArrowDown)
	b.says("headline", "Scoliosis")
	b.says("which", "Earlier result, "+finished.Format("2 Jan 15:04:05"))
	b.press(kb.ArrowDown, kb.ArrowDown, kb.ArrowDown)
	b.says("headline", "Normal")
	b.press(kb.ArrowUp)
	b.says("headline", "Scoliosis")
	if got := ask[string](b, `document.querySelector("#recent [aria-current] .what").innerText`); got != "Scoliosis" {
		t.Errorf("the list marks %q", got)
	}
	b.press(kb.Home)
	b.says("headline", "Spondylolisthesis")

	b.press(kb.ArrowDown)
	b.says("headline", "Scoliosis")
	s.SetStatus(spine.Status{Ready: true}) // no reason to turn the page
	b.says("word", "Ready")
	b.says("headline", "Scoliosis")
	s.Show(classified("new", spine.Normal)) // but a new result is
	b.says("headline", "Normal")
	if ask[bool](b, `document.getElementById("earlier").checkVisibility()`) {
		t.Error("the latest result is called an earlier one")
	}
}

// reds lists what is visibly red: of text, ground or border.
const reds = `[...document.querySelectorAll("body, body *")].filter((e) => e.checkVisibility()).flatMap((e) => {
	const s = getComputedStyle(e);
	return ["color", "backgroundColor", "borderTopColor", "borderBottomColor"].filter((p) => {
		if (p.startsWith("border") && parseFloat(s[p.replace("Color", "Width")]) === 0) return false;
		const [r, g, b, a = 1] = s[p].match(/[\d.]+/g).map(Number);
		const most = Math.max(r, g, b), least = Math.min(r, g, b);
		if (a === 0 || most < 40 || (most - least) / most < 0.4 || r !== most) return false;
		const hue = 60 * (g - b) / (most - least);
		return Math.abs(hue) < 25;
	}).map((p) => e.tagName + "#" + e.id + " " + p);
})`

func TestRedIsNeverAFinding(t *testing.T) {
	s, b := visit(t, 1920, 1080)
	s.SetStatus(spine.Status{Ready: true, Unsigned: true, Quarantine: 1, Broker: spine.LinkStatus{Configured: true}})
	views := []View{refused("r", spine.LowConfidence), refused("d", spine.ReadersDisagree), refused("f", spine.Internal)}
	for i, l := range spine.Labels() {
		views = append(views, classified(fmt.Sprint("id", i), l))
	}
	for _, v := range views {
		s.Show(v)
		b.until(fmt.Sprintf(`document.getElementById("about").innerText.includes("result %s ")`, v.ID))
		if got := ask[[]string](b, reds); len(got) > 0 {
			t.Errorf("%s %s: red on the page: %q", v.Decision.Outcome, v.Decision.Label, got)
		}
	}
	s.SetStatus(spine.Status{Trouble: "The disk is full."})
	b.says("trouble", "The disk is full.")
	b.says("word", "Needs somebody")
	if len(ask[[]string](b, reds)) == 0 {
		t.Error("the box needs somebody, and nothing is red")
	}
}

// faint lists visible texts with less contrast than WCAG 2.2 AA wants of
// normal text (4.5).
const faint = `[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() &&
	[...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim())).flatMap((e) => {
	const rgb = (c) => c.match(/[\d.]+/g).map(Number);
	const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	let ground = e;
	while (ground && rgb(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
	const a = light(rgb(getComputedStyle(e).color)), b = light(rgb(getComputedStyle(ground || document.body).backgroundColor));
	const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	return contrast < 4.5 ? [e.tagName + " " + e.innerText + " " + contrast.toFixed(2)] : [];
})`

func TestReadableOnEveryScreen(t *testing.T) {
	for _, size := range [][2]int{{1920, 1080}, {1080, 1920}, {1280, 720}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s, b := visit(t, size[0], size[1])
			s.SetStatus(spine.Status{Ready: true, Busy: true, Unsigned: true, Outbox: 7, Quarantine: 2, Trouble: "The disk is full.",
				Shares: map[string]spine.ShareStatus{"scanner": {Online: true, Waiting: 2}}, Broker: spine.LinkStatus{Configured: true}})
			s.Show(refused("r", spine.Internal))
			s.Show(refused("s", spine.HeatmapOff))
			s.Show(classified("l", spine.Spondylolisthesis)) // the longest word
			b.says("headline", "Spondylolisthesis")
			b.says("trouble", "The disk is full.")
			b.until(overlayShown)
			// On a screen of some 24 inches, letters of 1/13 of the shorter
			// side are some 16 mm high as capitals: readable from well over
			// two metres.
			letters := ask[float64](b, `parseFloat(getComputedStyle(document.getElementById("headline")).fontSize)`)
			if least := float64(min(size[0], size[1])) / 13; letters < least {
				t.Errorf("the answer's letters are %.0f pixels high, want %.0f", letters, least)
			}
			for range 3 {
				if got := ask[[]string](b, faint); len(got) > 0 {
					t.Errorf("too faint: %q", got)
				}
				cut := `[...document.querySelectorAll("header *, footer *, .answer *, figcaption *")].filter((e) => e.checkVisibility()).filter((e) => {
					const r = e.getBoundingClientRect();
					return r.right > innerWidth || r.bottom > innerHeight || r.left < 0 || r.top < 0 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0;
				}).map((e) => e.tagName + "#" + e.id + " " + e.innerText)`
				if got := ask[[]string](b, cut); len(got) > 0 {
					t.Errorf("cut off: %q", got)
				}
				film := ask[float64](b, `document.getElementById("picture").getBoundingClientRect().height`)
				if film != 0 && film < float64(size[1])/4 {
					t.Errorf("the picture is only %.0f pixels high", film)
				}
				b.press(kb.ArrowDown)
			}
			set := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}}
			s.SetStatus(spine.Status{Ready: true, Busy: true})
			b.says("word", "Working")
			moves := `getComputedStyle(document.querySelector(".lamp")).animationName`
			if ask[string](b, moves) == "none" {
				t.Error("the lamp does not move: the next check means nothing")
			}
			b.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
				_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, set)
				return chromedp.Void{}, err
			})
			if got := ask[string](b, moves); got != "none" {
				t.Errorf("reduced motion is wanted, the lamp moves: %s", got)
			}
		})
	}
}

func TestPageLosesTheBoxAndFindsItAgain(t *testing.T) {
	serve := func(listen string, v View) (addr string, stop func()) {
		s := newServer(t, Options{Listen: listen})
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		s.SetStatus(spine.Status{Ready: true})
		s.Show(v)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		return s.Addr(), func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	}
	addr, stop := serve("127.0.0.1:0", classified("before", spine.Normal))
	b := newBrowser(t, 1280, 720)
	b.do(chromedp.Navigate("http://" + addr))
	b.says("headline", "Normal")
	b.says("word", "Ready")

	stop()
	b.says("lost", "Connection to the box lost. What is shown here may be old; the page reconnects by itself.")
	b.says("word", "Not connected")

	_, stop = serve(addr, classified("after", spine.Scoliosis))
	defer stop()
	b.says("headline", "Scoliosis")
	b.says("word", "Ready")
	if ask[bool](b, `document.getElementById("lost").checkVisibility()`) {
		t.Error("the box is back, the page still says that it is lost")
	}
}

// A box that hangs keeps its connections open: only the missing beat tells.
func TestPageNoticesABoxThatHangs(t *testing.T) {
	s, b := visit(t, 1280, 720)
	s.SetStatus(spine.Status{Ready: true})
	b.says("word", "Ready")
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const lost = document.getElementById("lost");
		new MutationObserver(() => { if (!lost.hidden) document.title = "lost"; }).observe(lost, { attributes: true });
		heard -= %d;
	})()`, (20 * time.Second).Milliseconds())))
	b.until(`document.title === "lost"`)
	b.until(`!document.getElementById("lost").checkVisibility()`) // it was a false alarm
	b.says("word", "Ready")
}
