// Package pipeline takes one image from the spool to its one lasting result:
//
//	claim → known? → decode → gate → network → decision
//	      → (failed: quarantine) → one ledger transaction → shown
//
// The ledger's transaction is the only truth. Everything before it may be
// repeated after a crash and everything after it may be left out: the share
// keeps a claim in its spool until Handle has returned nil, and offers it again.
//
// Most callers need two calls: NewJudge, whose Judge answers for one file
// without leaving a trace, and New, whose Handle settles the share's claims.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

// Claim is one file that the box has as a private copy.
type Claim struct {
	Source   string    // the share's name in the configuration
	Name     string    // the file's name beneath the share, bytes as found: never logged
	Path     string    // the copy
	Digest   string    // SHA-256 of its bytes, hex
	Size     int64     // bytes
	ModTime  time.Time // on the share
	Inode    uint64    // on the share
	Whole    bool      // false: the share's patience ended before the content was whole
	Received time.Time // when the copy was on disk
}

// origin is where a claim's copy lies.
type origin int

const (
	fromShare      origin = iota // in the spool, since it is on a share
	fromQuarantine               // where it is since it failed
)

func (c Claim) sighting() spine.Sighting {
	return spine.Sighting{Source: c.Source, Name: c.Name, Size: c.Size, ModTime: c.ModTime, Inode: c.Inode, Digest: c.Digest}
}

// Ledger is where results become lasting.
type Ledger interface {
	// Answered returns the attempt and the outcome of the image's current
	// result; attempt 0 for an image that has none.
	Answered(digest string) (attempt int, outcome spine.Outcome, err error)

	// Duplicate notes that a file holds the bytes of a known image, and
	// reports whether that was news.
	Duplicate(seen spine.Sighting) (counted bool, err error)

	// Commit MUST write the image, the message that goes out for it and the
	// sighting together or not at all, and be on disk when it returns nil.
	// It sets img.Sequence before it calls message, whose error it returns. An
	// image that has its result is spine.ErrKnown, one whose SOPInstanceUID
	// belongs to another spine.ErrConflict.
	Commit(img *spine.Image, seen spine.Sighting, message func(sequence uint64) (message []byte, resultID string, err error)) error
}

// Observer is told what becomes of images. Its methods MUST NOT block: the
// next image waits for them. They are called one at a time, though several
// images may be in hand: each Taken is followed by its Done.
type Observer interface {
	// Taken says that one more image is in hand.
	Taken()
	// Answered says that an image has its lasting result. The picture is nil
	// when the file could not be decoded.
	Answered(img *spine.Image, picture *spine.Picture)
	// Repeated says that a file held the bytes of an image that has its result.
	Repeated(digest string, at time.Time)
	// Done says that an image is not in hand any more, whatever became of it,
	// and how many still are.
	Done(left int)
}

// Options are what a pipeline is made of. All are required.
type Options struct {
	Judge      *Judge
	Ledger     Ledger
	Origin     wire.Origin // in whose name results are sent
	Thresholds string      // wire.DecisionDigest of the thresholds and readers
	Quarantine string      // folder for files that failed, on the spool's file system
	Notes      string      // folder for notes of what the network reads
	Observer   Observer
	Log        *slog.Logger
	Now        func() time.Time
}

// Pipeline settles claims.
type Pipeline struct {
	Options
	quarantine Quarantine
	deaths     *deaths

	switching sync.Mutex // guards present
	present   *seat

	settling sync.Mutex // one image at a time goes to quarantine and ledger

	observing sync.Mutex // guards hand, and calls of the observer
	hand      int        // images in hand
}

// seat is who answers: a judge with the digest of what he decides by.
type seat struct {
	judge      *Judge
	thresholds string
	images     sync.WaitGroup // in his hands
}

// New returns a pipeline. It makes the quarantine folder, which nobody but the
// service's own user may enter: it holds X-rays and their files' names.
func New(o Options) (*Pipeline, error) {
	q, err := OpenQuarantine(o.Quarantine)
	if err != nil {
		return nil, err
	}
	d, err := openDeaths(o.Notes)
	if err != nil {
		return nil, err
	}
	return &Pipeline{Options: o, quarantine: q, deaths: d, present: &seat{judge: o.Judge, thresholds: o.Thresholds}}, nil
}

