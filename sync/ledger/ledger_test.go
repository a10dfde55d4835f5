package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func open(t *testing.T, dir string, o Options) *Ledger {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // a second Close does nothing
	return l
}

func image(name string) *spine.Image {
	at := time.Date(2026, 3, 4, 9, 10, 11, 12345, time.UTC)
	return &spine.Image{
		Digest: hash(name), Attempt: 1, Source: "room", Name: name + ".png", Size: 10,
		Decision: spine.Decision{Outcome: spine.Classified, Label: spine.Normal},
		Readings: []spine.Reading{{
			Labels: spine.Labels(), Probabilities: []float64{0.9, 0.05, 0.05}, Label: spine.Normal,
			Heatmap: &spine.Heatmap{Width: 1, Height: 2, Values: []float32{0.25, 1e-7}, Max: 0.25},
		}},
		Captured: at, Received: at, Finished: at.Add(time.Second),
	}
}

func sighting(img *spine.Image) spine.Sighting {
	return spine.Sighting{Source: img.Source, Name: img.Name, Size: img.Size, ModTime: img.Captured, Inode: 7, Digest: img.Digest}
}

func resultID(img *spine.Image) string { return fmt.Sprintf("result-%.8s-%d", img.Digest, img.Attempt) }

// message stands in for a real one; the ledger does not look into it.
func message(img *spine.Image) func(uint64) ([]byte, string, error) {
	return func(sequence uint64) ([]byte, string, error) {
		return fmt.Appendf(nil, "message <%d>\nof %.8s", sequence, img.Digest), resultID(img), nil
	}
}

func commit(t *testing.T, l *Ledger, img *spine.Image) {
	t.Helper()
	if err := l.Commit(img, sighting(img), message(img)); err != nil {
		t.Fatal(err)
	}
}

func pending(t *testing.T, l *Ledger) []string {
	t.Helper()
	entries, err := l.Pending(0, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != l.Outbox() {
		t.Errorf("the outbox counts %d, but holds %d", l.Outbox(), len(entries))
	}
	ids := []string{}
	for _, e := range entries {
		ids = append(ids, fmt.Sprint(e.Sequence, " ", e.Result))
	}
	return ids
}

func expect[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestCommitSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	queued := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	l := open(t, dir, Options{Now: func() time.Time { return queued }})
	a, b := image("a"), image("b")
	b.Decision = spine.Decision{Outcome: spine.Refused, Code: spine.NotXray}
	commit(t, l, a)
	commit(t, l, b)
	select {
	case <-l.Changed():
	default:
		t.Error("two commits, but nothing on Changed")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	l = open(t, dir, Options{})
	for want, img := range map[uint64]*spine.Image{1: a, 2: b} {
		got, err := l.Image(img.Digest)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "image", img, got)
		expect(t, "sequence", want, got.Sequence)
		seen, ok, err := l.Sighting("room", img.Name)
		if err != nil || !ok || seen != sighting(img) {
			t.Errorf("sighting of %s: %v %v %v", img.Name, seen, ok, err)
		}
	}
	expect(t, "outbox", []string{"1 " + resultID(a), "2 " + resultID(b)}, pending(t, l))
	entries, err := l.Pending(1, 10)
	if err != nil || len(entries) != 1 {
		t.Fatalf("after 1: %v, %v", entries, err)
	}
	want, _, _ := message(b)(2)
	expect(t, "message", string(want), string(entries[0].Message))
	if !entries[0].Queued.Equal(queued) {
		t.Errorf("queued at %s, want %s", entries[0].Queued, queued)
	}
	expect(t, "counters", spine.Counters{Classified: 1, Refused: 1}, l.Counters())
	recent, err := l.Recent(1)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "recent", []*spine.Image{b}, recent)
	if _, err := l.Image(hash("c")); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown image: %v", err)
	}
}

func TestOneResultForEachAttempt(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	img := image("a")
	commit(t, l, img)
	again := image("a")
	if err := l.Commit(again, sighting(again), message(again)); !errors.Is(err, spine.ErrKnown) {
		t.Errorf("a second result: %v", err)
	}
	expect(t, "sequence of the second", 0, again.Sequence)

	again.Attempt = 2
	again.Decision.Label = spine.Scoliosis
	if err := l.Commit(again, spine.Sighting{}, message(again)); err != nil {
		t.Fatal(err)
	}
	expect(t, "outbox", []string{"2 " + resultID(again)}, pending(t, l))
	recent, err := l.Recent(10)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "recent", []*spine.Image{again}, recent)
	if err := l.Commit(img, sighting(img), message(img)); !errors.Is(err, spine.ErrKnown) {
		t.Errorf("an earlier attempt: %v", err)
	}
	if n, err := l.Delivered(resultID(img)); n != 0 || err != nil {
		t.Errorf("receipt for the superseded result: %d, %v", n, err)
	}
}

func TestCommitWritesAllOrNothing(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	img := image("a")
	broken := errors.New("no message")
	err := l.Commit(img, sighting(img), func(uint64) ([]byte, string, error) { return nil, "", broken })
	if !errors.Is(err, broken) {
		t.Errorf("broken message: %v", err)
	}
	large := image("a")
	large.Name = strings.Repeat("x", maxRecord)
	if err := l.Commit(large, spine.Sighting{}, message(large)); err == nil {
		t.Error("a record over the limit was written")
	}
	nan := image("a")
	nan.Readings[0].Heatmap.Max = float32(math.NaN())
	if err := l.Commit(nan, sighting(nan), message(nan)); err == nil {
		t.Error("a record that cannot be encoded was written")
	}
	bad := image("a")
	bad.Digest = "a"
	if err := l.Commit(bad, sighting(bad), message(bad)); err == nil {
		t.Error("a digest that is none was written")
	}
	if _, err := l.Image(img.Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("after four errors: %v", err)
	}
	expect(t, "outbox", []string{}, pending(t, l))
	commit(t, l, img)
	expect(t, "sequence after errors", 1, img.Sequence)
}

