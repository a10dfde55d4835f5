package ledger

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/dgraph-io/badger/v4"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Commit writes down what became of an image, in one transaction: its record
// under the next sequence, the outbox entry with the message that the function
// makes for that sequence, the counters, and the sighting of the file it came
// from (none when seen has no source: a retry from quarantine).
//
// It sets img.Sequence before it calls message, which MUST NOT call the
// ledger. When it returns an error, nothing is written and img is as it was.
//
// An image with a result of this attempt or a later one gives spine.ErrKnown: a
// crash between the commit and what follows it makes no second result. A later
// attempt supersedes: its message takes the place of the old one, if that
// still waits. An image that was judged under a SOPInstanceUID which other
// bytes hold gives spine.ErrConflict; decide again, as spine.Conflict. ErrDiskFull
// and ErrOutboxFull say to keep the image and try later.
func (l *Ledger) Commit(img *spine.Image, seen spine.Sighting, message func(sequence uint64) (message []byte, resultID string, err error)) error {
	if !digest.MatchString(img.Digest) || img.Attempt < 1 {
		return fmt.Errorf("commit image: digest %q, attempt %d: want a SHA-256 in hex and an attempt from 1", img.Digest, img.Attempt)
	}
	before := img.Sequence
	err := l.update(l.reserve, func(txn *badger.Txn, t *tally) error {
		if err := supersede(txn, t, img); err != nil {
			return err
		}
		if err := l.bounds(*t); err != nil { // a superseded result has made way
			return err
		}
		t.Sequence++
		img.Sequence = t.Sequence
		count(&t.Counters, img.Decision.Outcome)
		bytes, id, err := message(img.Sequence)
		if err != nil {
			return err
		}
		entry := wire.Outgoing{Sequence: img.Sequence, Result: id, Message: bytes, Queued: l.Now()}
		size, err := putEntry(txn, entry)
		if err != nil {
			return err
		}
		t.Outbox++
		t.OutboxBytes += size
		seen.Digest = img.Digest
		return errors.Join(
			put(txn, imageKey(img.Digest), img),
			put(txn, sequenceKey(img.Sequence), current{Digest: img.Digest, Queued: entry.Queued}),
			put(txn, resultKey(id), img.Sequence),
			claim(txn, img),
			sight(txn, seen),
		)
	})
	if err != nil {
		img.Sequence = before
		return fmt.Errorf("commit image %.12s: %w", img.Digest, err)
	}
	select {
	case l.changed <- struct{}{}:
	default: // the last one has not been read yet
	}
	return nil
}

// supersede makes way for the image's new result, unless it is not new.
func supersede(txn *badger.Txn, t *tally, img *spine.Image) error {
	old, err := get[spine.Image](txn, imageKey(img.Digest))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if old.Attempt >= img.Attempt {
		return spine.ErrKnown
	}
	if err := txn.Delete(sequenceKey(old.Sequence)); err != nil {
		return err
	}
	_, err = dropEntry(txn, t, old.Sequence)
	return err
}

// claim gives the image its SOPInstanceUID. Only an image whose pixels were
// judged holds one: after a truncated or an unsupported file the scanner sends
// the same instance again with other bytes, and that is no conflict.
func claim(txn *badger.Txn, img *spine.Image) error {
	if img.SOPInstanceUID == "" || img.Decision.Outcome == spine.Failed ||
		img.Decision.Code == spine.Unsupported || img.Decision.Code == spine.Conflict {
		return nil
	}
	holder, err := get[string](txn, uidKey(img.SOPInstanceUID))
	switch {
	case errors.Is(err, ErrNotFound):
		return put(txn, uidKey(img.SOPInstanceUID), img.Digest)
	case err != nil:
		return err
	case holder != img.Digest:
		return spine.ErrConflict
	}
	return nil
}

func count(c *spine.Counters, outcome spine.Outcome) {
	switch outcome {
	case spine.Classified:
		c.Classified++
	case spine.Refused:
		c.Refused++
	case spine.Failed:
		c.Failed++
	}
}

// Answered returns the attempt and the outcome of the image's current result;
// attempt 0 for an image that has none.
func (l *Ledger) Answered(digest string) (attempt int, outcome spine.Outcome, err error) {
	img, err := l.Image(digest)
	switch {
	case errors.Is(err, ErrNotFound):
		return 0, "", nil
	case err != nil:
		return 0, "", err
	}
	return img.Attempt, img.Decision.Outcome, nil
}

// Image returns the record of the image with that digest, or ErrNotFound.
func (l *Ledger) Image(digest string) (*spine.Image, error) {
	var img spine.Image
	err := l.db.View(func(txn *badger.Txn) (err error) {
		img, err = get[spine.Image](txn, imageKey(digest))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &img, nil
}

// BySOP returns the digest of the image that holds a SOPInstanceUID, or
// ErrNotFound. An image that failed, was unsupported or a conflict holds none.
func (l *Ledger) BySOP(uid string) (digest string, err error) {
	err = l.db.View(func(txn *badger.Txn) (err error) {
		digest, err = get[string](txn, uidKey(uid))
		return err
	})
	return digest, err
}

// Recent returns up to n images, those with the latest results first. A result
// that was superseded is not among them.
func (l *Ledger) Recent(n int) ([]*spine.Image, error) {
	var recent []*spine.Image
	err := l.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Reverse, o.PrefetchValues, o.Prefix = true, false, []byte(sequences)
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Seek([]byte(sequences + "\xff")); it.Valid() && len(recent) < n; it.Next() {
			c, err := get[current](txn, it.Item().KeyCopy(nil))
			if err != nil {
				return err
			}
			img, err := get[spine.Image](txn, imageKey(c.Digest))
			if err != nil {
				return err
			}
			recent = append(recent, &img)
		}
		return nil
	})
	// They were written in one transaction: a part that is missing lies in a
	// block that Badger cannot read, and passes over.
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("a record cannot be read: %w", ErrUnreadable)
	}
	if err != nil {
		return nil, fmt.Errorf("read recent images: %w", err)
	}
	return recent, nil
}

// Standing is where an image's current result stands.
type Standing struct {
	Queued    time.Time // committed, and put into the outbox; zero in ledgers of version 1
	Delivered time.Time // the hub's receipt came; zero while it has not
	Discarded time.Time // its file was taken out of quarantine for good; zero if it was not
}

// Standing returns where the image's current result stands, or ErrNotFound.
func (l *Ledger) Standing(digest string) (Standing, error) {
	var s Standing
	err := l.db.View(func(txn *badger.Txn) error {
		img, err := get[spine.Image](txn, imageKey(digest))
		if err != nil {
			return err
		}
		c, err := get[current](txn, sequenceKey(img.Sequence))
		s = Standing{c.Queued, c.Delivered, c.Discarded}
		return err
	})
	return s, err
}

// Discarded notes that a failed image's file is not in quarantine any more.
// An image that the ledger does not know is no error.
func (l *Ledger) Discarded(digest string) error {
	err := l.update(l.reserve/2, func(txn *badger.Txn, _ *tally) error {
		img, err := get[spine.Image](txn, imageKey(digest))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return note(txn, img.Sequence, func(c *current) { c.Discarded = l.Now() })
	})
	if err != nil {
		return fmt.Errorf("note the discarding of image %.12s: %w", digest, err)
	}
	return nil
}
