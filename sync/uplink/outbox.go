package uplink

import (
	"fmt"
	"math"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/sync/wire"
)

// flight is a result that was sent and has no receipt yet.
type flight struct {
	sent  time.Time
	token paho.Token
}

// fill sends results until the window is full or the outbox has been walked to
// its end. What came while the box is connected goes first, and finds the
// places that what waited before leaves free: the room looks at the live
// result, not at last night's.
func (s *session) fill() error {
	if _, err := s.walk(&s.live, math.MaxUint64, window); err != nil {
		return err
	}
	// Not for every single receipt: each walk begins with a search.
	if len(s.flying) > (window-forLive)*3/4 {
		return nil
	}
	for {
		end, err := s.walk(&s.old, s.border, window-forLive)
		if err != nil || !end || !s.rewind {
			return err
		}
		// Results that were sent in vain come again only now: one that the hub
		// cannot take must not hold up those behind it.
		s.old, s.border, s.rewind = 0, s.live, false
	}
}

// walk sends what follows the cursor, up to the last sequence, until so many
// results fly. It reports whether it came to the end.
func (s *session) walk(cursor *uint64, last uint64, fly int) (end bool, err error) {
	for len(s.flying) < fly {
		pending, err := s.o.Outbox.Pending(*cursor, fly-len(s.flying))
		if err != nil {
			s.log.Error("outbox not read", "error", err)
			return false, nil // it is tried again on the next occasion
		}
		for _, result := range pending {
			if result.Sequence > last {
				return true, nil
			}
			*cursor = result.Sequence
			if _, ok := s.flying[result.Result]; ok {
				continue
			}
			if err := s.send(result); err != nil {
				return false, err
			}
		}
		if len(pending) == 0 {
			return true, nil
		}
	}
	return false, nil
}

func (s *session) send(result wire.Outgoing) error {
	message := result.Message
	if age := s.o.Now().Sub(result.Queued); age > historicalAge {
		marked, err := wire.MarkHistorical(message)
		if err != nil {
			s.log.Error("result not marked as historical", "sequence", result.Sequence, "error", err)
		} else {
			message = marked
		}
	}
	token := s.client.Publish(s.topics.Result(), 1, false, message)
	select {
	case <-token.Done(): // so soon, most likely an error
		if err := token.Error(); err != nil {
			return fmt.Errorf("send result: %w", err)
		}
	default:
	}
	s.flying[result.Result] = flight{time.Now(), token}
	s.log.Debug("result sent", "sequence", result.Sequence)
	return nil
}

// take takes a receipt, and those that came with it, and their results out of
// the outbox: one write to the disk serves many.
func (s *session) take(message []byte) {
	var ids []string
	for {
		receipt, err := wire.ParseReceipt(message)
		if err != nil {
			s.rubbish.say(s.o.Now(), func(unsaid int) {
				s.log.Warn("receipt not understood", "error", err, "not_said", unsaid)
			})
		} else {
			ids = append(ids, receipt.Result)
		}
		select {
		case message = <-s.receipts:
			continue
		default:
		}
		break
	}
	if len(ids) == 0 {
		return
	}
	if _, err := s.o.Outbox.Delivered(ids...); err != nil {
		// They stay in flight, are sent again in time, and receipted again.
		s.log.Error("receipts not written down", "receipts", len(ids), "error", err)
		return
	}
	for _, id := range ids {
		delete(s.flying, id)
	}
}