// Replace lets another judge answer from the next image on. Images in hand are
// finished by the present one, beside those of the other, even one that is read
// alone; released is called when he has none left, and then only may his network be
// closed.
func (p *Pipeline) Replace(judge *Judge, thresholds string, released func()) {
	p.switching.Lock()
	former := p.present
	p.present = &seat{judge: judge, thresholds: thresholds}
	p.switching.Unlock()
	go func() {
		former.images.Wait()
		released()
	}()
}

// take returns the seat for one image, which tells it when it is done.
func (p *Pipeline) take() *seat {
	p.switching.Lock()
	defer p.switching.Unlock()
	p.present.images.Add(1)
	return p.present
}

// Quarantine returns where the files that failed are kept.
func (p *Pipeline) Quarantine() Quarantine { return p.quarantine }

// Handle settles one claim. It returns nil once the image has its result, be
// it an answer, a refusal or a failure, or turned out to be a duplicate; the
// caller then removes the copy. An error means that the box, not the image, is
// in trouble: nothing was committed, and the claim is to be offered again.
//
// It may be called for several claims at once: one is decoded while others are
// read by the network. When ctx ends, images that the judge has begun are
// finished all the same, within its limit; one that waits for the network is
// left for another time, with the error of ctx.
func (p *Pipeline) Handle(ctx context.Context, c Claim) error {
	last, _, err := p.Ledger.Answered(c.Digest)
	if err != nil {
		return fmt.Errorf("look up image %.12s: %w", c.Digest, err)
	}
	p.taken()
	defer p.done()
	if last > 0 {
		p.deaths.forget(c.Digest)
		return p.duplicate(c)
	}
	// After a ledger was lost, the quarantine still knows how often the hub has
	// been told: what comes now supersedes it, there as here.
	if file, err := p.quarantine.Get(c.Digest); err == nil {
		last = file.Last().Attempt
	}
	if err := p.answer(ctx, c, last+1, fromShare); !errors.Is(err, spine.ErrKnown) {
		return err
	}
	return p.duplicate(c)
}

// answer judges an image and settles it. It returns spine.ErrKnown when the image
// has its result of this attempt already.
func (p *Pipeline) answer(ctx context.Context, c Claim, attempt int, from origin) error {
	seat := p.take()
	defer seat.images.Done()
	began := c.Received
	if from == fromQuarantine {
		began = p.Now()
	}
	verdict, err := p.verdict(ctx, seat.judge, c)
	if err != nil {
		return err
	}
	if from == fromShare && verdict.Decision.Outcome == spine.Failed {
		// Somebody removed the copy: that says nothing of the image, and there is
		// nothing to keep in quarantine. The share has the file, or takes it anew.
		if _, err := os.Stat(c.Path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the copy of image %.12s: %w", c.Digest, fs.ErrNotExist)
		}
	}
	img := &spine.Image{
		Digest: c.Digest, Attempt: attempt, Source: c.Source, Name: c.Name, Size: c.Size,
		Captured: c.ModTime, Received: c.Received, Timings: verdict.Timings,
	}
	if v := verdict.Picture; v != nil {
		img.Width, img.Height, img.SOPInstanceUID = v.Width, v.Height, v.Facts.SOPInstanceUID
	}
	p.decide(img, began, verdict.Decision, verdict.Readings)
	if err := p.settle(seat, img, c, from, began); err != nil {
		return err
	}
	p.deaths.forget(c.Digest)
	p.observing.Lock()
	defer p.observing.Unlock()
	p.Observer.Answered(img, verdict.Picture)
	return nil
}

func (p *Pipeline) taken() {
	p.observing.Lock()
	defer p.observing.Unlock()
	p.hand++
	p.Observer.Taken()
}

func (p *Pipeline) done() {
	p.observing.Lock()
	defer p.observing.Unlock()
	p.hand--
	p.Observer.Done(p.hand)
}

func (p *Pipeline) verdict(ctx context.Context, j *Judge, c Claim) (Verdict, error) {
	if !c.Whole {
		return Verdict{Decision: at(spine.Intake, decline(spine.Faultf(spine.Corrupt, "the file stayed incomplete")))}, nil
	}
	deaths := p.deaths.of(c.Digest)
	if deaths >= fatal {
		return Verdict{Decision: at(spine.Network, decline(fmt.Errorf("the service died %d times while the network read it", deaths)))}, nil
	}
	// Who was read when the service died is read alone: the next death is nobody else's.
	return j.judge(ctx, c.Path, deaths > 0, func() func() {
		if err := p.deaths.begin(c.Digest); err != nil {
			p.Log.Warn("it is not noted that the network reads an image", "image", short(c.Digest), "error", err)
		}
		return func() { p.deaths.end(c.Digest) }
	})
}

