package look

import (
	"fmt"
	"slices"

	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/lab/statistics"
)

// Estimate is a mean over pictures.
type Estimate struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	// Interval is the 95 % bootstrap interval; nil below two pictures, of
	// which nothing can be drawn.
	Interval *statistics.Interval `json:"interval,omitempty"`
}

// Group is some of the pictures, and what was measured on them. A measure that
// none of them has is not there.
type Group struct {
	Pictures int                                `json:"pictures"`
	Empty    int                                `json:"empty"` // maps that are zero everywhere
	Figures  map[Measure]Estimate               `json:"figures"`
	Floors   map[FloorKind]map[Measure]Estimate `json:"floors"` // on the same pictures
}

// Summary of several folds.
type Summary struct {
	All   Group `json:"all"`
	Right Group `json:"right"` // pictures that the network got right
	Wrong Group `json:"wrong"`
	// Classes holds the pictures by what they are, right or wrong; a class
	// without pictures is not there.
	Classes map[spine.Label]Group `json:"classes"`
	Regions map[string]int        `json:"regions"` // pictures by kind of region; "" has none
	// Sanity is the mean by step, over the folds that have steps; nil when they
	// are of different networks, or none has any.
	Sanity []Step `json:"sanity"`
	// Repeatability is the similarity (SSIM) of two folds' maps of one probe
	// picture, over the probe set.
	Repeatability Estimate `json:"repeatability"`
}

// Summarise makes means and intervals over the folds' pictures. Pictures are
// drawn again without regard to their class: the wrong answers, as a rule a
// handful, have classes with one picture, which a draw by class would always
// hold. The same seed gives the same intervals.
func Summarise(folds []*Rows, seed uint64) *Summary {
	s := &Summary{Regions: map[string]int{}, Classes: map[spine.Label]Group{}}
	var maps []Map
	var floors []Floor
	for _, f := range folds {
		maps, floors = append(maps, f.Maps...), append(floors, f.Floors...)
	}
	for _, m := range maps {
		s.Regions[m.Region]++
	}
	s.All = group(maps, floors, seed, func(Map) bool { return true })
	s.Right = group(maps, floors, seed, Map.Right)
	s.Wrong = group(maps, floors, seed, func(m Map) bool { return !m.Right() })
	for _, l := range spine.Labels() {
		if g := group(maps, floors, seed, func(m Map) bool { return m.Label == l }); g.Pictures > 0 {
			s.Classes[l] = g
		}
	}
	s.Sanity = meanSanity(folds)
	var pairs [][2]*Rows
	for i := range folds {
		for k := range i {
			pairs = append(pairs, [2]*Rows{folds[k], folds[i]})
		}
	}
	s.Repeatability = alike(pairs, seed)
	return s
}

// Reproducibility is the similarity (SSIM) of two networks' maps of one probe
// picture, over the probe set. first[i] and second[i] are of the same fold:
// they differ in the network alone, and not in what it learned from.
func Reproducibility(first, second []*Rows, seed uint64) (Estimate, error) {
	if len(first) != len(second) {
		return Estimate{}, fmt.Errorf("%d folds of one network beside %d of the other", len(first), len(second))
	}
	pairs := make([][2]*Rows, len(first))
	for i := range pairs {
		pairs[i] = [2]*Rows{first[i], second[i]}
	}
	return alike(pairs, seed), nil
}

func group(maps []Map, floors []Floor, seed uint64, in func(Map) bool) Group {
	g := Group{Floors: map[FloorKind]map[Measure]Estimate{}}
	var figures []Figures
	members := map[string]bool{}
	for _, m := range maps {
		if !in(m) {
			continue
		}
		g.Pictures++
		if m.Empty {
			g.Empty++
		}
		members[m.SHA256] = true
		figures = append(figures, m.Figures)
	}
	g.Figures = estimates(figures, seed)
	for _, kind := range FloorKinds() {
		figures = nil
		for _, f := range floors {
			if f.Kind == kind && members[f.SHA256] {
				figures = append(figures, f.Figures)
			}
		}
		if len(figures) > 0 {
			g.Floors[kind] = estimates(figures, seed)
		}
	}
	return g
}

func estimates(all []Figures, seed uint64) map[Measure]Estimate {
	of := map[Measure]Estimate{}
	for _, m := range Measures() {
		var values []float64
		for _, f := range all {
			if v, ok := f[m]; ok {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			of[m] = estimate(values, seed)
		}
	}
	return of
}

func estimate(values []float64, seed uint64) Estimate {
	e := Estimate{N: len(values)}
	e.Mean, _ = statistics.MeanSD(values)
	if e.N < 2 {
		return e
	}
	interval := statistics.Bootstrap(make([]int, e.N), seed, func(items []int) float64 {
		var sum float64
		for _, i := range items {
			sum += values[i]
		}
		return sum / float64(len(items))
	})
	e.Interval = &interval
	return e
}

// alike is the mean SSIM of the pairs' maps, over the pictures of the probe
// set. Two empty maps say nothing about each other and are left out.
func alike(pairs [][2]*Rows, seed uint64) Estimate {
	byPicture := map[int][]float64{}
	most := -1
	for _, pair := range pairs {
		for _, a := range pair[0].Probe {
			for _, b := range pair[1].Probe {
				if a.Picture != b.Picture || a.Map.Sum() == 0 && b.Map.Sum() == 0 {
					continue
				}
				ssim, err := relevance.SSIM(a.Map, b.Map)
				if err != nil {
					continue // one grid for all: tables of another size are not read
				}
				byPicture[a.Picture] = append(byPicture[a.Picture], ssim)
				most = max(most, a.Picture)
			}
		}
	}
	var values []float64
	for picture := range most + 1 {
		if all := byPicture[picture]; len(all) > 0 {
			mean, _ := statistics.MeanSD(all)
			values = append(values, mean)
		}
	}
	return estimate(values, seed)
}

// meanSanity is the mean over the folds that have steps, which are those of one
// network.
func meanSanity(folds []*Rows) []Step {
	folds = slices.DeleteFunc(slices.Clone(folds), func(f *Rows) bool { return len(f.Sanity) == 0 })
	if len(folds) == 0 {
		return nil
	}
	mean := make([]Step, len(folds[0].Sanity))
	for _, f := range folds {
		if !slices.EqualFunc(f.Sanity, folds[0].Sanity, func(a, b Step) bool { return a.Layer == b.Layer }) {
			return nil
		}
		for k, s := range f.Sanity {
			mean[k].Step, mean[k].Layer = s.Step, s.Layer
			mean[k].SSIM += s.SSIM / float64(len(folds))
			mean[k].Spearman += s.Spearman / float64(len(folds))
		}
	}
	return mean
}
