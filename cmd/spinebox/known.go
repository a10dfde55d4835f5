package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/runtime/infer"
	"spinebox/runtime/pipeline"
)

// knownAnswer is one golden case of a model, decoded: a made picture, and what
// the model answered where it was made.
type knownAnswer struct {
	picture *spine.Picture
	want    description.Golden
}

// errNoKnownAnswer says that a model brings no golden case.
var errNoKnownAnswer = errors.New("it has no golden case, so nothing can show that it answers here as where it was made")

// knownAnswers decodes the golden cases of the model folder.
func knownAnswers(ctx context.Context, dir string, d *description.Model, decode pipeline.Decoder) ([]knownAnswer, error) {
	var known []knownAnswer
	for _, g := range d.Golden {
		p, err := decode(ctx, filepath.Join(dir, filepath.FromSlash(g.File)))
		if err != nil {
			return nil, fmt.Errorf("golden case %s: %w", g.File, err)
		}
		known = append(known, knownAnswer{p, g})
	}
	return known, nil
}

// check asks the model for the answer and compares it, within the tolerance
// that its description allows for another machine's rounding.
func (k knownAnswer) check(ctx context.Context, m *infer.Model) error {
	r, _, err := m.Read(ctx, k.picture, explain.MethodGradCAM)
	if err != nil {
		return fmt.Errorf("golden case %s: %w", k.want.File, err)
	}
	if r.Label != k.want.Label {
		return fmt.Errorf("golden case %s: it answers %s here, and answered %s where it was made", k.want.File, r.Label, k.want.Label)
	}
	for i, p := range r.Probabilities {
		if !(math.Abs(p-k.want.Probabilities[i]) <= k.want.Tolerance) {
			return fmt.Errorf("golden case %s: the probability of %s is %.6f here, and was %.6f where it was made",
				k.want.File, r.Labels[i], p, k.want.Probabilities[i])
		}
	}
	if h := r.Heatmap; h != nil {
		if want := k.want.HeatmapMax; !(math.Abs(float64(h.Max)-want) <= k.want.Tolerance*math.Abs(want)) {
			return fmt.Errorf("golden case %s: the heatmap's maximum is %g here, and was %g where it was made", k.want.File, h.Max, want)
		}
	}
	return nil
}

// tried returns the last word on a model that is to be used: all of its golden
// cases, one after the other.
func tried(ctx context.Context, dir string, decode pipeline.Decoder) func(*infer.Model) error {
	return func(m *infer.Model) error {
		known, err := knownAnswers(ctx, dir, m.Description(), decode)
		if err != nil {
			return err
		}
		if len(known) == 0 {
			return errNoKnownAnswer
		}
		for _, k := range known {
			if err := k.check(ctx, m); err != nil {
				return err
			}
		}
		return nil
	}
}

const (
	// askEvery is how often a box that has nothing else to do asks its model
	// for a known answer, and askLatest how often one that has.
	askEvery  = 30 * time.Second
	askLatest = 5 * time.Minute
)

// keepAsking asks for a known answer now and then: a GPU that has died, or
// memory that has rotted, is found before an X-ray is.
func (b *box) keepAsking(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		s := b.health.Status()
		since := time.Since(s.Check.At)
		if since > askLatest || since > askEvery && !s.Busy {
			b.askKnown(ctx)
		}
	}
}

// testPicture is a known answer and the reader that is asked for it.
type testPicture struct {
	of reader
	knownAnswer
}

// testPictures are the known answers of all readers, taking turns.
func (r readers) testPictures(ctx context.Context, decode pipeline.Decoder) ([]testPicture, error) {
	var all [][]knownAnswer
	most := 0
	for _, m := range r.opened {
		known, err := knownAnswers(ctx, m.Folder(), m.Description(), decode)
		if err != nil {
			return nil, err
		}
		all = append(all, known)
		most = max(most, len(known))
	}
	var turns []testPicture
	for i := range most {
		for k, known := range all {
			if i < len(known) {
				turns = append(turns, testPicture{r.opened[k], known[i]})
			}
		}
	}
	return turns, nil
}

// askKnown asks one reader for one known answer and notes how it went.
// Until it is right again, no X-ray is taken.
func (b *box) askKnown(ctx context.Context) {
	b.swapping.Lock()
	defer b.swapping.Unlock()
	if len(b.known) == 0 {
		return
	}
	ask := b.known[b.asked%len(b.known)]
	b.asked++
	done := make(chan error, 1)
	go func() { done <- ask.check(ctx, ask.of.Model) }()
	limit := time.NewTimer(b.config.Limits.Network)
	defer limit.Stop()
	var err error
	select {
	case err = <-done:
	case <-limit.C:
		err = errStuck
		b.giveUp()
	}
	b.resting.Reset(restsAfter)
	if ctx.Err() != nil {
		return
	}
	check, trouble := spine.CheckStatus{At: time.Now()}, ""
	if err != nil {
		b.log.Error("the model does not give a known answer", "error", err)
		check.Error = err.Error()
		trouble = "The network gives a wrong answer to its test picture. X-rays wait; restart the box, and call for help if it stays so."
	}
	b.health.Trouble("model", trouble)
	b.health.Update(func(s *spine.Status) { s.Check, s.Ready = check, err == nil })
}

// wellAnswered says why no image may be judged now, or nil.
func (b *box) wellAnswered() error {
	if b.health.Status().Check.Error != "" {
		return errors.New("the network gives a wrong answer to its test picture")
	}
	return nil
}