func TestConflict(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	// A truncated file, then an unsupported one, then the instance itself:
	// only the last one is judged, and only it holds the UID.
	for i, code := range []spine.Code{spine.Corrupt, spine.Unsupported, "", spine.Conflict} {
		img := image(fmt.Sprint(i))
		img.SOPInstanceUID = "1.2.3"
		img.Decision = spine.Decision{Outcome: code.Outcome(), Code: code}
		commit(t, l, img)
	}
	holder, err := l.BySOP("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "holder", hash("2"), holder)
	other := image("other")
	other.SOPInstanceUID = "1.2.3"
	if err := l.Commit(other, sighting(other), message(other)); !errors.Is(err, spine.ErrConflict) {
		t.Errorf("other bytes under the same UID: %v", err)
	}
	again := image("2")
	again.SOPInstanceUID, again.Attempt = "1.2.3", 2
	commit(t, l, again)
	if _, err := l.BySOP("1.2.4"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown UID: %v", err)
	}
}

func TestDuplicatesCountOnceForEachFile(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	img := image("a")
	commit(t, l, img)
	again := sighting(img)
	again.Inode = 99 // a remount
	other := sighting(img)
	other.Name = "copy.png"
	for i, c := range []struct {
		seen spine.Sighting
		want bool
	}{{again, false}, {other, true}, {other, false}} {
		counted, err := l.Duplicate(c.seen)
		if err != nil || counted != c.want {
			t.Errorf("duplicate %d: counted is %t, %v", i, counted, err)
		}
	}
	l.Close()
	l = open(t, dir, Options{})
	if counted, err := l.Duplicate(other); counted || err != nil {
		t.Errorf("after a restart: counted is %t, %v", counted, err)
	}
	expect(t, "counters", spine.Counters{Classified: 1, Duplicates: 1}, l.Counters())
	seen, _, err := l.Sighting("room", img.Name)
	if err != nil || !seen.Unchanged(again) {
		t.Errorf("sighting is %v, %v", seen, err)
	}
	other.Digest = hash("unknown")
	if _, err := l.Duplicate(other); !errors.Is(err, ErrNotFound) {
		t.Errorf("duplicate of an unknown image: %v", err)
	}
}

func TestForget(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	img := image("a")
	commit(t, l, img)
	const files = 1200 // more than one batch
	for i := range files {
		seen := sighting(img)
		seen.Name = fmt.Sprintf("%04d.png", i)
		if i%2 == 1 {
			seen.Source = "room-2" // a name that begins like the other
		}
		if err := sightOnly(l, seen); err != nil {
			t.Fatal(err)
		}
	}
	n, err := l.Forget("room", func(name string) bool { return name == "0002.png" })
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "forgotten", files/2, n) // half of them, less one, and a.png
	for name, want := range map[string]bool{"0002.png": true, "0004.png": false} {
		if _, ok, err := l.Sighting("room", name); ok != want || err != nil {
			t.Errorf("%s is there: %t, %v", name, ok, err)
		}
	}
	if _, ok, err := l.Sighting("room-2", "0001.png"); !ok || err != nil {
		t.Errorf("the other share's sighting is there: %t, %v", ok, err)
	}
	sources, err := l.Sources()
	if err != nil || !slices.Equal(sources, []string{"room", "room-2"}) {
		t.Errorf("the shares are %q, %v", sources, err)
	}
	if _, err := l.Forget("room", func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if sources, err = l.Sources(); err != nil || !slices.Equal(sources, []string{"room-2"}) {
		t.Errorf("the shares are %q, %v", sources, err)
	}
}

// sightOnly saves a thousand commits' worth of fsync in a test.
func sightOnly(l *Ledger, seen spine.Sighting) error {
	txn := l.db.NewTransaction(true)
	defer txn.Discard()
	if err := sight(txn, seen); err != nil {
		return err
	}
	return txn.Commit()
}

func TestDelivered(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	a, b := image("a"), image("b")
	commit(t, l, a)
	commit(t, l, b)
	for _, want := range []int{1, 0} {
		if n, err := l.Delivered(resultID(a), "unknown"); n != want || err != nil {
			t.Errorf("%d were delivered, %v", n, err)
		}
	}
	expect(t, "outbox", []string{"2 " + resultID(b)}, pending(t, l))
	if _, err := l.Image(a.Digest); err != nil {
		t.Errorf("a delivered image: %v", err)
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second ledger: %v", err)
	}
}

func TestRecordOfAnotherVersion(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	txn := l.db.NewTransaction(true)
	defer txn.Discard()
	for _, key := range [][]byte{imageKey(hash("a")), outboxKey(1)} {
		if err := txn.Set(key, []byte(`{"v":3,"data":{}}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := txn.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Image(hash("a")); err == nil || !strings.Contains(err.Error(), "version is 3") {
		t.Errorf("a record of version 3: %v", err)
	}
	b := image("b")
	b.Sequence = 2
	txn = l.db.NewTransaction(true)
	defer txn.Discard()
	if _, err := putEntry(txn, wire.Outgoing{Sequence: 2, Result: resultID(b)}); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(); err != nil {
		t.Fatal(err)
	}
	entries, err := l.Pending(0, 10)
	if err != nil || len(entries) != 1 || entries[0].Result != resultID(b) {
		t.Errorf("behind an entry of version 3: %v, %v", entries, err)
	}
}
