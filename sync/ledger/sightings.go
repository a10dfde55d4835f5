package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"spinebox/internal/spine"
)

// Sighting returns what the box took in under that name, if it did. A file
// that is Unchanged since needs no copying.
func (l *Ledger) Sighting(source, name string) (spine.Sighting, bool, error) {
	var seen spine.Sighting
	err := l.db.View(func(txn *badger.Txn) (err error) {
		seen, err = get[spine.Sighting](txn, sightingKey(source, name))
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return spine.Sighting{}, false, nil
	}
	if err != nil {
		return spine.Sighting{}, false, fmt.Errorf("read sighting: %w", err)
	}
	return seen, true, nil
}

// Duplicate writes down a file whose bytes the box knows already, and reports
// whether it counted it: a file is counted once, however often a restart or a
// remount (which may change its inode) makes the box read it again. An image
// that the ledger does not know gives ErrNotFound: a file that is marked as
// seen without a result would be lost.
func (l *Ledger) Duplicate(seen spine.Sighting) (counted bool, err error) {
	err = l.update(l.reserve, func(txn *badger.Txn, t *tally) error {
		if _, err := txn.Get(imageKey(seen.Digest)); errors.Is(err, badger.ErrKeyNotFound) {
			return ErrNotFound
		} else if err != nil {
			return err
		}
		old, err := get[spine.Sighting](txn, sightingKey(seen.Source, seen.Name))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if old.Digest != seen.Digest {
			counted = true
			t.Counters.Duplicates++
		}
		return sight(txn, seen)
	})
	if err != nil {
		return false, fmt.Errorf("count duplicate of %.12s: %w", seen.Digest, err)
	}
	return counted, nil
}

func sight(txn *badger.Txn, seen spine.Sighting) error {
	if seen.Source == "" {
		return nil
	}
	return put(txn, sightingKey(seen.Source, seen.Name), seen)
}

// Sources returns the names of the shares whose files the ledger has seen, be
// they configured still or not.
func (l *Ledger) Sources() ([]string, error) {
	var sources []string
	err := l.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues, o.Prefix = false, []byte(sightings)
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); {
			source, _, _ := strings.Cut(string(it.Item().Key()[len(sightings):]), "\x00")
			sources = append(sources, source)
			it.Seek([]byte(sightings + source + "\x01")) // past all of its files
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for shares: %w", err)
	}
	return sources, nil
}

// Forget drops the sightings of one share's files that keep does not want, and
// returns how many. Call it with the names of a whole scan that succeeded,
// never when the share is gone: every file would be read, and counted as a
// duplicate, when it comes back.
func (l *Ledger) Forget(source string, keep func(name string) bool) (int, error) {
	var gone [][]byte
	err := l.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues, o.Prefix = false, sightingsOf(source)
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().KeyCopy(nil)
			if !keep(string(key[len(o.Prefix):])) {
				gone = append(gone, key)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look for sightings to forget: %w", err)
	}
	const batch = 500 // far below Badger's limit for a transaction
	for first := 0; first < len(gone); first += batch {
		err := l.update(l.reserve/2, func(txn *badger.Txn, _ *tally) error {
			for _, key := range gone[first:min(first+batch, len(gone))] {
				if err := txn.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return first, fmt.Errorf("forget sightings: %w", err)
		}
	}
	return len(gone), nil
}
