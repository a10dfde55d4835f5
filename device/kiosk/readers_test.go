package kiosk

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"spinebox/internal/spine"
)

// rectangle returns where an element is: left, top, width, height.
func rectangle(b *browser, id string) []float64 {
	b.t.Helper()
	return ask[[]float64](b, fmt.Sprintf(`(() => { const r = document.getElementById(%q).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`, id))
}

func TestTwoReadersStandSideBySide(t *testing.T) {
	s, b := visit(t, 1920, 1080)
	v := twoReaders("two", spine.Scoliosis)
	v.Readings[1].Probabilities = []float64{.1, .8, .1}
	s.Show(v)
	b.says("headline", "Scoliosis")
	b.Until(overlayShown + ` && document.getElementById("overlay2").checkVisibility()`)
	b.says("caption1", "resnet50-random 3 Scoliosis 94 %")
	b.says("caption2", "vgg16-finetune 2026.11-seed1-fold0 Scoliosis 80 %")
	first, second := rectangle(b, "picture1"), rectangle(b, "picture2")
	if second[0] < first[0]+first[2] || math.Abs(first[1]-second[1]) > .01 || math.Abs(first[2]-second[2]) > .01 || math.Abs(first[3]-second[3]) > .01 {
		t.Errorf("the pictures are at %v and %v", first, second)
	}
	for n, picture := range [][]float64{first, second} {
		for i, v := range rectangle(b, fmt.Sprint("overlay", n+1)) {
			if math.Abs(v-picture[i]) > .01 {
				t.Errorf("map %d does not lie on its picture %v", n+1, picture)
			}
		}
	}
	if got := ask[[]string](b, `[...document.querySelectorAll("img[id^=overlay]")].map((e) => new URL(e.src).pathname)`); !slices.Equal(got, []string{"/map/0/two.png", "/map/1/two.png"}) {
		t.Errorf("the maps are %q", got)
	}
	b.press("3")
	b.Until(`[...document.querySelectorAll("img[id^=overlay]")].every((e) => getComputedStyle(e).opacity === "0.3")`)
	b.press("h")
	b.Until(`![...document.querySelectorAll("img[id^=overlay]")].some((e) => e.checkVisibility())`)
	b.press("h")

	v = twoReaders("one-map", spine.Normal)
	v.Maps[1] = nil
	s.Show(v)
	b.says("headline", "Normal")
	b.Until(overlayShown)
	if ask[bool](b, `document.getElementById("screen2").checkVisibility() || document.getElementById("caption1").checkVisibility()`) {
		t.Error("a reader without a map has a picture of its own")
	}
	if got := ask[[]string](b, `[...document.querySelectorAll("#readers h3")].map((e) => e.innerText)`); len(got) != 2 {
		t.Errorf("the readers are %q", got)
	}
	v.ID, v.Decision = "disagree", spine.Decision{Outcome: spine.Refused, Code: spine.ReadersDisagree}
	s.Show(v)
	b.says("sentence", spine.ReadersDisagree.Sentence())
	if got := ask[string](b, `document.body.innerText`); strings.Contains(got, "80 %") || len(ask[[]string](b, `[...document.querySelectorAll("#readers li")].map((e) => e.innerText)`)) > 0 {
		t.Errorf("the readings of an answer that is withheld are told:\n%s", got)
	}
}

// An answer's age stands beside it, and grows.
func TestHowOldAnAnswerIs(t *testing.T) {
	s, b := visit(t, 1280, 720)
	v := classified("aa", spine.Normal)
	v.Finished = time.Now().Add(-3 * time.Minute)
	s.Show(v)
	b.says("age", "3 min ago")
	b.Do(chromedp.Evaluate[chromedp.Void](`state.results[0].finished = new Date(Date.now() - 5 * 3600e3).toISOString()`))
	b.says("age", "5 hours ago") // by itself, without an event
	got := ask[[]string](b, `[5e3, 90e3, 3600e3, 7200e3, 47 * 3600e3, 72 * 3600e3].map((ms) => age(Date.now() - ms))`)
	if want := []string{"just now", "1 min ago", "60 min ago", "2 hours ago", "47 hours ago", "3 days ago"}; !slices.Equal(got, want) {
		t.Errorf("ages %q, want %q", got, want)
	}
}

// While the next X-ray is in hand, the page says that it still shows the one
// before.
func TestTheNextXrayIsSaid(t *testing.T) {
	s, b := visit(t, 1280, 720)
	s.SetStatus(spine.Status{Ready: true, Busy: true})
	b.says("word", "Working")
	s.Show(classified("aa", spine.Normal))
	b.says("next", "The next X-ray is being read. This is an earlier one.")
	s.SetStatus(spine.Status{Ready: true})
	b.says("word", "Ready")
	if ask[bool](b, `document.getElementById("next").checkVisibility()`) {
		t.Error("nothing is in hand, and the next X-ray is announced")
	}
}

