package ledger

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// migrate brings a ledger of an older version to this one. Version 1 did not
// count the outbox's bytes; its other records are read as they are, and become
// version 2 when they are next written. The tally is written last and at once:
// what is interrupted begins anew at the next start.
func (l *Ledger) migrate() error {
	old, err := l.tallyVersion()
	if err != nil || old == 0 || old == version {
		return err
	}
	var bytes int64
	err = l.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues, o.Prefix = false, []byte(outbox)
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			bytes += it.Item().ValueSize()
		}
		return nil
	})
	if err == nil {
		err = l.db.Update(func(txn *badger.Txn) error {
			t, err := readTally(txn)
			if err != nil {
				return err
			}
			t.OutboxBytes = bytes
			return put(txn, tallyKey(), t)
		})
	}
	if err != nil {
		return fmt.Errorf("bring it from version %d to %d: %w", old, version, err)
	}
	l.log.Info("the ledger is brought to a newer version", "from", old, "to", version)
	return nil
}

// tallyVersion returns the version of the tally's record, or 0 for a ledger
// that has none yet.
func (l *Ledger) tallyVersion() (int, error) {
	var r record[json.RawMessage]
	err := l.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(tallyKey())
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error { return json.Unmarshal(value, &r) })
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err == nil {
		err = checkVersion(r.Version)
	}
	return r.Version, err
}
