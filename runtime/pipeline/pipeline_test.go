package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

// books is a ledger in memory that fails as it is told to.
type books struct {
	mu         sync.Mutex
	images     map[string]spine.Image
	messages   []wire.Result
	duplicates map[string]bool
	fail       func(step string) error // nil: nothing fails
}

func newBooks() *books {
	return &books{images: map[string]spine.Image{}, duplicates: map[string]bool{}}
}

func (b *books) failing(step string) error {
	if b.fail == nil {
		return nil
	}
	return b.fail(step)
}

func (b *books) Answered(digest string) (int, spine.Outcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	img := b.images[digest]
	return img.Attempt, img.Decision.Outcome, b.failing("known")
}

func (b *books) Duplicate(seen spine.Sighting) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.failing("duplicate"); err != nil {
		return false, err
	}
	first := b.images[seen.Digest]
	if first.Name == seen.Name || b.duplicates[seen.Name] {
		return false, nil
	}
	b.duplicates[seen.Name] = true
	return true, nil
}

func (b *books) Commit(img *spine.Image, seen spine.Sighting, message func(uint64) ([]byte, string, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.failing("commit"); err != nil {
		return err
	}
	if old, known := b.images[img.Digest]; known && old.Attempt >= img.Attempt {
		return fmt.Errorf("%.8s: %w", img.Digest, spine.ErrKnown)
	}
	for _, other := range b.images {
		if img.SOPInstanceUID != "" && other.SOPInstanceUID == img.SOPInstanceUID && img.Decision.Code != spine.Conflict {
			return fmt.Errorf("%.8s: %w", img.Digest, spine.ErrConflict)
		}
	}
	img.Sequence = uint64(len(b.messages) + 1)
	raw, _, err := message(img.Sequence)
	if err == nil {
		err = b.failing("written")
	}
	if err != nil {
		img.Sequence = 0
		return err
	}
	result, err := wire.ParseResult(raw)
	if err != nil {
		return err
	}
	b.images[img.Digest] = *img
	b.messages = append(b.messages, result)
	return nil
}

// witness notes what an observer is told.
type witness struct {
	taken, done int
	most        int // images in hand when another one was done
	answered    []spine.Image
	repeated    []string
}

func (w *witness) Taken()                                      { w.taken++ }
func (w *witness) Answered(img *spine.Image, _ *spine.Picture) { w.answered = append(w.answered, *img) }
func (w *witness) Repeated(digest string, _ time.Time)         { w.repeated = append(w.repeated, digest) }
func (w *witness) Done(left int) {
	w.done++
	w.most = max(w.most, left)
}

// bench is a pipeline on a folder of its own.
type bench struct {
	*Pipeline
	dir     string
	books   *books
	witness *witness
}

func newBench(t *testing.T, judge *Judge) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), books: newBooks(), witness: new(witness)}
	p, err := New(Options{
		Judge: judge, Ledger: b.books, Origin: wire.Origin{Site: "site", Device: "box", Key: wire.SiteKey{1}},
		Thresholds: wire.DecisionDigest(map[string]float64{"confidence": 0.6}, nil),
		Quarantine: filepath.Join(b.dir, "quarantine"), Notes: filepath.Join(b.dir, "notes"), Observer: b.witness,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Pipeline = p
	return b
}

// drop puts a file into the spool as the share would.
func (b *bench) drop(t *testing.T, name, content string) Claim {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	c := Claim{
		Source: "scanner", Name: name, Digest: hex.EncodeToString(sum[:]), Size: int64(len(content)),
		ModTime: time.Now().Add(-time.Second), Inode: 7, Whole: true, Received: time.Now(),
	}
	c.Path = filepath.Join(b.dir, c.Digest)
	if err := os.WriteFile(c.Path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// offer hands the claim over as the share does: again and again until it is
// settled, and then removes the copy.
func (b *bench) offer(t *testing.T, c Claim) (tries int) {
	t.Helper()
	for tries = 1; ; tries++ {
		err := b.Handle(t.Context(), c)
		if err == nil {
			break
		}
		if tries == 100 {
			t.Fatalf("the claim is not settled after %d tries: %v", tries, err)
		}
	}
	if err := os.Remove(c.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return tries
}

func (b *bench) quarantined(t *testing.T, digest string) (file Quarantined, content string) {
	t.Helper()
	file, err := b.Quarantine().Get(digest)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(b.dir, "quarantine", digest, "original"))
	if err != nil {
		t.Fatal(err)
	}
	return file, string(kept)
}

func TestAnImageIsAnsweredSentAndShown(t *testing.T) {
	b := newBench(t, testJudge(xray, sure))
	c := b.drop(t, "a.dcm", "an X-ray")
	b.offer(t, c)
	img := b.books.images[c.Digest]
	if img.Decision.Label != spine.Scoliosis || img.Width != 200 || img.Timings.Infer != 20 || img.Timings.Total <= 0 {
		t.Errorf("the record is %+v", img)
	}
	if len(b.books.messages) != 1 || b.books.messages[0].Label != spine.Scoliosis {
		t.Errorf("sent were %+v", b.books.messages)
	}
	if len(b.witness.answered) != 1 || b.witness.answered[0].Sequence != 1 || b.witness.taken != 1 || b.witness.done != 1 {
		t.Errorf("the room saw %+v", b.witness)
	}
	if n, err := b.Quarantine().Count(); n != 0 || err != nil {
		t.Errorf("%d files are in quarantine (%v)", n, err)
	}
}

func TestTheSameBytesAgainAreADuplicate(t *testing.T) {
	b := newBench(t, testJudge(xray, sure))
	b.offer(t, b.drop(t, "a.dcm", "an X-ray"))
	b.offer(t, b.drop(t, "b.dcm", "an X-ray"))
	if len(b.books.messages) != 1 || len(b.books.duplicates) != 1 || len(b.witness.answered) != 1 {
		t.Errorf("%d results, %d duplicates", len(b.books.messages), len(b.books.duplicates))
	}
	if len(b.witness.repeated) != 1 {
		t.Errorf("the room hears of %d repetitions", len(b.witness.repeated))
	}
	if b.witness.taken != b.witness.done {
		t.Error("the box still shows itself busy")
	}
}

func TestAFileThatStaysIncompleteIsCorruptAndNeverDecoded(t *testing.T) {
	b := newBench(t, testJudge(func(string) (*spine.Picture, error) {
		t.Error("an incomplete file was decoded")
		return nil, nil
	}, sure))
	c := b.drop(t, "Müller.dcm", "half an X-")
	c.Whole = false
	b.offer(t, c)
	if code := b.books.images[c.Digest].Decision.Code; code != spine.Corrupt {
		t.Errorf("it ended as %q", code)
	}
	file, content := b.quarantined(t, c.Digest)
	note := file.Last()
	if content != "half an X-" || note.Code != spine.Corrupt || file.Name != "Müller.dcm" || note.Stage != spine.Intake || file.Whole || note.Sentence != spine.Corrupt.Sentence() {
		t.Errorf("quarantine holds %q with %+v", content, note)
	}
}

func TestAnotherImageWithTheSameIdentifierIsAConflict(t *testing.T) {
	b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
		p, err := xray(path)
		p.Facts.SOPInstanceUID = "1.2.3"
		return p, err
	}, sure))
	b.offer(t, b.drop(t, "a.dcm", "one"))
	second := b.drop(t, "b.dcm", "two")
	b.offer(t, second)
	img := b.books.images[second.Digest]
	if img.Decision.Outcome != spine.Refused || img.Decision.Code != spine.Conflict || img.Decision.Label != "" || len(img.Readings) != 0 {
		t.Errorf("the second image got %+v", img)
	}
	if one, two := b.books.messages[0].Image, b.books.messages[1].Image; one == two {
		t.Error("the conflict would take the first image's place at the hub")
	}
}

