// Package limits makes a model's gate and thresholds from the pictures that it
// was trained with, and measures what each of them costs.
//
// The rules are fixed here, in numbers that were chosen on training pictures
// and on made strangers (lab/strangers) before any held-out picture or any
// real stranger was looked at. Nothing that a limit is made from is used to
// judge it: the gate's picture views are cross-validated inside the training
// part, and what depends on the network comes from the validation part, which
// the network has not learnt.
//
// Most callers need two calls: Set, when a training ends, and Cost, to say what
// the limits refuse.
package limits

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/models/description"
	"spinebox/models/gate"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// Look is what a finished model made of one picture.
type Look struct {
	Item    dataset.Item
	Part    dataset.Part
	Reading *spine.Reading
	Seen    gate.Seen
}

// LookAt lets the model look at the pictures of some parts of a data set, given
// the part of each item, on several cores.
func LookAt(ctx context.Context, m *infer.Model, data *dataset.Set, parts []dataset.Part, which []dataset.Part, cores int) ([]Look, error) {
	chosen := new(dataset.Set)
	part := map[string]dataset.Part{}
	for i, item := range data.Items {
		if slices.Contains(which, parts[i]) {
			chosen.Items = append(chosen.Items, item)
			part[item.SHA256] = parts[i]
		}
	}
	return dataset.Decode(chosen, max(cores, 1), func(item dataset.Item) (Look, error) {
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return Look{}, err
		}
		reading, seen, err := m.See(ctx, p, explain.MethodGradCAM)
		return Look{Item: item, Part: part[item.SHA256], Reading: reading, Seen: seen}, err
	}, func() {})
}

// The rules' numbers.
const (
	// pictureShare of the spines may be farther than the limit on the
	// picture's own distance, cross-validated.
	pictureShare = 0.015
	// featuresReach and outsideReach times the greatest value of a validation
	// spine is the limit: the greatest of a few dozen is not yet rare.
	featuresReach = 1.5
	outsideReach  = 1.15
	// leastSure is the least confidence threshold: below it one of the other
	// two labels may be as likely.
	leastSure = 0.4
)

// leastShape is the least standard deviation of the shape's logarithm: that of
// the paper's X-rays. A set of pictures of one size says nothing about others.
const leastShape = 0.3

// Least is the fewest pictures, and the fewest for validation, that limits are
// made from.
const (
	Least           = 40
	leastValidation = 4
)

// ErrFew says that there are too few pictures to make limits from.
var ErrFew = errors.New("too few pictures for a gate")

// Set makes the gate and the thresholds of a model from its looks at the
// training and the validation part; looks at other parts are left out.
func Set(looks []Look, seed uint64) (*gate.Gate, description.Thresholds, error) {
	var fit, validation []Look
	for _, l := range looks {
		switch l.Part {
		case dataset.Fit:
			fit = append(fit, l)
		case dataset.Validation:
			validation = append(validation, l)
		}
	}
	var t description.Thresholds
	if n := len(fit) + len(validation); n < Least || len(validation) < leastValidation {
		return nil, t, fmt.Errorf("%w: %d, of which %d for validation; it takes %d and %d", ErrFew, n, len(validation), Least, leastValidation)
	}
	g := new(gate.Gate)
	var err error
	if t.Picture, err = pictureViews(g, append(slices.Clone(fit), validation...), seed); err != nil {
		return nil, t, err
	}
	if t.Features, err = featuresView(g, fit, validation); err != nil {
		return nil, t, err
	}
	t.Confidence = confidence(validation)
	t.Outside = outside(validation)
	return g, t, nil
}

// Pictures makes the gate of a model that has learned every picture there is:
// with none left that its network has not seen, only the views of the pictures
// themselves can be made, and the limit on their distance.
func Pictures(looks []Look, seed uint64) (*gate.Gate, description.Thresholds, error) {
	var t description.Thresholds
	if len(looks) < Least {
		return nil, t, fmt.Errorf("%w: %d; it takes %d", ErrFew, len(looks), Least)
	}
	g := new(gate.Gate)
	var err error
	t.Picture, err = pictureViews(g, looks, seed)
	return g, t, err
}