// decide writes the decision into the image's record, that it has taken since
// began.
func (p *Pipeline) decide(img *spine.Image, began time.Time, d spine.Decision, readings []spine.Reading) {
	img.Decision, img.Readings = d, readings
	img.Finished = p.Now()
	img.Timings.Total = milliseconds(img.Finished.Sub(began))
}

// settle brings the image's result to disk. What the ledger will not take as
// it is, it is offered once more as the refusal or failure that it amounts to:
// the image ends with one result, and the next one gets its turn.
//
// The same bytes may be in hand twice, from two shares. Whichever comes second
// is spine.ErrKnown before it touches the quarantine.
func (p *Pipeline) settle(s *seat, img *spine.Image, c Claim, from origin, began time.Time) error {
	p.settling.Lock()
	defer p.settling.Unlock()
	switch last, _, err := p.Ledger.Answered(c.Digest); {
	case err != nil:
		return fmt.Errorf("look up image %.12s: %w", c.Digest, err)
	case last > 0 && from == fromShare:
		return spine.ErrKnown
	}
	unsendable, err := p.commit(s, img, c, from)
	if errors.Is(err, spine.ErrConflict) {
		p.decide(img, began, decline(spine.Faultf(spine.Conflict, "another image has this SOPInstanceUID")), nil)
		unsendable, err = p.commit(s, img, c, from)
	}
	if unsendable {
		p.decide(img, began, at(spine.Sending, decline(fmt.Errorf("its result cannot be sent: %w", err))), nil)
		_, err = p.commit(s, img, c, from)
	}
	if err != nil {
		return fmt.Errorf("commit image %.12s: %w", c.Digest, err)
	}
	d := img.Decision
	if d.Outcome == spine.Failed {
		p.Log.Warn("an image failed", "image", short(c.Digest), "code", d.Code, "reason", d.Reason)
		return nil
	}
	// A first try may have failed and been cut off before its commit.
	if err := p.quarantine.Discard(c.Digest); err != nil && !errors.Is(err, ErrNotQuarantined) {
		p.Log.Warn("the quarantine keeps a file that is settled", "image", short(c.Digest), "error", err)
	}
	p.Log.Debug("an image is settled", "image", short(c.Digest), "outcome", d.Outcome, "code", d.Code,
		"label", d.Label, "decode_ms", img.Timings.Decode, "infer_ms", img.Timings.Infer, "total_ms", img.Timings.Total)
	return nil
}

// commit puts a failed file into quarantine and commits the image. The file
// lies there before the ledger says so: the other way round, a crash between
// the two would leave a failure without its file. unsendable says that no
// message could be made of the image as it is.
func (p *Pipeline) commit(s *seat, img *spine.Image, c Claim, from origin) (unsendable bool, err error) {
	if img.Decision.Outcome == spine.Failed {
		if err := p.quarantine.keep(c, img); err != nil {
			return false, err
		}
	}
	seen := c.sighting()
	if from == fromQuarantine {
		seen = spine.Sighting{}
	}
	err = p.Ledger.Commit(img, seen, func(uint64) ([]byte, string, error) {
		result := wire.NewResult(p.Origin, img, s.thresholds)
		message, err := result.Encode()
		unsendable = err != nil
		return message, result.ID, err
	})
	return unsendable, err
}

func (p *Pipeline) duplicate(c Claim) error {
	counted, err := p.Ledger.Duplicate(c.sighting())
	if err != nil {
		return fmt.Errorf("note duplicate of image %.12s: %w", c.Digest, err)
	}
	p.Log.Debug("a file holds a known image", "image", short(c.Digest), "counted", counted)
	if counted {
		p.observing.Lock()
		defer p.observing.Unlock()
		p.Observer.Repeated(c.Digest, p.Now())
	}
	return nil
}

// short is enough of a digest to find an image by.
func short(digest string) string { return digest[:min(12, len(digest))] }
