package pipeline

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

// notes counts a note with n deaths for the digest, as earlier processes would
// have left it, and opens the pipeline anew.
func (b *bench) died(t *testing.T, digest string, n int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "notes", digest), bytes.Repeat([]byte{'.'}, n), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New(b.Options)
	if err != nil {
		t.Fatal(err)
	}
	b.Pipeline = p
}

func (b *bench) noted(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, "notes"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// An image on which two processes have died is not read a third time: it fails,
// and its file is kept.
func TestAnImageThatKillsTheProcessIsGivenUp(t *testing.T) {
	for deaths := range 4 {
		reads := 0
		var b *bench
		b = newBench(t, testJudge(xray, func(context.Context, *spine.Picture) (*spine.Reading, error) {
			if reads++; b.noted(t) != 1 {
				t.Errorf("while the network reads, %d notes lie on the disk", b.noted(t))
			}
			return reading(0.9, 1), nil
		}))
		c := b.drop(t, "a.dcm", "an X-ray")
		b.died(t, c.Digest, deaths)
		b.offer(t, c)
		img := b.books.images[c.Digest]
		if deaths < 2 {
			if reads != 1 || img.Decision.Outcome != spine.Classified {
				t.Errorf("after %d deaths it was read %d times and ended as %+v", deaths, reads, img.Decision)
			}
		} else {
			if reads != 0 || img.Decision.Code != spine.Internal {
				t.Errorf("after %d deaths it was read %d times and ended as %+v", deaths, reads, img.Decision)
			}
			b.quarantined(t, c.Digest)
		}
		if b.noted(t) != 0 {
			t.Errorf("after %d deaths and a result, a note is left", deaths)
		}
	}
}

// Two images were read when a process died. The next process reads each of them
// alone, so that at its next death it knows who did it.
func TestWhoWasReadWhenTheProcessDiedIsReadAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &holds{end: make(chan struct{})}
		b := newBench(t, testJudge(xray, network.read))
		one, other, later := b.drop(t, "a.dcm", "one"), b.drop(t, "b.dcm", "other"), b.drop(t, "c.dcm", "later")
		b.died(t, one.Digest, 1)
		b.died(t, other.Digest, 1)
		ended := make(chan error)
		for _, c := range []Claim{one, other, later} {
			go func() { ended <- b.Handle(t.Context(), c) }()
			synctest.Wait()
		}
		for i := range 3 {
			if n, notes := network.inside.Load(), b.noted(t); n != 1 || notes != max(2-i, 1) {
				t.Errorf("after %d images: %d are read, %d notes", i, n, notes)
			}
			network.end <- struct{}{}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if b.noted(t) != 0 {
			t.Error("a note is left")
		}
	})
}

// Deaths add up over processes: each leaves one byte more.
func TestDeathsAddUp(t *testing.T) {
	dir, digest := t.TempDir(), "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for want := range 3 {
		d, err := openDeaths(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.of(digest); got != want {
			t.Errorf("process %d knows of %d deaths", want, got)
		}
		for range 2 { // the same bytes from two shares are one reading
			if err := d.begin(digest); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Another judge answers from the next image on. The one in hand is finished by
// the former, who is released only then.
func TestAJudgeIsReplacedBetweenTwoImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		go1, released := make(chan struct{}), false
		b := newBench(t, testJudge(xray, func(context.Context, *spine.Picture) (*spine.Reading, error) {
			<-go1
			if released {
				t.Error("the former judge was released while he reads")
			}
			return reading(0.9, 1), nil
		}))
		done := make(chan error)
		first, second := b.drop(t, "a.dcm", "one"), b.drop(t, "b.dcm", "two")
		go func() { done <- b.Handle(t.Context(), first) }()
		synctest.Wait()
		other := wire.DecisionDigest(map[string]float64{"confidence": 0.9}, nil)
		b.Replace(testJudge(xray, func(context.Context, *spine.Picture) (*spine.Reading, error) {
			return reading(0.7, 1), nil
		}), other, func() { released = true })
		b.offer(t, second)
		close(go1)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !released {
			t.Error("the former judge is never released")
		}
		one, two := b.books.images[first.Digest], b.books.images[second.Digest]
		if one.Readings[0].Probability() != 0.9 || two.Readings[0].Probability() != 0.7 {
			t.Errorf("the answers are %v and %v", one.Readings, two.Readings)
		}
		if b.books.messages[0].Decision != other || b.books.messages[1].Decision == other {
			t.Error("the decision digest is not that of who decided")
		}
	})
}
