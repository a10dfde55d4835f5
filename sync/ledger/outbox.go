package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"spinebox/sync/wire"
)

// Pending returns up to limit results that wait for a receipt, in the order of
// their sequences, from the first one after the given sequence. An entry that
// cannot be read is reported and left out: it must not hold up the rest.
func (l *Ledger) Pending(after uint64, limit int) ([]wire.Outgoing, error) {
	var pending []wire.Outgoing
	err := l.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchSize, o.Prefix = min(limit, 100), []byte(outbox)
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Seek(outboxKey(after + 1)); it.Valid() && len(pending) < limit; it.Next() {
			entry, err := readEntry(it.Item())
			if err != nil {
				l.log.Error("outbox entry cannot be read", "key", fmt.Sprintf("%q", it.Item().Key()), "error", err)
				continue
			}
			pending = append(pending, entry)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	return pending, nil
}

// Delivered takes results out of the outbox, all in one transaction, and
// returns how many were there. It works on a disk that is too full for Commit:
// it makes room.
func (l *Ledger) Delivered(resultIDs ...string) (found int, err error) {
	for batch := range slices.Chunk(resultIDs, deliveredAtOnce) {
		n := 0
		err := l.update(l.reserve/2, func(txn *badger.Txn, t *tally) error {
			n = 0
			for _, id := range batch {
				ok, err := l.deliver(txn, t, id)
				if err != nil {
					return fmt.Errorf("result %.12s: %w", id, err)
				}
				if ok {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return found, fmt.Errorf("take results out of the outbox: %w", err)
		}
		found += n
	}
	return found, nil
}

// deliveredAtOnce keeps a transaction far below Badger's limit.
const deliveredAtOnce = 256

func (l *Ledger) deliver(txn *badger.Txn, t *tally, resultID string) (bool, error) {
	sequence, err := get[uint64](txn, resultKey(resultID))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := note(txn, sequence, func(c *current) { c.Delivered = l.Now() }); err != nil {
		return false, err
	}
	return dropEntry(txn, t, sequence)
}

// note changes what is written of the result with that sequence, if it is
// current.
func note(txn *badger.Txn, sequence uint64, change func(*current)) error {
	c, err := get[current](txn, sequenceKey(sequence))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	change(&c)
	return put(txn, sequenceKey(sequence), c)
}

// dropEntry deletes an outbox entry and reports whether there was one.
func dropEntry(txn *badger.Txn, t *tally, sequence uint64) (bool, error) {
	item, err := txn.Get(outboxKey(sequence))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var head entryHead
	err = item.Value(func(value []byte) (err error) {
		head, _, err = cutEntry(value)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("outbox entry %d: %w", sequence, err)
	}
	t.Outbox--
	t.OutboxBytes -= item.ValueSize()
	return true, errors.Join(txn.Delete(outboxKey(sequence)), txn.Delete(resultKey(head.Result)))
}
