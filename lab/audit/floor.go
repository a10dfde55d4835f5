package audit

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/statistics"
)

// numbers of a file that a network may answer from.
var numbers = []struct {
	name string
	of   func(Facts) float64
}{
	{"width", func(f Facts) float64 { return float64(f.Width) }},
	{"height by width", func(f Facts) float64 { return float64(f.Height) / float64(f.Width) }},
	{"bytes per pixel", Facts.BytesPerPixel},
	{"mean grey", func(f Facts) float64 { return f.MeanGrey }},
	{"black border", func(f Facts) float64 { return f.BlackBorder }},
}

// Trait is how well one number of the file tells one class from the others.
type Trait struct {
	Name  string      `json:"name"`
	Label spine.Label `json:"label"`
	AUC   float64     `json:"auc"` // 0.5 is chance, 1 is always; whether more or less of it tells the class
}

func traits(facts []Facts) []Trait {
	var all []Trait
	for _, n := range numbers {
		for k, label := range spine.Labels() {
			var ranked []statistics.Prediction
			for _, f := range facts {
				if f.Unreadable == "" {
					row := make([]float64, len(spine.Labels()))
					row[k] = n.of(f)
					ranked = append(ranked, statistics.Prediction{Probabilities: row, Truth: slices.Index(spine.Labels(), f.Label)})
				}
			}
			if area, ok := statistics.AUC(ranked, k); ok {
				all = append(all, Trait{n.name, label, max(area, 1-area)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Trait) int { return cmp.Compare(b.AUC, a.AUC) })
	return all
}

// floors cross-validates classifiers that get five numbers of a file and no
// picture: width, height by width, bytes per pixel, mean grey and black border.
// What they get right, a network can get right without looking at a spine. The
// folds are the study's, or the lab's own: grouped, stratified, by the seed. The
// last one gets only the kind of file.
func floors(facts []Facts, o Options) ([]Floor, Floor, error) {
	labels := spine.Labels()
	set := new(dataset.Set)
	var rows, kinds [][]float64
	var truth, folds []int
	numbered := map[string]float64{}
	for _, f := range facts {
		fold, known := o.Folds[f.SHA256]
		if f.Unreadable != "" || o.Folds != nil && !known {
			continue
		}
		folds = append(folds, fold)
		set.Items = append(set.Items, dataset.Item{SHA256: f.SHA256, Label: f.Label, Group: f.Group})
		row := make([]float64, len(numbers))
		for j, n := range numbers {
			row[j] = n.of(f)
		}
		rows = append(rows, row)
		if _, ok := numbered[f.kind()]; !ok {
			numbered[f.kind()] = float64(len(numbered))
		}
		kinds = append(kinds, []float64{numbered[f.kind()]})
		truth = append(truth, slices.Index(labels, f.Label))
	}
	if o.Folds == nil {
		var err error
		if folds, err = set.Folds(dataset.Folds, o.Seed); err != nil {
			return nil, Floor{}, err
		}
	}
	if len(folds) == 0 || slices.Min(folds) == slices.Max(folds) {
		return nil, Floor{}, errors.New("the pictures are not of two folds at least: there is nothing to fit the floors on")
	}
	all := []Floor{
		{Name: "A random forest"},
		{Name: "A logistic regression"},
		{Name: "The largest class"},
	}
	fit := []func([][]float64, []int) classifier{
		func(x [][]float64, y []int) classifier { return growForest(x, y, len(labels), o.Seed) },
		func(x [][]float64, y []int) classifier { return fitLogistic(x, y, len(labels)) },
		func(_ [][]float64, y []int) classifier { return largest(y, len(labels)) },
	}
	for i := range all {
		all[i].validate(rows, truth, folds, len(labels), fit[i])
	}
	kind := Floor{Name: "The kind of file"}
	kind.validate(kinds, truth, folds, len(labels), func(x [][]float64, y []int) classifier { return byKind(x, y, len(labels)) })
	return all, kind, nil
}

// byKind answers the class that was most frequent among files of the same kind,
// or among all where that kind is new.
func byKind(x [][]float64, y []int, classes int) classifier {
	of := map[float64][]int{}
	for i, row := range x {
		of[row[0]] = append(of[row[0]], y[i])
	}
	all := largest(y, classes)
	return func(row []float64) int {
		if same, ok := of[row[0]]; ok {
			return largest(same, classes)(row)
		}
		return all(row)
	}
}

// classifier answers with a class for one file's numbers.
type classifier func(row []float64) int

func (f *Floor) validate(rows [][]float64, truth, folds []int, classes int, fit func([][]float64, []int) classifier) {
	f.Confusion = make([][]int, classes)
	for k := range f.Confusion {
		f.Confusion[k] = make([]int, classes)
	}
	right := 0
	for fold := range dataset.Folds {
		var x [][]float64
		var y []int
		for i, row := range rows {
			if folds[i] != fold {
				x, y = append(x, row), append(y, truth[i])
			}
		}
		if len(x) == len(rows) {
			continue // no picture of this fold is here
		}
		answer := fit(x, y)
		for i, row := range rows {
			if folds[i] != fold {
				continue
			}
			k := answer(row)
			f.Confusion[truth[i]][k]++
			if k == truth[i] {
				right++
			}
		}
	}
	f.Accuracy = float64(right) / float64(len(rows))
	f.Interval = statistics.Wilson(right, len(rows))
}

func largest(y []int, classes int) classifier {
	counts := make([]int, classes)
	for _, k := range y {
		counts[k]++
	}
	return func([]float64) int { return slices.Index(counts, slices.Max(counts)) }
}

// fitLogistic is multinomial logistic regression on standardised numbers, with
// a ridge of 1/n, by gradient descent to the end: five numbers and a few
// hundred rows make no haste necessary.
func fitLogistic(x [][]float64, y []int, classes int) classifier {
	n, d := float64(len(x)), len(x[0])
	centre, scale := make([]float64, d), make([]float64, d)
	for j := range d {
		column := make([]float64, len(x))
		for i, row := range x {
			column[i] = row[j]
		}
		centre[j], scale[j] = statistics.MeanSD(column)
		if scale[j] == 0 {
			scale[j] = 1
		}
	}
	standard := func(row []float64) []float64 {
		z := make([]float64, d+1)
		for j, v := range row {
			z[j] = (v - centre[j]) / scale[j]
		}
		z[d] = 1
		return z
	}
	z := make([][]float64, len(x))
	for i, row := range x {
		z[i] = standard(row)
	}
	weights := make([][]float64, classes)
	for k := range weights {
		weights[k] = make([]float64, d+1)
	}
	logits := func(z []float64) []float64 {
		l := make([]float64, classes)
		for k, w := range weights {
			for j, v := range z {
				l[k] += w[j] * v
			}
		}
		return l
	}
	const steps, rate = 3000, 0.5
	for range steps {
		gradient := make([][]float64, classes)
		for k, w := range weights {
			gradient[k] = make([]float64, d+1)
			for j := range d {
				gradient[k][j] = w[j] / n
			}
		}
		for i, row := range z {
			p := logits(row)
			top, sum := slices.Max(p), 0.0
			for k := range p {
				p[k] = math.Exp(p[k] - top)
				sum += p[k]
			}
			for k := range p {
				e := p[k] / sum
				if k == y[i] {
					e--
				}
				for j, v := range row {
					gradient[k][j] += e * v / n
				}
			}
		}
		for k := range weights {
			for j := range weights[k] {
				weights[k][j] -= rate * gradient[k][j]
			}
		}
	}
	return func(row []float64) int {
		l := logits(standard(row))
		return slices.Index(l, slices.Max(l))
	}
}
