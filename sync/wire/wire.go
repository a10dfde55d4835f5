// Package wire is the form in which a box speaks: the messages between box and
// hub, their topics, and the identifiers that stand in for a patient's. It is
// pure: bytes in, values out, no clock and no network.
//
// A box builds a Result with NewResult and sends what Encode returns; the hub
// takes it with ParseResult and answers with a Receipt. A Status is what a box
// says of itself.
//
// Three promises hold here. What leaves is an allow-list by construction: a
// message has a field for each thing that may leave, and none for a name, a
// birth date, a patient's id, an accession number, an institution, a file name
// or a path; the fields of spine.Image that hold such things are read by
// nobody here, or go through HMAC-SHA256 under the site's key. Encode refuses
// what ParseResult would refuse, so that no message can lie in a box's outbox
// for ever because the hub cannot read it. And version 1 is closed: a field
// that this package does not know is an error, since a hub that kept unknown
// fields would keep whatever a stranger put there; a new field is a new schema.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxMessage is the greatest length of a message in bytes. Two readers with
// grids of 48×20 need about 8 kB; the limit keeps a stranger's message from
// filling the hub's memory, and the ledger's records within Badger's bounds.
const MaxMessage = 256 << 10

// Outgoing is a result on its way: one entry of a box's outbox.
type Outgoing struct {
	Sequence uint64
	Result   string // the result id that a receipt will name
	Message  []byte
	Queued   time.Time // when it was committed
}

// Time is an instant in milliseconds and UTC, as RFC 3339 writes it. The zero
// Time is unknown and is left out of a message.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// instant brings t to what a message can hold. Years that RFC 3339 cannot
// write (file servers invent such times) are unknown.
func instant(t time.Time) Time {
	t = t.UTC().Truncate(time.Millisecond)
	if t.Year() < 1970 || t.Year() > 9999 {
		return Time{}
	}
	return Time{t}
}

// MarshalJSON writes the time with exactly three digits of the second.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + timeLayout + `"`)), nil
}

// UnmarshalJSON accepts what MarshalJSON writes and nothing else.
func (t *Time) UnmarshalJSON(b []byte) error {
	parsed, err := time.Parse(`"`+timeLayout+`"`, string(b))
	if err != nil {
		return fmt.Errorf("%.40q is not a time like %s", b, timeLayout)
	}
	if parsed.Year() < 1970 {
		return fmt.Errorf("time %.40q is before 1970", b)
	}
	t.Time = parsed
	return nil
}

// decode reads one JSON value without unknown fields and with nothing after it.
func decode(message []byte, into any) error {
	if len(message) > MaxMessage {
		return fmt.Errorf("message of %d bytes is over the limit of %d", len(message), MaxMessage)
	}
	d := json.NewDecoder(bytes.NewReader(message))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the message")
	}
	return nil
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("message of %d bytes is over the limit of %d", len(b), MaxMessage)
	}
	return b, nil
}