// Wide returns limits for a model of made pictures. These are more alike than
// X-rays are, and such a model is for show: its gate only keeps out what has
// nothing of a spine.
func Wide(t description.Thresholds) description.Thresholds {
	t.Picture *= 2
	t.Features *= 2
	t.Outside = min(2*t.Outside, 1)
	t.Confidence = leastSure
	return t
}

// axes is how many principal axes each view keeps.
func axes(name string) int {
	if name == gate.Texture {
		return 10 // all that it has
	}
	return 20
}

// pictureViews adds the views of the picture itself, made from all looks, and
// returns the limit on their common distance. Middle, tail and limit come from
// distances to views that were made without the picture and its patient.
func pictureViews(g *gate.Gate, looks []Look, seed uint64) (limit float64, err error) {
	const folds, rounds = 5, 4 // several rounds, so that no one deal of the folds decides
	set := new(dataset.Set)
	for _, l := range looks {
		set.Items = append(set.Items, l.Item)
	}
	var fold [rounds][]int
	for r := range rounds {
		if fold[r], err = set.Folds(folds, seed+uint64(r)); err != nil {
			return 0, err
		}
	}
	common := make([]float64, len(looks))
	for _, name := range gate.Names() {
		if name == gate.Features {
			continue
		}
		raw := make([]float64, len(looks))
		for f := range folds * rounds {
			deal, f := fold[f/folds], f%folds
			v := fitView(name, rowsOf(looks, name, func(i int) bool { return deal[i] != f }))
			for i, l := range looks {
				if deal[i] == f {
					raw[i] += v.Raw(l.Seen.Of(name)) / rounds
				}
			}
		}
		v := fitView(name, rowsOf(looks, name, func(int) bool { return true }))
		calibrate(&v, raw)
		for i, r := range raw {
			common[i] = math.Hypot(common[i], v.Units(r))
		}
		g.Views = append(g.Views, v)
	}
	return quantile(common, 1-pictureShare), nil
}

// featuresView adds the view of the network's features, made from the training
// pictures alone and calibrated on validation: to the network that learnt them,
// training pictures are nearer than any other spine. Without features there is
// no such view and no limit.
func featuresView(g *gate.Gate, fit, validation []Look) (limit float64, err error) {
	if len(fit[0].Seen.Features) == 0 {
		return 0, nil
	}
	v := fitView(gate.Features, rowsOf(fit, gate.Features, func(int) bool { return true }))
	var raw []float64
	for _, l := range validation {
		raw = append(raw, v.Raw(l.Seen.Features))
	}
	calibrate(&v, raw)
	g.Views = append(g.Views, v)
	return featuresReach * v.Units(slices.Max(raw)), nil
}

func rowsOf(looks []Look, name string, take func(i int) bool) [][]float32 {
	var all [][]float32
	for i, l := range looks {
		if take(i) {
			all = append(all, l.Seen.Of(name))
		}
	}
	return all
}

// calibrate sets the view's units. They are no finer than those of normally
// distributed numbers: made pictures may all be alike.
func calibrate(v *gate.View, raw []float64) {
	v.Middle = quantile(raw, 0.5)
	v.Tail = max(quantile(raw, 0.95), v.Middle+1/math.Sqrt(float64(v.Axes)))
}

// quantile returns the value below which the share of the values lies, linear
// between neighbours.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := share * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-2)
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// confidence reads the risk–coverage curve of the validation part from its
// unsure end: as long as each answer given up is a wrong one, the risk falls at
// no cost. The threshold lies halfway to the first right answer.
func confidence(validation []Look) float64 {
	sorted := slices.SortedFunc(slices.Values(validation), func(a, b Look) int {
		switch p, q := a.Reading.Probability(), b.Reading.Probability(); {
		case p < q:
			return -1
		case p > q:
			return 1
		}
		return 0
	})
	wrong := 0
	for wrong < len(sorted) && sorted[wrong].Reading.Label != sorted[wrong].Item.Label {
		wrong++
	}
	if wrong == 0 || wrong == len(sorted) {
		return leastSure
	}
	halfway := (sorted[wrong-1].Reading.Probability() + sorted[wrong].Reading.Probability()) / 2
	return min(max(halfway, leastSure), 0.99)
}

// outside is the limit on the heatmap's share off the body.
func outside(validation []Look) float64 {
	greatest := 0.0
	for _, l := range validation {
		greatest = max(greatest, l.Reading.Outside)
	}
	return min(outsideReach*greatest, 1)
}
