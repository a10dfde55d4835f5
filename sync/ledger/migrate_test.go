package ledger

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spinebox/internal/spine"
)

// A ledger that the code of version 1 wrote (testdata/make-v1) opens, and goes
// on as one of this version.
func TestPreviousVersion(t *testing.T) {
	text, err := os.ReadFile("testdata/v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	untar := exec.Command("tar", "-C", parent, "-xz")
	untar.Stdin = base64.NewDecoder(base64.StdEncoding, strings.NewReader(string(text)))
	if out, err := untar.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", untar, err, out)
	}
	dir := filepath.Join(parent, "ledger")
	l := open(t, dir, Options{Keep: time.Hour})
	a, b, c := image("a"), image("b"), image("c")
	for img, want := range map[*spine.Image]spine.Code{a: "", b: spine.NotXray, c: spine.Corrupt} {
		got, err := l.Image(img.Digest)
		if err != nil || got.Decision.Code != want {
			t.Errorf("%s is %+v, %v", img.Name, got, err)
		}
		if seen, ok, err := l.Sighting("room", img.Name); !ok || err != nil || seen != sighting(img) {
			t.Errorf("the sighting of %s is %+v, %v", img.Name, seen, err)
		}
	}
	expect(t, "outbox", []string{"2 " + resultID(b), "3 " + resultID(c)}, pending(t, l))
	expect(t, "counters", spine.Counters{Classified: 1, Refused: 1, Failed: 1}, l.Counters())
	entries, err := l.Pending(0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(entries[0].Message) + len(entries[1].Message)); l.tally.OutboxBytes < want || l.tally.OutboxBytes > want+500 {
		t.Errorf("the outbox counts %d bytes, its messages have %d", l.tally.OutboxBytes, want)
	}
	recent, err := l.Recent(10)
	if err != nil || len(recent) != 3 || recent[0].Digest != c.Digest {
		t.Errorf("recent: %v, %v", recent, err)
	}
	if holder, err := l.BySOP("1.2.3"); holder != a.Digest || err != nil {
		t.Errorf("the holder is %.8s, %v", holder, err)
	}

	// It is changed by this version, closed, and opened again.
	commit(t, l, image("d"))
	if n, err := l.Delivered(resultID(b)); n != 1 || err != nil {
		t.Errorf("delivered %d, %v", n, err)
	}
	again := image("c")
	again.Attempt = 2
	if err := l.Commit(again, spine.Sighting{}, message(again)); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open(t, dir, Options{Keep: time.Hour, Now: func() time.Time { return time.Now().Add(2 * time.Hour) }})
	expect(t, "sequences", []string{"4 " + resultID(image("d")), "5 " + resultID(again)}, pending(t, l))
	if v, err := l.tallyVersion(); v != version || err != nil {
		t.Errorf("the tally's version is %d, %v", v, err)
	}
	// What version 1 delivered is old enough, too; what waits is not touched.
	if n, err := l.Retire(context.Background()); n != 2 || err != nil {
		t.Errorf("%d retired, %v", n, err)
	}
}

func TestRetention(t *testing.T) {
	now := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	l := open(t, t.TempDir(), Options{Keep: time.Hour, Now: func() time.Time { return now }})
	sent, unsent, failed, fresh := image("sent"), image("unsent"), image("failed"), image("fresh")
	sent.SOPInstanceUID = "1.2.3"
	failed.Decision = spine.Decision{Outcome: spine.Failed, Code: spine.Timeout}
	for _, img := range []*spine.Image{sent, unsent, failed} {
		commit(t, l, img)
	}
	if n, err := l.Delivered(resultID(sent), resultID(failed)); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if s, err := l.Standing(sent.Digest); err != nil || !s.Queued.Equal(now) || !s.Delivered.Equal(now) || !s.Discarded.IsZero() {
		t.Errorf("it stands %+v, %v", s, err)
	}
	if s, err := l.Standing(unsent.Digest); err != nil || !s.Delivered.IsZero() {
		t.Errorf("what waits stands %+v, %v", s, err)
	}
	now = now.Add(50 * time.Minute)
	commit(t, l, fresh)
	if _, err := l.Delivered(resultID(fresh)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(11 * time.Minute)
	retire := func(want int, gone ...*spine.Image) {
		t.Helper()
		if n, err := l.Retire(t.Context()); n != want || err != nil {
			t.Errorf("%d retired, %v, want %d", n, err, want)
		}
		for _, img := range gone {
			if _, err := l.Image(img.Digest); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s is there: %v", img.Name, err)
			}
		}
	}
	retire(1, sent)
	if _, err := l.BySOP("1.2.3"); !errors.Is(err, ErrNotFound) {
		t.Errorf("its identifier is there: %v", err)
	}
	expect(t, "outbox", []string{"2 " + resultID(unsent)}, pending(t, l))
	retire(0)
	if err := l.Discarded(failed.Digest); err != nil {
		t.Fatal(err)
	}
	retire(1, failed)
	now = now.Add(24 * time.Hour)
	retire(1, fresh)
	if _, err := l.Image(unsent.Digest); err != nil {
		t.Errorf("an image without a receipt: %v", err)
	}
	l.Keep = 0
	retire(0)
}
