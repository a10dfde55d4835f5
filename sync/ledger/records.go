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
//	n/<sequence>          the current result with that sequence: its image, its times
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

// version is that of every record that is written. Records of older versions
// are read (migrate.go); one of a newer version is an error, never a guess.
const (
	version = 2
	oldest  = 1
)

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
	Sequence    uint64 `json:"sequence"` // the last one given
	Outbox      int    `json:"outbox"`
	OutboxBytes int64  `json:"outbox_bytes"` // of the entries as they are stored
	Counters    spine.Counters
}

// current is where the result with a sequence stands. A result that is
// superseded has none.
type current struct {
	Digest    string    `json:"digest"`
	Queued    time.Time `json:"queued,omitzero"`    // committed, and put into the outbox
	Delivered time.Time `json:"delivered,omitzero"` // the hub's receipt came
	Discarded time.Time `json:"discarded,omitzero"` // its file was taken out of quarantine for good
}

// UnmarshalJSON also reads version 1, which was the digest alone.
func (c *current) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &c.Digest)
	}
	type plain current
	return json.Unmarshal(b, (*plain)(c))
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
	if err == nil {
		err = checkVersion(r.Version)
	}
	if err != nil {
		return r.Data, fmt.Errorf("read record %q: %w", key, err)
	}
	return r.Data, nil
}

func checkVersion(v int) error {
	if v < oldest || v > version {
		return fmt.Errorf("its version is %d, this spinebox knows %d to %d", v, oldest, version)
	}
	return nil
}

// entryHead begins an outbox entry; a line feed and the message follow, which
// stays as it is, byte for byte.
type entryHead struct {
	Version int       `json:"v"`
	Result  string    `json:"result"`
	Queued  time.Time `json:"queued"`
}

// putEntry writes an outbox entry and returns the bytes that it takes.
func putEntry(txn *badger.Txn, e wire.Outgoing) (int64, error) {
	head, err := json.Marshal(entryHead{version, e.Result, e.Queued})
	if err != nil {
		return 0, fmt.Errorf("encode outbox entry: %w", err)
	}
	value := bytes.Join([][]byte{head, e.Message}, []byte("\n"))
	return int64(len(value)), set(txn, outboxKey(e.Sequence), value)
}

// readEntry reads an outbox entry, with its own copy of the message.
func readEntry(item *badger.Item) (e wire.Outgoing, err error) {
	err = item.Value(func(value []byte) error {
		head, message, err := cutEntry(value)
		sequence := binary.BigEndian.Uint64(item.Key()[len(outbox):])
		e = wire.Outgoing{Sequence: sequence, Result: head.Result, Message: bytes.Clone(message), Queued: head.Queued}
		return err
	})
	return e, err
}

func cutEntry(value []byte) (head entryHead, message []byte, err error) {
	first, message, _ := bytes.Cut(value, []byte("\n"))
	if err := json.Unmarshal(first, &head); err != nil {
		return head, nil, err
	}
	return head, message, checkVersion(head.Version)
}
