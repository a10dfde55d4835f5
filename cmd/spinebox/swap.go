package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"spinebox/internal/spine"
	"spinebox/models/slots"
	"spinebox/runtime/pipeline"
	"spinebox/sync/wire"
)

// closer closes what stands in its place by then.
type closer func() error

func (c closer) Close() error { return c() }

// announce says which model answers.
func (b *box) announce(took time.Duration) {
	id, unsigned := b.model.id(), b.model.unsigned()
	b.log.Info("the model is ready", "name", id.Name, "version", id.Version, "digest", id.Digest, "took", took.Round(time.Millisecond))
	if unsigned {
		b.log.Warn("the model is not signed: for demonstration and tests only")
	}
	b.health.Update(func(s *spine.Status) {
		s.Ready, s.Models, s.Unsigned = true, []spine.ModelID{id}, unsigned
		s.Phantom = b.model.Description().Phantom
	})
}

// judge returns who answers with the present model, and the digest of what he
// decides by.
func (b *box) judge() (judge *pipeline.Judge, decides string) {
	rules := b.config.rules()
	thresholds := map[string]float64{
		"confidence": b.model.Confidence(), "max_hues": rules.Gate.MaxHues, "min_side": float64(rules.Gate.MinSide),
	}
	b.health.Update(func(s *spine.Status) { s.Thresholds = thresholds })
	rules.Stuck = b.giveUp
	var network pipeline.Reader = b.model
	if b.decorate != nil {
		network = b.decorate(network)
	}
	return pipeline.NewJudge(b.decoder.Decode, network, rules, b.log),
		wire.DecisionDigest(thresholds, []spine.ModelID{b.model.id()})
}

// activate puts an installed model in the place of the present one, between two
// images. Until it has been tried, nothing has changed; the state on the disk
// comes before the swap, so that a service that dies in between finds what was
// tried.
func (b *box) activate(ctx context.Context, a activation) (any, error) {
	b.swapping.Lock()
	defer b.swapping.Unlock()
	if a.Reader != slots.First {
		return nil, fmt.Errorf("this box has one reader, and no %s one", a.Reader)
	}
	began := time.Now()
	store := b.config.slots()
	m, err := b.config.openBehind(ctx, store.Path(a.Digest), b.decoder.Decode)
	if err != nil {
		return nil, err
	}
	known, err := knownAnswers(ctx, store.Path(a.Digest), m.Description(), b.decoder.Decode)
	if err == nil {
		err = store.Activate(a.Reader, a.Digest)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	former := b.model
	b.model, b.known = reader{m}, known
	judge, decides := b.judge()
	b.pipeline.Replace(judge, decides, func() {
		if err := former.Close(); err != nil {
			b.log.Warn("the former model's session does not close", "error", err)
		}
		b.log.Info("the former model is closed", "name", former.id().Name, "version", former.id().Version)
	})
	b.announce(time.Since(began))
	return struct{}{}, nil
}
