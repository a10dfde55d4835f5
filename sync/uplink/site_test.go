package uplink_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"spinebox/hub/broker/brokertest"
	"spinebox/hub/intake"
	"spinebox/hub/store"
	"spinebox/internal/spine"
	"spinebox/sync/ledger"
	"spinebox/sync/uplink"
	"spinebox/sync/wire"
)

// site is a box and a hub with a real ledger, a real store and a real broker
// between them.
type site struct {
	t      *testing.T
	broker *brokertest.Mosquitto
	from   wire.Origin
	ledger *ledger.Ledger
	uplink *uplink.Uplink
	hub    string // the store's folder
	images int    // committed
}

// newSite makes a site whose box reaches the broker directly, or by way of a
// line that is made for the broker's address.
func newSite(t *testing.T, way ...func(broker string) (line string)) *site {
	t.Helper()
	s := &site{t: t, broker: brokertest.New(t), from: wire.Origin{Site: "north", Device: "box-1"}, hub: t.TempDir()}
	line := s.broker.URL()
	for _, lay := range way {
		line = "tcp://" + lay(strings.TrimPrefix(line, "tcp://"))
	}
	l, err := ledger.Open(t.TempDir(), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.ledger = l
	s.uplink = s.newUplink(line, nil)
	return s
}

func (s *site) newUplink(broker string, encryption *tls.Config) *uplink.Uplink {
	s.t.Helper()
	u, err := uplink.New(uplink.Options{
		Broker: broker, TLS: encryption, From: s.from, Outbox: s.ledger,
		ReceiptTimeout: 500 * time.Millisecond, Backoff: 20 * time.Millisecond,
		Status: func() wire.Status { return wire.NewStatus(s.from, spine.Status{}, time.Now()) },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

// run runs f until the test ends, or stop is called.
func (s *site) run(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// startHub runs a hub on the site's store.
func (s *site) startHub() (in *intake.Intake, stop func()) {
	s.t.Helper()
	kept, err := store.Open(s.hub, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	in, err = intake.New(intake.Options{Broker: s.broker.URL(), Store: kept, Backoff: 20 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	return in, s.run(func(ctx context.Context) error { return errors.Join(in.Run(ctx), kept.Close()) })
}

// commit decides about the nth image.
func (s *site) commit(n, attempt int) {
	s.t.Helper()
	sum := sha256.Sum256(fmt.Append(nil, n))
	img := &spine.Image{
		Digest: hex.EncodeToString(sum[:]), Attempt: attempt, Finished: time.Now(),
		Decision: spine.Decision{Outcome: spine.Refused, Code: spine.NotXray},
	}
	err := s.ledger.Commit(img, spine.Sighting{}, func(uint64) ([]byte, string, error) {
		r := wire.NewResult(s.from, img, img.Digest)
		message, err := r.Encode()
		return message, r.ID, err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// more decides about so many images more, as the first attempt.
func (s *site) more(images int) {
	s.t.Helper()
	for range images {
		s.commit(s.images, 1)
		s.images++
	}
}

func (s *site) outboxEmpty() bool { return s.ledger.Outbox() == 0 }

// check compares what the hub holds with what it should: one current result
// for each image, of that attempt.
func (s *site) check(images, attempt int) {
	s.t.Helper()
	seen := map[string]int{}
	err := store.Current(s.hub, slog.Default(), func(e store.Entry) error {
		seen[e.Result.Image]++
		if e.Result.Attempt != attempt {
			s.t.Errorf("the current result of %.12s is of attempt %d", e.Result.Image, e.Result.Attempt)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for image, n := range seen {
		if n != 1 {
			s.t.Errorf("image %.12s has %d current results", image, n)
		}
	}
	if len(seen) != images {
		s.t.Errorf("the hub has results of %d images, not %d", len(seen), images)
	}
}