func TestServicePage(t *testing.T) {
	s, b := visit(t, 1920, 1080)
	b.press("s") // also before the first result
	b.Until(`document.getElementById("service").checkVisibility() && !document.getElementById("results").checkVisibility()`)
	b.press("s")
	b.says("headline", "No X-ray yet")
	s.SetStatus(full)
	s.Show(classified("aa", spine.Normal))
	b.says("headline", "Normal")
	b.press("s")
	b.Until(`document.getElementById("service").checkVisibility()`)
	text := strings.ReplaceAll(ask[string](b, `document.getElementById("service").innerText`), "\u2060", "")
	for _, want := range []string{
		full.Version, "1 Mar 14:02:11", "41 GB of 118 GB free; intake stops below 256 MB", full.Panel.Display,
		"resnet50-finetune 2026.11-seed1-fold0", "abababababab", "made X-rays", "answered as it must be, 1 Mar 14:02:11, ",
		"Share fluoroscopy-room", "offline", "1234", "123456, 2345, 12", "99999", "Picture", "12.35 and 1.5", "0.007843", "side by side took 123ms",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the service page lacks %q:\n%s", want, text)
		}
	}
	b.press(kb.Escape)
	b.says("headline", "Normal")

	// Left alone for a minute and a half, it gives way to the latest result.
	b.Do(chromedp.Evaluate[chromedp.Void](`(() => { const real = setTimeout; setTimeout = (f, ms) => ms === lookBack ? ((left = f), 0) : real(f, ms); })(); var left = null;`))
	b.Do(chromedp.Click(chromedp.ID("turn")))
	b.Until(`document.getElementById("service").checkVisibility() && left !== null`)
	b.Do(chromedp.Evaluate[chromedp.Void](`left()`))
	b.Until(`!document.getElementById("service").checkVisibility()`)
	b.press(kb.Escape)
	s.Show(classified("bb", spine.Scoliosis))
	b.says("headline", "Scoliosis")
	b.press(kb.ArrowDown)
	b.says("headline", "Normal")
	b.Do(chromedp.Evaluate[chromedp.Void](`left()`))
	b.says("headline", "Scoliosis")
}

func TestTheKeyboardReachesEverything(t *testing.T) {
	s, b := visit(t, 1280, 720)
	for i, l := range spine.Labels() {
		s.Show(classified(fmt.Sprint("id", i), l))
	}
	b.says("headline", "Spondylolisthesis")
	b.Until(overlayShown)
	b.press(kb.ArrowDown)
	b.says("which", "Earlier result, 2 of 3")
	var reached []string
	for range 5 {
		b.press(kb.Tab)
		reached = append(reached, ask[string](b, `(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			return (e.id || e.innerText.replace(/\s+/g, " ")) + (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2 ? ": its focus is not seen" : "");
		})()`))
	}
	day := finished.Format("2 Jan")
	if want := []string{"latest", "toggle", "opacity", day + " Scoliosis 94 %", "turn"}; !slices.Equal(reached, want) {
		t.Errorf("by Tab one comes to %q, want %q", reached, want)
	}
	// Whoever stands in the list goes on in it.
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#recent [aria-current]").focus()`))
	focused := `document.activeElement.querySelector(".what").innerText`
	b.press(kb.ArrowDown)
	b.Until(focused + ` === "Normal"`)
	s.SetStatus(spine.Status{Ready: true})
	b.says("word", "Ready")
	b.Until(focused + ` === "Normal"`)
	b.press(kb.ArrowUp)
	b.Until(focused + ` === "Scoliosis"`)
	b.Do(chromedp.Focus(chromedp.ID("latest")))
	b.press(kb.Enter)
	b.says("headline", "Spondylolisthesis")
	b.Do(chromedp.Focus(chromedp.ID("turn")))
	b.press(kb.Enter)
	b.Until(`document.getElementById("service").checkVisibility()`)
}

// The twenty results are all reached by the arrow keys, and the one that is
// looked at is always in view.
func TestArrowsThroughTheLastTwenty(t *testing.T) {
	for _, size := range [][2]int{{1280, 720}, {1080, 1920}} {
		s, b := visit(t, size[0], size[1])
		for i := range 20 {
			s.Show(classified(fmt.Sprintf("n%02d", i), spine.Normal))
		}
		b.Until(`document.getElementById("about").innerText.startsWith("image n19")`)
		for i := 18; i >= 0; i-- {
			b.press(kb.ArrowDown)
			b.Until(fmt.Sprintf(`document.getElementById("about").innerText.startsWith("image n%02d")`, i))
			if !ask[bool](b, `(() => { const r = document.querySelector("#recent [aria-current]").getBoundingClientRect(), l = document.getElementById("recent").getBoundingClientRect(); return r.top >= l.top - 1 && r.bottom <= l.bottom + 1; })()`) {
				t.Fatalf("%v: result n%02d is looked at and not in view", size, i)
			}
		}
	}
}
