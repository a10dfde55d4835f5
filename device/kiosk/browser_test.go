package kiosk

import (
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"spinebox/internal/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

// browser is a real Chromium with the room's page.
type browser struct {
	*browsertest.Browser
	t *testing.T
}

func newBrowser(t *testing.T, width, height int) *browser {
	t.Helper()
	return &browser{browsertest.New(t, width, height), t}
}

// press sends keys to the page.
func (b *browser) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.Do(chromedp.KeyEvent(key))
	}
}

// says waits until an element is visible and says something.
func (b *browser) says(id, text string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`(() => {
		const e = document.getElementById(%q);
		return e.checkVisibility() && e.innerText.replace(/\s+/g, " ").replaceAll("\u2060", "").trim() === %q;
	})()`, id, text))
}

// ask evaluates a JavaScript expression in the page.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	return browsertest.Ask[T](b.Browser, expression)
}
