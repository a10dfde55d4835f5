package kiosk

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
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
	b.Do(chromedp.Navigate(server.URL))
	b.says("headline", "No X-ray yet")
	return s, b
}

const overlayShown = `document.getElementById("overlay1").checkVisibility()`

func TestPageShowsResultsAsTheyCome(t *testing.T) {
	s, b := visit(t, 1920, 1080)
	s.SetStatus(spine.Status{Ready: true, Unsigned: true, Shares: map[string]spine.ShareStatus{"scanner": {Online: true, Waiting: 2}}})
	b.says("word", "Ready")
	b.says("notice", "Demonstration: unsigned model")
	b.says("facts", "Share scanner: 2 files waiting Results stay on this box")

	s.Show(classified("aa11", spine.Scoliosis))
	b.says("headline", "Scoliosis")
	b.says("percent", "94 % calibrated probability")
	b.says("about", "image aa11 · resnet50-random 3")
	b.Until(`document.getElementById("when").innerText.startsWith("` + finished.Format("2 Jan 15:04:05") + `")`)
	b.Until(overlayShown)
	if got := ask[string](b, `document.querySelector(".use").innerText`); got != spine.IntendedUse {
		t.Errorf("intended use %q", got)
	}

	// The map lies exactly on the picture, and the picture keeps its shape.
	for _, id := range []string{"picture1", "overlay1"} {
		box := ask[[]float64](b, fmt.Sprintf(`(() => { const r = document.getElementById(%q).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`, id))
		film := ask[[]float64](b, `(() => { const r = document.getElementById("film1").getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`)
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
	failed.Preview, failed.Maps, failed.Readings = nil, nil, nil
	s.Show(failed)
	b.says("headline", "Not processed")
	b.says("sentence", spine.Corrupt.Sentence())
	b.says("nothing", "No picture to show")
	if ask[bool](b, `document.getElementById("picture1").checkVisibility() || `+overlayShown) {
		t.Error("another image's picture stands beside a failure")
	}
	if got := ask[[]string](b, `[...document.querySelectorAll("#recent .what")].map((e) => e.innerText)`); fmt.Sprint(got) != "[Not processed No answer Scoliosis]" {
		t.Errorf("last results %q", got)
	}

	if got := b.Complained(); got != "" {
		t.Errorf("the page complains:\n%s", got)
	}

	for i := range 25 { // nothing grows; pictures that are gone before they are asked for are missed in the browser's log
		s.Show(classified(fmt.Sprint("dd", i), spine.Normal))
	}
	b.Until(`document.getElementById("about").innerText.includes("image dd24")`)
	if got := ask[[]int](b, `[document.querySelectorAll("#recent li").length, document.querySelectorAll("img").length]`); got[0] != 20 || got[1] != 5 {
		t.Errorf("%d results and %d pictures on the page", got[0], got[1])
	}
	if got := ask[[]string](b, `performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith(location.origin))`); len(got) > 0 {
		t.Errorf("the page asked elsewhere: %q", got)
	}
}

func TestPageByKeyboard(t *testing.T) {
	s, b := visit(t, 1280, 720)
	for i, l := range spine.Labels() {
		s.Show(classified(fmt.Sprint("id", i), l))
	}
	b.says("headline", "Spondylolisthesis")
	b.Until(overlayShown)
	opacity := `getComputedStyle(document.getElementById("overlay1")).opacity`
	if got := ask[string](b, opacity); got != "0.6" {
		t.Errorf("opacity %s", got)
	}
	b.press(kb.ArrowRight, kb.ArrowRight)
	b.Until(opacity + `=== "0.7"`)
	b.says("percentage", "70 %")
	b.Do(chromedp.Focus(chromedp.ID("opacity")))
	b.press(kb.ArrowLeft) // also the slider's own key: one step, not two
	b.Until(opacity + `=== "0.65"`)
	for range 20 {
		b.press(kb.ArrowLeft)
	}
	b.Until(opacity + `=== "0"`)
	b.Do(chromedp.Evaluate[chromedp.Void](`(() => { const o = document.getElementById("opacity"); o.value = 40; o.dispatchEvent(new Event("input")); })()`))
	b.Until(opacity + `=== "0.4"`) // by mouse or finger

	b.press("h")
	b.Until("!" + overlayShown)
	b.press("H")
	b.Until(overlayShown)
	b.press("h", "8") // whoever asks for a strength wants to see the map
	b.Until(overlayShown + " && " + opacity + ` === "0.8"`)
	b.press("0")
	b.Until(opacity + `=== "0"`)

	b.press(kb.ArrowDown)
	b.says("headline", "Scoliosis")
	b.says("which", "Earlier result, 2 of 3")
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

// Whoever sends an X-ray again waits for its answer.
func TestSameFileAgain(t *testing.T) {
	s, b := visit(t, 1280, 720)
	first := classified("a", spine.Scoliosis)
	s.Show(first)
	s.Show(classified("b", spine.Normal))
	b.says("headline", "Normal")
	if ask[bool](b, `document.getElementById("again").checkVisibility()`) {
		t.Error("what came once came again")
	}
	first.Again, first.Preview, first.Maps = time.Now(), nil, nil
	s.Show(first)
	b.says("headline", "Scoliosis")
	b.Until(`document.getElementById("again").innerText.includes("came again at")`)
	b.Until(overlayShown) // its pictures are kept
	if n := ask[int](b, `document.querySelectorAll("#recent li").length`); n != 2 {
		t.Errorf("%d results in the list", n)
	}
}

// A file that is no X-ray takes no answer from the screen.
func TestForeignFileStandsInTheListAlone(t *testing.T) {
	s, b := visit(t, 1280, 720)
	foreign := func(id string) View {
		v := refused(id, spine.Unsupported)
		v.Decision.Foreign, v.Preview = true, nil
		return v
	}
	s.Show(foreign("text1"))
	b.says("headline", "No answer") // there is nothing else
	s.Show(classified("a", spine.Scoliosis))
	b.says("headline", "Scoliosis")
	s.Show(foreign("text2"))
	b.Until(`document.querySelectorAll("#recent li").length === 3`)
	b.says("headline", "Scoliosis")
	if ask[bool](b, `document.getElementById("earlier").checkVisibility()`) {
		t.Error("the answer is called an earlier one")
	}
	b.press(kb.ArrowUp)
	b.says("headline", "No answer")
	b.says("which", "No X-ray, 1 of 3")
	s.Show(foreign("text3")) // no reason to turn the page
	b.Until(`document.querySelectorAll("#recent li").length === 4`)
	b.says("which", "No X-ray, 2 of 4")
	b.press(kb.Home)
	b.says("headline", "Scoliosis")
	s.Show(refused("dicom", spine.Unsupported)) // an X-ray that the box cannot read is one
	b.says("headline", "No answer")
	s.Show(classified("b", spine.Normal))
	b.says("headline", "Normal")
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
		b.Until(fmt.Sprintf(`document.getElementById("about").innerText.startsWith("image %s ")`, v.ID))
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

// cut lists what sticks out of the screen or of what it stands in, or is wider
// than its own box. The list of results may go on below its end.
const cut = `[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility()).filter((e) => {
	const r = e.getBoundingClientRect(), p = e.parentElement.getBoundingClientRect();
	const listed = e.closest("#recent") !== null;
	return r.right > innerWidth + 1 || r.left < -1 || r.right > p.right + 1 || r.left < p.left - 1 || !listed && (r.bottom > innerHeight + 1 || r.top < -1) ||
		e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 || !listed && e.scrollHeight > e.clientHeight + 1 && e.clientHeight > 0 && getComputedStyle(e).overflowY !== "visible";
}).map((e) => e.tagName + "#" + e.id + " " + e.innerText.slice(0, 80))`

// small lists visible texts below a size in pixels.
const small = `((least, where) => [...document.querySelectorAll(where)].filter((e) => e.checkVisibility() &&
	[...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()) &&
	parseFloat(getComputedStyle(e).fontSize) < least).map((e) => e.tagName + "#" + e.id + " " + e.innerText + " " + getComputedStyle(e).fontSize))`

func TestReadableOnEveryScreen(t *testing.T) {
	for _, size := range [][2]int{{1920, 1080}, {1080, 1920}, {1280, 720}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s, b := visit(t, size[0], size[1])
			shorter := float64(min(size[0], size[1]))
			check := func(what string) {
				t.Helper()
				if got := ask[[]string](b, faint); len(got) > 0 {
					t.Errorf("%s: too faint: %q", what, got)
				}
				if got := ask[[]string](b, cut); len(got) > 0 {
					t.Errorf("%s: cut off: %q", what, got)
				}
				// On a screen of some 24 inches the shorter side is 300 mm. The
				// answer's capitals are then some 16 mm high, readable from well
				// over two metres; what says how the box is, and what to do, more
				// than 7 mm, read with normal sight from two metres (ISO 9241-303
				// asks for 16 minutes of arc, 9 mm, for reading at length); the
				// smallest print is for whoever stands before the screen.
				for where, part := range map[string]float64{"#headline, #percent b": 14, "#sentence, #word, .banner": 30, "body *": 58} {
					if got := ask[[]string](b, fmt.Sprintf("%s(%f, %q)", small, shorter/part, where)); len(got) > 0 {
						t.Errorf("%s: too small: %q", what, got)
					}
				}
				if !ask[bool](b, `document.querySelector(".use").checkVisibility()`) {
					t.Errorf("%s: the intended use is not said", what)
				}
			}
			// The page's own letters: with others nothing here would hold elsewhere.
			b.Until(`document.fonts.size === 2 && [...document.fonts].every((f) => f.status === "loaded")`)
			check("empty")
			s.SetStatus(full)
			b.says("trouble", full.Trouble)
			views := []View{
				refused("heatmap-off", spine.HeatmapOff), refused("conflict", spine.Conflict), refused("internal", spine.Internal),
				twoReaders("two", spine.Spondylolisthesis), classified("long", spine.Spondylolisthesis), // the longest word
			}
			for _, v := range views {
				s.Show(v)
				b.Until(fmt.Sprintf(`document.getElementById("about").innerText.startsWith("image %s")`, v.ID))
				b.Until(`document.getElementById("picture1").checkVisibility() && document.getElementById("next").checkVisibility()`)
				check(v.ID)
				if film := ask[float64](b, `document.getElementById("picture1").getBoundingClientRect().height`); film < float64(size[1])/4 {
					t.Errorf("%s: the picture is only %.0f pixels high", v.ID, film)
				}
				if list := ask[float64](b, `document.getElementById("recent").clientHeight / document.querySelector("#recent li").clientHeight`); list < 1 {
					t.Errorf("%s: the list shows %.1f lines", v.ID, list)
				}
			}
			b.press(kb.ArrowDown)
			b.says("which", "Earlier result, 2 of 5")
			check("earlier")
			b.press("s")
			b.Until(`document.getElementById("service").checkVisibility()`)
			check("service")
		})
	}
}

func TestReducedMotion(t *testing.T) {
	s, b := visit(t, 1280, 720)
	s.SetStatus(spine.Status{Ready: true, Busy: true})
	b.says("word", "Working")
	moves := `getComputedStyle(document.querySelector(".lamp")).animationName`
	if ask[string](b, moves) == "none" {
		t.Error("the lamp does not move: the next check means nothing")
	}
	set := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}}
	b.Do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, set)
		return chromedp.Void{}, err
	})
	if got := ask[string](b, moves); got != "none" {
		t.Errorf("reduced motion is wanted, the lamp moves: %s", got)
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
	b.Do(chromedp.Navigate("http://" + addr))
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
	b.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const lost = document.getElementById("lost");
		new MutationObserver(() => { if (!lost.hidden) document.title = "lost"; }).observe(lost, { attributes: true });
		heard -= %d;
	})()`, (20 * time.Second).Milliseconds())))
	b.Until(`document.title === "lost"`)
	b.Until(`!document.getElementById("lost").checkVisibility()`) // it was a false alarm
	b.says("word", "Ready")
}

// full is a box about which everything is to be said at once.
var full = spine.Status{
	Version: "v1.2.3-45-gabcdef0", Started: finished, Ready: true, Busy: true, Unsigned: true, Phantom: true,
	Models: []spine.ModelID{
		{Name: "resnet50-finetune", Version: "2026.11-seed1-fold0", Digest: strings.Repeat("ab", 32)},
		{Name: "vgg16-finetune", Version: "2026.11-seed1-fold0", Digest: strings.Repeat("cd", 32)},
	},
	Reading: "side by side: side by side took 123ms, one after the other 150ms",
	Thresholds: map[string]float64{
		"max_hues": .12, "min_side": 96, "max_shape": 12, "min_contrast": 2. / 255, "confidence_1": .7, "confidence_2": .65,
		"picture_1": 12.345, "picture_2": 1.5, "features_1": 2, "features_2": 2.25, "outside_1": .5, "outside_2": .4,
	},
	Check: spine.CheckStatus{At: finished},
	Disk:  spine.DiskStatus{Free: 41_200_000_000, Size: 118_000_000_000, Reserve: 256_000_000},
	Shares: map[string]spine.ShareStatus{
		"scanner": {Online: true, Waiting: 2}, "fluoroscopy-room": {Error: "away"}, "archive": {Online: true, Error: "3 files cannot be read"}, "ward": {Online: true},
	},
	Broker:     spine.LinkStatus{Configured: true},
	Panel:      spine.PanelStatus{Display: "display: open bus 7: sysfs-i2c: bus #7 is not configured: open /dev/i2c-7: no such file or directory"},
	Outbox:     1234,
	Quarantine: 12,
	Classified: 123456, Refused: 2345, Failed: 12, Duplicates: 99999,
	Trouble: "Share archive: 3 of its files and folders cannot be read. Look at the mount's user and modes.",
}

// twoReaders is a view of an image that two networks read, each with its map.
func twoReaders(id string, label spine.Label) View {
	v := classified(id, label)
	second := v.Readings[0]
	second.Model = spine.ModelID{Name: "vgg16-finetune", Version: "2026.11-seed1-fold0"}
	v.Readings = append(v.Readings, second)
	v.Maps = append(v.Maps, still(heat(7, 14)))
	return v
}