func TestAResultThatCannotBeSentIsAFailureOfItsOwnImage(t *testing.T) {
	b := newBench(t, testJudge(xray, func(context.Context, *spine.Picture) (*spine.Reading, error) {
		r := reading(0.9, 1)
		r.Label = "kyphosis" // the hub knows no such class
		return r, nil
	}))
	c := b.drop(t, "a.dcm", "an X-ray")
	if tries := b.offer(t, c); tries != 1 {
		t.Errorf("it held up the others for %d tries", tries)
	}
	img := b.books.images[c.Digest]
	if img.Decision.Code != spine.Internal || len(b.books.messages) != 1 {
		t.Errorf("it ended as %+v with %d messages", img.Decision, len(b.books.messages))
	}
	b.quarantined(t, c.Digest)
}

// A failure without its file could never be tried again: the share takes the
// file anew instead.
func TestACopyThatVanishedIsNoFailure(t *testing.T) {
	b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
		_, err := os.ReadFile(path)
		return nil, err
	}, sure))
	c := b.drop(t, "a.dcm", "an X-ray")
	if err := os.Remove(c.Path); err != nil {
		t.Fatal(err)
	}
	if err := b.Handle(t.Context(), c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("handled with %v", err)
	}
	if n, err := b.Quarantine().Count(); n != 0 || err != nil || len(b.books.images) != 0 {
		t.Errorf("%d files in quarantine (%v), %d results", n, err, len(b.books.images))
	}
}

