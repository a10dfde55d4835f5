package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spinebox/internal/spine"
)

// A file that failed is judged again, as a new attempt that supersedes: first
// it fails once more, then it is answered and leaves the quarantine.
func TestRetry(t *testing.T) {
	broken := true
	b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
		if broken {
			return nil, errors.New("the decoder is not installed")
		}
		return xray(path)
	}, sure))
	c := b.drop(t, "a.dcm", "one")
	c.Received = c.Received.Add(-time.Hour)
	b.offer(t, c)
	if err := b.Retry(t.Context(), c.Digest); err != nil {
		t.Fatal(err)
	}
	file, content := b.quarantined(t, c.Digest)
	if content != "one" || len(file.Attempts) != 2 || file.Last().Attempt != 2 || file.Last().Stage != spine.Decode || file.Last().Code != spine.Internal {
		t.Errorf("after a retry in vain: %+v with %q", file, content)
	}
	broken = false
	if err := b.Requested(t.Context()); err != nil || len(b.books.messages) != 2 {
		t.Errorf("nobody asked: %v, %d messages", err, len(b.books.messages))
	}
	if err := b.Quarantine().Request(c.Digest); err != nil {
		t.Fatal(err)
	}
	if file, _ := b.quarantined(t, c.Digest); !file.Requested {
		t.Error("a retry is asked for, and nobody knows")
	}
	if err := b.Requested(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Quarantine().Count(); n != 0 || err != nil {
		t.Errorf("%d files are in quarantine (%v)", n, err)
	}
	if img := b.books.images[c.Digest]; img.Timings.Total > float64(time.Minute.Milliseconds()) || !img.Received.Equal(c.Received) {
		t.Errorf("the retry took %v ms; the file came at %v, not at %v", img.Timings.Total, img.Received, c.Received)
	}
	if img := b.books.images[c.Digest]; img.Attempt != 3 || img.Decision.Outcome != spine.Classified {
		t.Errorf("the record is %+v", img)
	}
	if n := len(b.books.messages); n != 3 {
		t.Errorf("%d messages for three attempts", n)
	}
	for _, err := range []error{b.Retry(t.Context(), c.Digest), b.Quarantine().Request(c.Digest)} {
		if !errors.Is(err, ErrNotQuarantined) {
			t.Errorf("once more: %v", err)
		}
	}
}

// A crash after the commit and before the file left the quarantine.
func TestRetryOfWhatIsAnswered(t *testing.T) {
	b := newBench(t, testJudge(xray, sure))
	c := b.drop(t, "a.dcm", "one")
	c.Whole = false
	b.offer(t, c)
	img := b.books.images[c.Digest]
	img.Attempt, img.Decision = 2, spine.Decision{Outcome: spine.Refused, Code: spine.TooSmall}
	b.books.images[c.Digest] = img
	if err := b.Retry(t.Context(), c.Digest); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Quarantine().Count(); n != 0 || err != nil || len(b.books.messages) != 1 {
		t.Errorf("%d files are in quarantine (%v), %d messages", n, err, len(b.books.messages))
	}
}

// A note that is older than the ledger, as after a restore: the file is judged,
// and stays when it fails once more.
func TestRetryWithAnOldNote(t *testing.T) {
	b := newBench(t, testJudge(xray, sure))
	c := b.drop(t, "a.dcm", "one")
	c.Whole = false
	b.offer(t, c)
	img := b.books.images[c.Digest]
	img.Attempt = 4
	b.books.images[c.Digest] = img
	if err := b.Retry(t.Context(), c.Digest); err != nil {
		t.Fatal(err)
	}
	file, content := b.quarantined(t, c.Digest)
	if file.Last().Attempt != 5 || content != "one" || b.books.images[c.Digest].Attempt != 5 {
		t.Errorf("in quarantine: %+v with %q; the record: %+v", file, content, b.books.images[c.Digest])
	}
}

// The ledger was moved aside, and the file comes from the share once more: what
// the hub has been told before is superseded.
func TestLostLedgerBesideAQuarantine(t *testing.T) {
	b := newBench(t, testJudge(xray, sure))
	c := b.drop(t, "a.dcm", "one")
	c.Whole = false
	b.offer(t, c)
	if err := b.Retry(t.Context(), c.Digest); err != nil {
		t.Fatal(err)
	}
	clear(b.books.images)
	again := b.drop(t, "a.dcm", "one")
	again.Whole = false
	b.offer(t, again)
	file, content := b.quarantined(t, c.Digest)
	if len(file.Attempts) != 3 || file.Last().Attempt != 3 || content != "one" {
		t.Errorf("in quarantine: %+v with %q", file, content)
	}
	if last := b.books.messages[len(b.books.messages)-1]; last.Attempt != 3 {
		t.Errorf("the hub is told attempt %d", last.Attempt)
	}
}

func TestQuarantineListsFindsDiscards(t *testing.T) {
	b := newBench(t, testJudge(xray, func(context.Context, *spine.Picture) (*spine.Reading, error) { return nil, errors.New("no network") }))
	first, second := b.drop(t, "a.dcm", "one"), b.drop(t, "b.dcm", "two")
	second.Received = first.Received.Add(1)
	b.offer(t, second)
	b.offer(t, first)
	q := b.Quarantine()
	files, err := q.List()
	if err != nil || len(files) != 2 || files[0].Digest != first.Digest || files[1].Last().Stage != spine.Network {
		t.Fatalf("the list is %+v, %v", files, err)
	}
	if f, err := q.Find(second.Digest[:8]); err != nil || f.Name != "b.dcm" {
		t.Errorf("found %+v, %v", f, err)
	}
	for _, unknown := range []string{"", "zz", "../.."} {
		if f, err := q.Find(unknown); !errors.Is(err, ErrNotQuarantined) {
			t.Errorf("%q found %+v, %v", unknown, f, err)
		}
	}
	if err := q.Discard(first.Digest); err != nil {
		t.Fatal(err)
	}
	if err := q.Discard(first.Digest); !errors.Is(err, ErrNotQuarantined) {
		t.Errorf("discarded twice: %v", err)
	}
	// What a crash left of a discarding, and what an older spinebox wrote.
	if err := errors.Join(
		os.Mkdir(filepath.Join(b.dir, "quarantine", ".gone-"+first.Digest), 0o700),
		os.WriteFile(filepath.Join(b.dir, "quarantine", second.Digest, reasonName),
			[]byte(`{"code":"timeout","sentence":"…","reason":"late","attempt":1,"source":"room","name":"b.dcm","size":3}`), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	files, err = q.List()
	if err != nil || len(files) != 1 || files[0].Last().Code != spine.Timeout || files[0].Name != "b.dcm" {
		t.Errorf("the list is %+v, %v", files, err)
	}
	if n, err := q.Count(); n != 1 || err != nil {
		t.Errorf("%d files, %v", n, err)
	}
	if _, err := OpenQuarantine(filepath.Join(b.dir, "quarantine")); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(b.dir, "quarantine", ".gone-*")); len(left) > 0 || err != nil {
		t.Errorf("opened anew, it still has %q (%v)", left, err)
	}
}
