package ledger

import (
	"errors"
	"fmt"

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

// Delivered takes the result out of the outbox and reports whether it was
// there. It works on a disk that is too full for Commit: it makes room.
func (l *Ledger) Delivered(resultID string) (bool, error) {
	found := false
	err := l.update(l.reserve/2, func(txn *badger.Txn, t *tally) error {
		sequence, err := get[uint64](txn, resultKey(resultID))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil {
			found, err = dropEntry(txn, t, sequence)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take result %.12s out of the outbox: %w", resultID, err)
	}
	return found, nil
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
	entry, err := readEntry(item)
	if err != nil {
		return false, fmt.Errorf("outbox entry %d: %w", sequence, err)
	}
	t.Outbox--
	return true, errors.Join(txn.Delete(outboxKey(sequence)), txn.Delete(resultKey(entry.Result)))
}