// Without a decoder every X-ray would end as a failure of its own.
func TestABoxThatCannotWorkLetsImagesWait(t *testing.T) {
	broken := true
	b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
		if broken {
			return nil, fmt.Errorf("decode picture: %w: no decoder", spine.ErrBox)
		}
		return xray(path)
	}, sure))
	c := b.drop(t, "a.dcm", "an X-ray")
	for range 3 {
		if err := b.Handle(t.Context(), c); !errors.Is(err, spine.ErrBox) {
			t.Errorf("handled with %v", err)
		}
	}
	if n, err := b.Quarantine().Count(); n != 0 || err != nil || len(b.books.images) != 0 {
		t.Errorf("%d files in quarantine (%v), %d results", n, err, len(b.books.images))
	}
	broken = false
	if tries := b.offer(t, c); tries != 1 || b.books.images[c.Digest].Decision.Label != spine.Scoliosis {
		t.Errorf("with the decoder back: %d tries, %+v", tries, b.books.images[c.Digest].Decision)
	}
}

func TestARetryThatSucceedsEmptiesTheQuarantine(t *testing.T) {
	calls := 0
	b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
		if calls++; calls == 1 {
			return nil, errors.New("a passing weakness")
		}
		return xray(path)
	}, sure))
	commits := 0
	b.books.fail = func(step string) error {
		if step == "written" {
			if commits++; commits == 1 {
				return errors.New("the power went")
			}
		}
		return nil
	}
	c := b.drop(t, "a.dcm", "an X-ray")
	if tries := b.offer(t, c); tries != 2 {
		t.Errorf("it took %d tries", tries)
	}
	if n, _ := b.Quarantine().Count(); n != 0 || b.books.images[c.Digest].Decision.Outcome != spine.Classified {
		t.Errorf("%d files are in quarantine; the image ended as %+v", n, b.books.images[c.Digest].Decision)
	}
}

