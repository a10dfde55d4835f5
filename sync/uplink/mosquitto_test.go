package uplink_test

import (
	"testing"

	"spinebox/internal/livetest"
)

// Broker and hub appear after the box has worked alone for a while.
func TestMosquittoAppearsLater(t *testing.T) {
	s := newSite(t)
	s.run(s.uplink.Run)
	for n := range 20 {
		s.commit(n, 1)
	}
	livetest.Eventually(t, "the box knows that it is alone", func() bool { return s.uplink.State().Error != "" })
	s.broker.Start()
	livetest.Eventually(t, "the box is connected", func() bool { return s.uplink.State().Online })
	s.startHub()
	livetest.Eventually(t, "the outbox is empty", s.outboxEmpty)
	s.check(20, 1)
	for n := range 20 {
		s.commit(n, 2)
	}
	livetest.Eventually(t, "the outbox is empty again", s.outboxEmpty)
	s.check(20, 2)
}

// The broker dies twice, and the hub once, while results keep coming; what the
// broker had acknowledged dies with it.
func TestMosquittoKilledInTheStream(t *testing.T) {
	s := newSite(t)
	s.broker.Start()
	s.run(s.uplink.Run)
	in, stopHub := s.startHub()
	const images = 150
	for n := range images {
		s.commit(n, 1)
		switch n {
		case 30, 100:
			stored := in.Counts().Stored
			livetest.Eventually(t, "the stream flows", func() bool { return in.Counts().Stored > stored || s.outboxEmpty() })
			s.broker.Kill()
		case 40, 120:
			s.broker.Start()
		case 60:
			stopHub()
		case 80:
			in, _ = s.startHub()
		}
	}
	livetest.Eventually(t, "the outbox is empty", s.outboxEmpty)
	s.check(images, 1)
	if pending, err := s.ledger.Pending(0, 1); err != nil || len(pending) != 0 {
		t.Errorf("pending: %v, %v", pending, err)
	}
}
