package statistics

import (
	"cmp"
	"slices"
)

// Point of a curve.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// ROC returns the curve of one class against the rest: false positive rate to
// true positive rate, from (0,0) to (1,1). It is nil when the class has no
// curve.
func ROC(predictions []Prediction, class int) []Point {
	var positives, negatives float64
	for _, p := range predictions {
		if p.Truth == class {
			positives++
		} else {
			negatives++
		}
	}
	if positives == 0 || negatives == 0 {
		return nil
	}
	curve := []Point{{}}
	var hits, alarms float64
	ordered := byProbability(predictions, class)
	for i, p := range ordered {
		if p.Truth == class {
			hits++
		} else {
			alarms++
		}
		if i+1 == len(ordered) || ordered[i+1].Probabilities[class] != p.Probabilities[class] {
			curve = append(curve, Point{alarms / negatives, hits / positives})
		}
	}
	return curve
}

// RiskCoverage returns how often the answers are wrong (Y) when only the most
// confident share (X) of them is given (El-Yaniv and Wiener 2010). Equal
// confidences come in together.
func RiskCoverage(predictions []Prediction) []Point {
	ordered := slices.Clone(predictions)
	slices.SortStableFunc(ordered, func(a, b Prediction) int { return cmp.Compare(b.Confidence(), a.Confidence()) })
	var curve []Point
	wrong := 0.0
	for i, p := range ordered {
		if !p.Right() {
			wrong++
		}
		if i+1 == len(ordered) || ordered[i+1].Confidence() != p.Confidence() {
			curve = append(curve, Point{float64(i+1) / float64(len(ordered)), wrong / float64(i+1)})
		}
	}
	return curve
}

// Bin of a reliability curve: pictures whose confidence is alike.
type Bin struct {
	Low        float64 `json:"low"` // of its confidences; the bin reaches to Low + width, included
	Count      int     `json:"count"`
	Confidence float64 `json:"confidence"` // mean; 0 when the bin is empty
	Accuracy   float64 `json:"accuracy"`   // share of right answers; 0 when the bin is empty
}

// Reliability sorts the predictions into bins of equal width by confidence
// (Guo et al. 2017, arXiv 1706.04599).
func Reliability(predictions []Prediction, bins int) []Bin {
	all := make([]Bin, bins)
	for i := range all {
		all[i].Low = float64(i) / float64(bins)
	}
	for _, p := range predictions {
		c := p.Confidence()
		i := 0
		for i+1 < bins && c > float64(i+1)/float64(bins) {
			i++
		}
		all[i].Count++
		all[i].Confidence += c
		if p.Right() {
			all[i].Accuracy++
		}
	}
	for i := range all {
		if n := float64(all[i].Count); n > 0 {
			all[i].Confidence /= n
			all[i].Accuracy /= n
		}
	}
	return all
}
