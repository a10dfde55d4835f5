package train

import (
	"errors"
	"slices"

	"spinebox/lab/dataset"
	"spinebox/models/description"
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
