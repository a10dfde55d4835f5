package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

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
