package kiosk

import (
	"os"
	"strings"
	"testing"

	"spinebox/internal/spine"
)

// What the page can say stands where somebody would look it up.
func TestOperationsExplainsThePage(t *testing.T) {
	raw, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	page, err := pages.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		newRoom(spine.Status{}).Word, newRoom(spine.Status{Ready: true}).Word, newRoom(spine.Status{Ready: true, Busy: true}).Word,
		newRoom(spine.Status{Trouble: "x"}).Word, notice(spine.Status{Unsigned: true}), "trained on made X-rays", "Results stay on this box",
		"Network offline", "Network online", "needs a look", "files waiting", "in quarantine", "Lamps or display do not obey", "Not connected",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/operations.md does not explain %q", want)
		}
	}
	for _, want := range []string{"Connection to the box lost", "The next X-ray is being read. This is an earlier one.", "No picture to show"} {
		if !strings.Contains(text, want) || !strings.Contains(string(page), want) {
			t.Errorf("docs/operations.md and the page do not agree on %q", want)
		}
	}
}
