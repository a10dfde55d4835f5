package report_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"spinebox/internal/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

// The page as a person meets it: on a telephone, on a wide screen, on paper.
func TestThePageInABrowser(t *testing.T) {
	runs := made(t, accurate(), trusted())
	overlays(t, runs, trusted(), 1)
	dir := t.TempDir()
	if err := read(t, runs).Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, size := range [][2]int{{420, 900}, {1600, 1000}} {
		b := browsertest.New(t, size[0], size[1])
		b.Do(chromedp.Navigate("file://" + filepath.Join(dir, "report.html")))
		if got := browsertest.Ask[string](b, `document.querySelector(".answer b").innerText`); got != "Release resnet50-finetune." {
			t.Errorf("the answer is %q", got)
		}
		if wide := browsertest.Ask[float64](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
			t.Errorf("at %d pixels the page is %v pixels too wide", size[0], wide)
		}
		if broken := browsertest.Ask[float64](b, `[...document.images].filter((i) => !i.naturalWidth).length`); broken != 0 {
			t.Errorf("%v pictures are broken", broken)
		}
		// What a plot draws lies inside it.
		outside := browsertest.Ask[float64](b, `[...document.querySelectorAll("figure > svg")].filter((s) => {
			const box = s.viewBox.baseVal, drawn = s.getBBox();
			return drawn.x < -1 || drawn.y < -1 || drawn.x + drawn.width > box.width + 1 || drawn.y + drawn.height > box.height + 1;
		}).length`)
		if outside != 0 {
			t.Errorf("%v plots draw outside of their frame", outside)
		}
		if said := b.Complained(); said != "" {
			t.Errorf("the page complains: %s", said)
		}
		b.Do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			printed, err := cdp.Call(ctx, target, page.PrintToPDF, page.PrintToPDFParams{PreferCSSPageSize: new(true)})
			if n := bytes.Count(printed.Data, []byte("/Type /Page\n")); err == nil && n < 6 {
				t.Errorf("it prints on %d pages: each part begins a new one", n)
			}
			return chromedp.Void{}, err
		})
	}
}
