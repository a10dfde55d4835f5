package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/sync/ledger"
	"spinebox/sync/wire"
)

// Every outcome, once through the real ledger, which is then opened anew.
func TestEveryOutcomeIsLasting(t *testing.T) {
	b := newBench(t, testJudge(func(path string) (*spine.Picture, error) {
		p, err := xray(path)
		p.Facts.SOPInstanceUID = "1.2.3"
		return p, err
	}, func(context.Context, *spine.Picture) (*spine.Reading, error) { return reading(0.9, 1), nil }))
	dir := filepath.Join(b.dir, "ledger")
	open := func() *ledger.Ledger {
		l, err := ledger.Open(dir, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b.Ledger = l
		return l
	}
	l := open()
	first := b.drop(t, "a.dcm", "one")
	second := b.drop(t, "b.dcm", "two") // the same SOPInstanceUID
	third := b.drop(t, "c.dcm", "thr")
	third.Whole = false
	for _, c := range []Claim{first, second, third, b.drop(t, "d.dcm", "one")} {
		if tries := b.offer(t, c); tries != 1 {
			t.Errorf("%s took %d tries", c.Name, tries)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	l = open()
	defer l.Close()
	if n := l.Counters(); n != (spine.Counters{Classified: 1, Refused: 1, Failed: 1, Duplicates: 1}) {
		t.Errorf("the counters are %+v", n)
	}
	for digest, want := range map[string]spine.Code{first.Digest: "", second.Digest: spine.Conflict, third.Digest: spine.Corrupt} {
		img, err := l.Image(digest)
		if err != nil || img.Decision.Code != want {
			t.Errorf("image %.8s is %+v (%v), want %q", digest, img, err, want)
		}
	}
	pending, err := l.Pending(0, 10)
	if err != nil || len(pending) != 3 {
		t.Fatalf("%d messages wait (%v)", len(pending), err)
	}
	for i, p := range pending {
		result, err := wire.ParseResult(p.Message)
		if err != nil || result.ID != p.Result || result.Sequence != uint64(i+1) {
			t.Errorf("message %d is %+v (%v)", i, result, err)
		}
		if text := string(p.Message); strings.Contains(text, ".dcm") || strings.Contains(text, "1.2.3") {
			t.Errorf("message %d names a file or an instance", i)
		}
	}

	// After a crash between the commit and the end, the claim comes again.
	again := b.drop(t, "a.dcm", "one")
	if err := b.Handle(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if n := l.Counters(); n.Duplicates != 1 {
		t.Errorf("the same file counts as its own duplicate: %+v", n)
	}
}

// While the disk is full nothing is taken in, and nothing is lost.
func TestAFullDiskHoldsTheClaimBack(t *testing.T) {
	b := newBench(t, testJudge(xray, sure))
	l, err := ledger.Open(filepath.Join(b.dir, "ledger"), ledger.Options{Reserve: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	b.Ledger = l
	c := b.drop(t, "a.dcm", "one")
	if err := b.Handle(t.Context(), c); !errors.Is(err, ledger.ErrDiskFull) {
		t.Fatalf("on a full disk: %v", err)
	}
	if len(b.witness.answered) != 0 || b.witness.taken != b.witness.done {
		t.Errorf("the room saw %+v", b.witness)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = ledger.Open(filepath.Join(b.dir, "ledger"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.Ledger = l
	if err := b.Handle(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if img, err := l.Image(c.Digest); err != nil || img.Decision.Outcome != spine.Classified {
		t.Errorf("with space again: %s", fmt.Sprint(img, err))
	}
}
