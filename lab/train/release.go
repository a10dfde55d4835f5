package train

import (
	"context"
	"errors"
	"slices"

	"spinebox/lab/dataset"
	"spinebox/lab/limits"
	"spinebox/models/description"
	"spinebox/runtime/infer"
)

// Release is what a training on every picture takes from folds that were judged
// before: with nothing held out and nothing to validate on, it can choose
// nothing itself. Config.StopAfter is a part of it.
type Release struct {
	Temperature float64
	Thresholds  description.Thresholds // Confidence and Outside; the others are made
	// Describe completes the description: release number, figures, judgement.
	Describe func(*description.Model)
}

// releaseGolden is how many golden cases a release has.
const releaseGolden = 12

// split returns the part of each picture.
func (r *Run) split() ([]dataset.Part, error) {
	if (r.Release != nil) != (r.Config.StopAfter > 0) {
		return nil, errors.New("a training on every picture needs the epoch to stop after and what its folds have chosen, and no other training takes them")
	}
	if r.Release == nil {
		return r.Data.Split(r.Config.folds(), r.Config.Fold, r.Config.Seed)
	}
	return slices.Repeat([]dataset.Part{dataset.Fit}, len(r.Data.Items)), nil
}

// limitRelease makes the gate of a model that has learned every picture. What
// takes spines that it has not learned comes from the folds.
func (r *Run) limitRelease(ctx context.Context, m *infer.Model, dir string, d *description.Model) error {
	looks, err := limits.LookAt(ctx, m, r.Data, r.parts, []dataset.Part{dataset.Fit}, r.Cores)
	if err != nil {
		return err
	}
	g, thresholds, err := limits.Pictures(looks, r.Config.Seed)
	if errors.Is(err, limits.ErrFew) {
		r.say("%v: the model has none, and answers for pictures of anything", err)
		return nil
	}
	if err != nil {
		return err
	}
	if r.Phantom {
		thresholds = limits.Wide(thresholds)
	}
	thresholds.Confidence, thresholds.Outside = r.Release.Thresholds.Confidence, r.Release.Thresholds.Outside
	d.Thresholds = thresholds
	d.Gate, err = g.Write(dir)
	return err
}
