package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"spinebox/internal/spine"
)

// retireAtOnce keeps a transaction far below Badger's limit.
const retireAtOnce = 250

// Retire forgets the images whose results the hub has had for longer than
// Options.Keep, and returns how many. It never touches one that waits for its
// receipt, nor one that failed and whose file has neither been retried nor
// discarded. The same bytes, should they come again, are a new image, which
// the hub knows by its identifier.
func (l *Ledger) Retire(ctx context.Context) (retired int, err error) {
	if l.Keep == 0 {
		return 0, nil
	}
	before := l.Now().Add(-l.Keep)
	after := uint64(0)
	for ctx.Err() == nil {
		old, last, err := l.old(after, before)
		if err != nil {
			return retired, fmt.Errorf("look for old images: %w", err)
		}
		if last == after {
			return retired, nil
		}
		after = last
		err = l.update(l.reserve/2, func(txn *badger.Txn, _ *tally) error {
			for _, sequence := range old {
				if err := retire(txn, sequence); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return retired, fmt.Errorf("forget old images: %w", err)
		}
		retired += len(old)
	}
	return retired, ctx.Err()
}

// old returns which of the next results after a sequence may be forgotten, and
// the last one that it looked at.
func (l *Ledger) old(after uint64, before time.Time) (old []uint64, last uint64, err error) {
	last = after
	err = l.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchSize, o.Prefix = retireAtOnce, []byte(sequences)
		it := txn.NewIterator(o)
		defer it.Close()
		looked := 0
		for it.Seek(sequenceKey(after + 1)); it.Valid() && looked < retireAtOnce; it.Next() {
			looked++
			key := it.Item().KeyCopy(nil)
			last = binary.BigEndian.Uint64(key[len(sequences):])
			c, err := get[current](txn, key)
			if err != nil {
				return err
			}
			if _, err := txn.Get(outboxKey(last)); !errors.Is(err, badger.ErrKeyNotFound) {
				if err != nil {
					return err
				}
				continue // it waits for its receipt
			}
			img, err := get[spine.Image](txn, imageKey(c.Digest))
			if err != nil {
				return err
			}
			if c.Delivered.IsZero() { // by a spinebox that did not write it down
				c.Delivered = img.Finished
			}
			if c.Delivered.After(before) {
				continue
			}
			if img.Decision.Outcome != spine.Failed || !c.Discarded.IsZero() {
				old = append(old, last)
			}
		}
		return nil
	})
	return old, last, err
}

// retire forgets one image, unless it has a newer result by now.
func retire(txn *badger.Txn, sequence uint64) error {
	c, err := get[current](txn, sequenceKey(sequence))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	img, err := get[spine.Image](txn, imageKey(c.Digest))
	if err != nil {
		return err
	}
	errs := []error{txn.Delete(sequenceKey(sequence)), txn.Delete(imageKey(c.Digest))}
	if holder, err := get[string](txn, uidKey(img.SOPInstanceUID)); err == nil && holder == c.Digest {
		errs = append(errs, txn.Delete(uidKey(img.SOPInstanceUID)))
	}
	return errors.Join(errs...)
}
