package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"spinebox/lab/dataset"
	"spinebox/lab/train"
	"spinebox/models/description"
	"spinebox/models/weights"
)

// Plan is what a variant's folds say of how its final model is trained: on
// every picture, so that nothing is left to choose an epoch, a temperature or a
// threshold with.
type Plan struct {
	Config      train.Config // the folds', ending after the median of their best epochs
	Temperature float64      // median
	Thresholds  description.Thresholds
	Backbones   []description.Backbone // that the folds began with; more than one only of stand-ins
	Phantom     bool
}

// NewPlan makes the plan from the folds' configurations and results.
func NewPlan(configs []train.Config, results []train.Result) (Plan, error) {
	if len(configs) == 0 || len(configs) != len(results) {
		return Plan{}, errors.New("a final model needs at least one finished fold")
	}
	p := Plan{Config: configs[0]}
	of := func(value func(train.Result) float64) float64 {
		all := make([]float64, len(results))
		for i, r := range results {
			all[i] = value(r)
		}
		return median(all)
	}
	p.Config.Fold, p.Config.Folds = 0, 0
	p.Config.StopAfter = int(of(func(r train.Result) float64 { return float64(r.BestEpoch) }) + 0.5)
	p.Temperature = of(func(r train.Result) float64 { return r.Temperature })
	p.Thresholds.Confidence = of(func(r train.Result) float64 { return r.Thresholds.Confidence })
	p.Thresholds.Outside = of(func(r train.Result) float64 { return r.Thresholds.Outside })
	for _, r := range results {
		p.Phantom = p.Phantom || r.Phantom
		if b := r.Backbone; b != nil && !slices.Contains(p.Backbones, *b) {
			p.Backbones = append(p.Backbones, *b)
		}
	}
	return p, nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// Begin makes the plan begin with these weights, or says why the folds did not:
// a final model of other weights is not what they have judged.
func (p *Plan) Begin(w *weights.File) error {
	if len(p.Backbones) == 0 {
		if w != nil {
			return errors.New("the folds began with random weights: the final model takes none")
		}
		return nil
	}
	if w == nil {
		return fmt.Errorf("the folds began with pretrained weights (%s), and so must the final model", p.Backbones[0].Origin)
	}
	for _, b := range p.Backbones {
		if b.Digest == w.Digest || b.StandIn && w.StandIn {
			p.Config.Backbone = w.Digest
			return nil
		}
	}
	return fmt.Errorf("these are not the pretrained weights that the folds began with (%s, SHA-256 %.12s…)", p.Backbones[0].Origin, p.Backbones[0].Digest)
}

// Final is the training of a final model.
type Final struct {
	Plan
	Data     *dataset.Set
	Dir      string // gets the training's files, and model/
	Cache    string // of pooled features; empty: none
	Backbone *weights.File
	Cores    int
	Resume   bool
	Progress train.Progress

	Number    int                // of the release, from 1
	Figures   map[string]float64 // the variant's, cross-validated
	Judgement *description.Judgement
}

// Train trains the model on every picture and describes it as a release.
func (f Final) Train(ctx context.Context) (*train.Result, error) {
	switch {
	case f.Number < 1:
		return nil, errors.New("releases count from 1")
	case f.Judgement == nil || len(f.Judgement.Failed) > 0 && f.Judgement.Why == "":
		return nil, errors.New("the gate has not cleared the variant, and nobody says why it is released all the same")
	}
	r := train.Run{
		Config: f.Config, Data: f.Data, Dir: f.Dir, Cache: f.Cache, Backbone: f.Backbone, Cores: f.Cores,
		Resume: f.Resume, Phantom: f.Phantom, Progress: f.Progress, Version: fmt.Sprintf("release%d", f.Number),
		Release: &train.Release{Temperature: f.Temperature, Thresholds: f.Thresholds, Describe: f.describe},
	}
	return r.Train(ctx)
}

func (f Final) describe(m *description.Model) {
	m.Release, m.Figures, m.Judgement = f.Number, f.Figures, f.Judgement
}
