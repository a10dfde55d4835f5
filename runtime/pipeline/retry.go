package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"spinebox/internal/spine"
)

// Retry judges a file in quarantine once more. Its result is a new attempt
// that supersedes the last one, whatever it says: an answer or a refusal takes
// the file out of quarantine, another failure leaves it there with one more
// reason. It returns nil once that is on the disk, ErrNotQuarantined when the
// file is not there, and any other error as Handle does.
func (p *Pipeline) Retry(ctx context.Context, digest string) error {
	file, err := p.quarantine.Get(digest)
	if err != nil {
		return err
	}
	last, outcome, err := p.Ledger.Answered(digest)
	if err != nil {
		return fmt.Errorf("look up image %s: %w", short(digest), err)
	}
	if last > 0 && outcome != spine.Failed {
		// A crash kept the file here after its answer was committed.
		return p.quarantine.Discard(digest)
	}
	p.taken()
	defer p.done()
	// What the service died of before may have been the box's own fault.
	p.deaths.forget(digest)
	claim := Claim{
		Source: file.Source, Name: file.Name, Path: filepath.Join(p.quarantine.folder(digest), originalName),
		Digest: digest, Size: file.Size, ModTime: file.Captured, Whole: file.Whole, Received: file.Received,
	}
	// The note beside the file may be older than the ledger, and the ledger than
	// the note, where one of them was restored.
	attempt := max(last, file.Last().Attempt) + 1
	if err := p.answer(ctx, claim, attempt, fromQuarantine); err != nil {
		return fmt.Errorf("retry image %s, attempt %d: %w", short(digest), attempt, err)
	}
	return p.quarantine.withdraw(digest)
}

// Requested retries what was asked for with Quarantine.Request, one after the
// other, and returns the first error that keeps it from going on.
func (p *Pipeline) Requested(ctx context.Context) error {
	files, err := p.quarantine.List()
	if err != nil {
		return err
	}
	for _, file := range files {
		if !file.Requested {
			continue
		}
		if err := p.Retry(ctx, file.Digest); err != nil && !errors.Is(err, ErrNotQuarantined) {
			return err
		}
	}
	return nil
}
