package wire

import (
	"fmt"
	"time"

	"spinebox/internal/spine"
)

// StatusSchema names what a box says of itself.
const StatusSchema = "spinebox.status.v1"

// Status is a box's presence. It is retained by the broker; the one with
// Online false is also the box's will, which the broker publishes when the box
// falls silent.
type Status struct {
	Schema string `json:"schema"`
	Use    string `json:"use"`
	Site   string `json:"site"`
	Device string `json:"device"`
	Online bool   `json:"online"`
	State  *State `json:"state,omitempty"` // only when online
}

// State is the box's own view. Shares are counted, not named, and neither the
// texts of errors nor the sentence that the room reads are here: they may hold
// a path.
type State struct {
	Time     Time            `json:"time"`
	Version  string          `json:"version"`
	Started  Time            `json:"started,omitzero"`
	Ready    bool            `json:"ready"`
	Busy     bool            `json:"busy"`
	Trouble  bool            `json:"trouble"` // the box needs somebody
	Models   []spine.ModelID `json:"models"`
	Unsigned bool            `json:"unsigned"`
	Shares   Shares          `json:"shares"`
	Queue    Queue           `json:"queue"`
	Counts   Counts          `json:"counts"`
}

// Shares counts the watched shares.
type Shares struct {
	Watched int `json:"watched"`
	Online  int `json:"online"`
	Waiting int `json:"waiting"` // files that have no result yet, on all of them
}

// Queue is what waits.
type Queue struct {
	Outbox     int `json:"outbox"`     // results without a receipt
	Quarantine int `json:"quarantine"` // files that failed
}

// Counts are of results, and of files whose bytes were known already, since
// the ledger began.
type Counts struct {
	Classified uint64 `json:"classified"`
	Refused    uint64 `json:"refused"`
	Failed     uint64 `json:"failed"`
	Duplicates uint64 `json:"duplicates"`
}

// NewStatus makes the status of a box that is there.
func NewStatus(from Origin, s spine.Status, now time.Time) Status {
	state := &State{
		Time: instant(now), Version: s.Version, Started: instant(s.Started),
		Ready: s.Ready, Busy: s.Busy, Trouble: s.Trouble != "",
		Models: append([]spine.ModelID{}, s.Models...), Unsigned: s.Unsigned,
		Queue:  Queue{s.Outbox, s.Quarantine},
		Counts: Counts{s.Classified, s.Refused, s.Failed, s.Duplicates},
	}
	for _, share := range s.Shares {
		state.Shares.Watched++
		state.Shares.Waiting += share.Waiting
		if share.Online {
			state.Shares.Online++
		}
	}
	status := Offline(from)
	status.Online, status.State = true, state
	return status
}

// Offline makes the status of a box that is not there. It has no time: as a
// will it is written long before it is true.
func Offline(from Origin) Status {
	return Status{Schema: StatusSchema, Use: spine.IntendedUse, Site: from.Site, Device: from.Device}
}

// Encode returns the message, or what is wrong with it.
func (s Status) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return encode(s)
}

// ParseStatus reads a message that somebody sent.
func ParseStatus(message []byte) (Status, error) {
	var s Status
	if err := decode(message, &s); err != nil {
		return Status{}, fmt.Errorf("parse status: %w", err)
	}
	if err := s.check(); err != nil {
		return Status{}, fmt.Errorf("parse status: %w", err)
	}
	return s, nil
}

func (s *Status) check() error {
	if s.Schema != StatusSchema {
		return fmt.Errorf("schema is %.40q, not %q", s.Schema, StatusSchema)
	}
	for _, err := range []error{checkUse(s.Use), CheckName(s.Site), CheckName(s.Device)} {
		if err != nil {
			return err
		}
	}
	if s.Online != (s.State != nil) {
		return fmt.Errorf("online is %t, but a state is given only by a box that is online", s.Online)
	}
	if s.State == nil {
		return nil
	}
	if err := checkText("version", s.State.Version, 0, 128); err != nil {
		return err
	}
	if n := len(s.State.Models); n > maxReadings {
		return fmt.Errorf("%d models; at most %d", n, maxReadings)
	}
	for _, m := range s.State.Models {
		for _, err := range []error{
			checkText("model name", m.Name, 1, 128),
			checkText("model version", m.Version, 1, 64),
			checkDigest("model digest", m.Digest),
		} {
			if err != nil {
				return err
			}
		}
	}
	counts := []int{s.State.Shares.Watched, s.State.Shares.Online, s.State.Shares.Waiting, s.State.Queue.Outbox, s.State.Queue.Quarantine}
	for _, n := range counts {
		if n < 0 {
			return fmt.Errorf("a count of %d", n)
		}
	}
	return nil
}
