package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

// The ledger's keys. Numbers are big-endian, so that keys sort like numbers.
//
//	i/<digest>            an image's record
//	n/<sequence>          the digest of the image with that current result
//	o/<sequence>          an outbox entry
//	r/<result id>         the sequence of the outbox entry with that id
//	s/<source>\0<name>    a sighting
//	u/<SOPInstanceUID>    the digest of the image that holds the identifier
//	tally                 the last sequence, the outbox's length, the counters
const (
	images    = "i/"
	sequences = "n/"
	outbox    = "o/"
	results   = "r/"
	sightings = "s/"
	uids      = "u/"
)

func imageKey(digest string) []byte          { return []byte(images + digest) }
func sequenceKey(n uint64) []byte            { return binary.BigEndian.AppendUint64([]byte(sequences), n) }
func outboxKey(n uint64) []byte              { return binary.BigEndian.AppendUint64([]byte(outbox), n) }
func resultKey(id string) []byte             { return []byte(results + id) }
func sightingsOf(source string) []byte       { return []byte(sightings + source + "\x00") }
func sightingKey(source, name string) []byte { return append(sightingsOf(source), name...) }
func uidKey(uid string) []byte               { return []byte(uids + uid) }
func tallyKey() []byte                       { return []byte("tally") }

// version is that of every record. A record of another version is an error,
// never a guess.
const version = 1

// maxRecord is the greatest length of a record in bytes: below Badger's limit
// for a transaction, with room for the message that goes with an image.
const maxRecord = 300 << 10

// record is how every value but an outbox entry is stored.
type record[T any] struct {
	Version int `json:"v"`
	Data    T   `json:"data"`
}

// tally is what is counted over all images.
type tally struct {
	Sequence uint64 `json:"sequence"` // the last one given
	Outbox   int    `json:"outbox"`
	Counters spine.Counters
}

func readTally(txn *badger.Txn) (tally, error) {
	t, err := get[tally](txn, tallyKey())
	if errors.Is(err, ErrNotFound) {
		return tally{}, nil
	}
	return t, err
}

func put[T any](txn *badger.Txn, key []byte, data T) error {
	value, err := json.Marshal(record[T]{version, data})
	if err != nil {
		return fmt.Errorf("encode record %q: %w", key, err)
	}
	return set(txn, key, value)
}

func set(txn *badger.Txn, key, value []byte) error {
	if len(value) >= maxRecord {
		return fmt.Errorf("record %q of %d bytes is over the ledger's limit of %d", key, len(value), maxRecord)
	}
	return txn.Set(key, value)
}

func get[T any](txn *badger.Txn, key []byte) (T, error) {
	var r record[T]
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return r.Data, ErrNotFound
	}
	if err == nil {
		err = item.Value(func(value []byte) error { return json.Unmarshal(value, &r) })
	}
	if err == nil && r.Version != version {
		err = fmt.Errorf("its version is %d, this spinebox knows %d", r.Version, version)
	}
	if err != nil {
		return r.Data, fmt.Errorf("read record %q: %w", key, err)
	}
	return r.Data, nil
}

// entryHead begins an outbox entry; a line feed and the message follow, which
// stays as it is, byte for byte.
type entryHead struct {
	Version int       `json:"v"`
	Result  string    `json:"result"`
	Queued  time.Time `json:"queued"`
}

func putEntry(txn *badger.Txn, e wire.Outgoing) error {
	head, err := json.Marshal(entryHead{version, e.Result, e.Queued})
	if err != nil {
		return fmt.Errorf("encode outbox entry: %w", err)
	}
	return set(txn, outboxKey(e.Sequence), bytes.Join([][]byte{head, e.Message}, []byte("\n")))
}

func readEntry(item *badger.Item) (wire.Outgoing, error) {
	var e wire.Outgoing
	value, err := item.ValueCopy(nil)
	if err != nil {
		return e, err
	}
	first, message, _ := bytes.Cut(value, []byte("\n"))
	var head entryHead
	if err := json.Unmarshal(first, &head); err != nil {
		return e, err
	}
	if head.Version != version {
		return e, fmt.Errorf("its version is %d, this spinebox knows %d", head.Version, version)
	}
	sequence := binary.BigEndian.Uint64(item.Key()[len(outbox):])
	return wire.Outgoing{Sequence: sequence, Result: head.Result, Message: message, Queued: head.Queued}, nil
}
