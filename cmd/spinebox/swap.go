package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"spinebox/internal/spine"
	"spinebox/models/slots"
	"spinebox/runtime/infer"
	"spinebox/runtime/pipeline"
	"spinebox/sync/wire"
)

// closer closes what stands in its place by then.
type closer func() error

func (c closer) Close() error { return c() }

// announce says which models answer: those that were just opened, what they
// have no limits for, and how two of them read.
func (b *box) announce(opened []reader, took time.Duration) {
	for _, m := range opened {
		b.log.Info("the model is ready", "name", m.id().Name, "version", m.id().Version, "digest", m.id().Digest,
			"on", b.config.processor(), "took", took.Round(time.Millisecond))
		if m.unsigned() {
			b.log.Warn("the model is not signed: for demonstration and tests only")
		}
		if len(m.Description().Gaps()) > 0 {
			b.log.Warn(gapsNote(m.Description()))
		}
	}
	all := b.readers
	if all.way != "" {
		b.log.Info("two readers read every picture", "way", all.way)
	}
	if err := infer.Settle(); err != nil {
		b.log.Warn("memory that only the start needed is kept", "error", err)
	}
	b.health.Update(func(s *spine.Status) {
		s.Ready, s.Models, s.Unsigned, s.Phantom, s.Reading = true, all.ids(), all.unsigned(), all.phantom(), all.way
		s.Gaps = all.gaps()
	})
}

// judge returns who answers with the present models, and the digest of what he
// decides by.
func (b *box) judge() (judge *pipeline.Judge, decides string) {
	rules := b.config.rules()
	thresholds := b.readers.thresholds(rules)
	b.health.Update(func(s *spine.Status) { s.Thresholds = thresholds })
	rules.Stuck = b.giveUp
	networks := b.readers.Readers
	if b.decorate != nil {
		networks.List = nil
		for _, n := range b.readers.List {
			networks.List = append(networks.List, b.decorate(n))
		}
	}
	return pipeline.NewJudge(b.decoder.Decode, networks, rules, b.log), wire.DecisionDigest(thresholds, b.readers.ids())
}

// activate puts an installed model in the place of one that reads, or beside it
// as the second reader, between two images. Until it has been tried, nothing has
// changed; the state on the disk comes before the swap, so that a service that
// dies in between finds what was tried.
func (b *box) activate(ctx context.Context, a activation) (any, error) {
	b.swapping.Lock()
	defer b.swapping.Unlock()
	place := slices.Index([]slots.Reader{slots.First, slots.Second}, a.Reader)
	if place < 0 {
		return nil, fmt.Errorf("there is no %s reader", a.Reader)
	}
	began := time.Now()
	store := b.config.slots()
	m, err := b.config.openBehind(ctx, store.Path(a.Digest), b.config.inferOptions(place, max(place+1, len(b.readers.opened))), b.decoder.Decode)
	if err != nil {
		return nil, err
	}
	next := b.readers.with(place, reader{m})
	if len(next.opened) > len(b.readers.opened) {
		err = next.settle(ctx, b.config)
	}
	var known []testPicture
	if err == nil {
		known, err = next.testPictures(ctx, b.decoder.Decode)
	}
	if err == nil {
		err = store.Activate(a.Reader, a.Digest)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	b.seat(next, known, b.readers.opened[place:min(place+1, len(b.readers.opened))])
	b.announce([]reader{{m}}, time.Since(began))
	return struct{}{}, nil
}

// deactivate lets the second reader read no more, between two images.
func (b *box) deactivate(ctx context.Context, _ struct{}) (any, error) {
	b.swapping.Lock()
	defer b.swapping.Unlock()
	if len(b.readers.opened) < 2 {
		return nil, fmt.Errorf("reader %s: %w", slots.Second, slots.ErrEmpty)
	}
	began := time.Now()
	var opened []reader
	next, former := readers{}.with(0, b.readers.opened[0]), b.readers.opened[1:]
	if !b.readers.opened[0].Heatmaps() && b.readers.opened[0].Description().Explained() {
		// Who reads alone shows where it looked.
		m, err := b.config.openBehind(ctx, b.readers.opened[0].Folder(), b.config.inferOptions(0, 1), b.decoder.Decode)
		if err != nil {
			return nil, err
		}
		opened = []reader{{m}}
		next, former = readers{}.with(0, opened[0]), b.readers.opened
	}
	known, err := next.testPictures(ctx, b.decoder.Decode)
	if err == nil {
		err = b.config.slots().Deactivate(slots.Second)
	}
	if err != nil {
		for _, m := range opened {
			err = errors.Join(err, m.Close())
		}
		return nil, err
	}
	b.seat(next, known, former)
	b.announce(opened, time.Since(began))
	return struct{}{}, nil
}

// seat lets other readers answer from the next image on, and closes the former
// ones when their last image is done.
func (b *box) seat(next readers, known []testPicture, former []reader) {
	b.readers, b.known = next, known
	judge, decides := b.judge()
	b.pipeline.Replace(judge, decides, func() {
		for _, m := range former {
			if err := m.Close(); err != nil {
				b.log.Warn("the former model's session does not close", "error", err)
			}
			b.log.Info("the former model is closed", "name", m.id().Name, "version", m.id().Version)
		}
	})
}