// Whatever fails, in whatever order, each image ends with exactly one result,
// and its file is in quarantine if and only if it failed.
func TestWhateverFailsEveryImageHasExactlyOneResult(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	oneIn := func(n int) bool { return random.IntN(n) == 0 }

	b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
		switch p, err := xray(path); {
		case oneIn(8):
			return nil, spine.Faultf(spine.Corrupt, "damaged")
		case oneIn(8):
			panic("a decoder's panic")
		case oneIn(8):
			p.Facts.Hues = 1
			return p, err
		case oneIn(2):
			p.Facts.SOPInstanceUID = fmt.Sprintf("1.2.%d", 1+random.IntN(20))
			return p, err
		default:
			return p, err
		}
	}, func(context.Context, *spine.Picture) (*spine.Reading, error) {
		switch {
		case oneIn(8):
			return nil, errors.New("out of memory")
		case oneIn(8):
			panic("a network's panic")
		case oneIn(8):
			return reading(math.NaN(), 1), nil
		case oneIn(8):
			r := reading(0.9, 1)
			r.Heatmap.Values[0] = float32(math.NaN())
			return r, nil
		case oneIn(8):
			r := reading(0.9, 1)
			r.Label = "kyphosis"
			return r, nil
		}
		return reading(0.5+random.Float64()/2, float32(random.IntN(4))), nil
	}))
	b.books.fail = func(string) error {
		if oneIn(6) {
			return errors.New("the disk is full")
		}
		return nil
	}
	var digests []string
	for i := range 300 {
		content := fmt.Sprintf("X-ray %d", i)
		if i > 0 && oneIn(10) {
			content = fmt.Sprintf("X-ray %d", random.IntN(i))
		}
		c := b.drop(t, fmt.Sprintf("%d.dcm", i), content)
		c.Whole = !oneIn(10)
		b.offer(t, c)
		digests = append(digests, c.Digest)
	}
	slices.Sort(digests)
	digests = slices.Compact(digests)
	if len(b.books.messages) != len(digests) || len(b.witness.answered) != len(digests) {
		t.Errorf("%d images got %d results, %d were shown", len(digests), len(b.books.messages), len(b.witness.answered))
	}
	failed := 0
	for _, d := range digests {
		img, known := b.books.images[d]
		if !known {
			t.Fatalf("image %.8s has no result", d)
		}
		if img.Decision.Outcome == spine.Failed {
			failed++
			b.quarantined(t, d)
		}
	}
	if n, err := b.Quarantine().Count(); n != failed || err != nil {
		t.Errorf("%d images failed, %d are in quarantine (%v)", failed, n, err)
	}
	if b.witness.taken != b.witness.done {
		t.Errorf("taken %d times, done %d times", b.witness.taken, b.witness.done)
	}
}

// The same bytes come from two shares at once, and are judged differently: one
// result, one duplicate, and the quarantine agrees with the result.
func TestTheSameBytesFromTwoSharesAtOnce(t *testing.T) {
	for _, firstFails := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			judged := 0
			b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
				judged++
				if time.Sleep(time.Second); (judged == 1) == firstFails { // of the bubble's clock
					return nil, errors.New("a passing weakness")
				}
				return xray(path)
			}, sure))
			one, two := b.drop(t, "a.dcm", "an X-ray"), b.drop(t, "b.dcm", "an X-ray")
			two.Source = "other"
			var handling sync.WaitGroup
			for _, c := range []Claim{one, two} {
				handling.Go(func() {
					if err := b.Handle(t.Context(), c); err != nil {
						t.Error(err)
					}
				})
			}
			handling.Wait()
			if judged != 2 || len(b.books.messages) != 1 || len(b.books.duplicates) != 1 || len(b.witness.answered) != 1 {
				t.Fatalf("%d were judged; %d results, %d duplicates, %d shown", judged, len(b.books.messages), len(b.books.duplicates), len(b.witness.answered))
			}
			failed := 0
			if b.books.images[one.Digest].Decision.Outcome == spine.Failed {
				failed = 1
			}
			if n, err := b.Quarantine().Count(); n != failed || err != nil {
				t.Errorf("%d results failed, %d files are in quarantine (%v)", failed, n, err)
			}
			if b.witness.taken != 2 || b.witness.done != 2 || b.witness.most != 1 || b.hand != 0 {
				t.Errorf("the room saw %+v", b.witness)
			}
		})
	}
}
