package report

import (
	"spinebox/lab/look"
	"spinebox/lab/statistics"
)

// Pair compares two variants on the pictures that both have answered.
type Pair struct {
	First      string  `json:"first"`
	Second     string  `json:"second"`
	Pictures   int     `json:"pictures"`
	OnlyFirst  int     `json:"only_first"`  // right
	OnlySecond int     `json:"only_second"` // right
	P          float64 `json:"p"`           // exact McNemar, two-sided
	Holm       float64 `json:"p_holm"`      // corrected for all pairs
	// Lift is the mean difference of lift, first less second, on the same
	// pictures; nil when it is not measured for both.
	Lift *Estimate `json:"lift_difference"`
}

// level below which a corrected p-value counts as a difference.
const level = 0.05

func pairs(variants []Variant) []Pair {
	var all []Pair
	var p []float64
	for i, a := range variants {
		for _, b := range variants[i+1:] {
			q := compare(a, b)
			all, p = append(all, q), append(p, q.P)
		}
	}
	for i, corrected := range statistics.Holm(p) {
		all[i].Holm = corrected
	}
	return all
}

func compare(a, b Variant) Pair {
	q := Pair{First: a.Name, Second: b.Name}
	other := map[string]Answer{}
	for _, y := range b.answers {
		other[y.SHA256] = y
	}
	var first, second []bool
	for _, x := range a.answers {
		if y, ok := other[x.SHA256]; ok {
			first, second = append(first, x.Right()), append(second, y.Right())
		}
	}
	q.Pictures = len(first)
	q.OnlyFirst, q.OnlySecond, q.P = statistics.McNemar(first, second)
	q.Lift = liftDifference(a.rows, b.rows)
	return q
}

// liftDifference is paired: both networks' maps of one picture have one region.
func liftDifference(a, b []*look.Rows) *Estimate {
	other := lifts(b)
	var differences []float64
	for _, rows := range a {
		for _, m := range rows.Maps {
			x, here := m.Figures[look.Lift]
			y, there := other[m.SHA256]
			if here && there {
				differences = append(differences, x-y)
			}
		}
	}
	if len(differences) < 2 {
		return nil
	}
	mean := func(items []int) float64 {
		var sum float64
		for _, i := range items {
			sum += differences[i]
		}
		return sum / float64(len(items))
	}
	all := make([]int, len(differences))
	interval := statistics.Bootstrap(all, bootstrapSeed, mean)
	value, _ := statistics.MeanSD(differences)
	return &Estimate{value, interval}
}

func lifts(folds []*look.Rows) map[string]float64 {
	of := map[string]float64{}
	for _, rows := range folds {
		for _, m := range rows.Maps {
			if v, ok := m.Figures[look.Lift]; ok {
				of[m.SHA256] = v
			}
		}
	}
	return of
}

// differ reports whether the accuracies of two variants differ for certain.
func (r *Report) differ(a, b string) bool {
	q, _, ok := r.pair(a, b)
	return ok && q.Holm < level
}
