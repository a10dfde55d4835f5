// Package statistics says how good a classifier is, how sure one can be of
// that, and whether another one is better: the figures of the lab's reports.
//
// Most callers need three calls: Score for one variant's figures, Bootstrap for
// an interval of any of them, and McNemar with Holm for pairs of variants.
package statistics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Prediction is one picture's answer: calibrated probabilities by class, and
// the class that is true.
type Prediction struct {
	Probabilities []float64 // one for each class, 0 to 1, sum 1
	Truth         int       // index of the true class
}

// Answer is the class with the greatest probability, the first of equals.
func (p Prediction) Answer() int {
	best := 0
	for k, v := range p.Probabilities {
		if v > p.Probabilities[best] {
			best = k
		}
	}
	return best
}

// Right says whether the answer is the truth.
func (p Prediction) Right() bool { return p.Answer() == p.Truth }

// Confidence is the answer's probability.
func (p Prediction) Confidence() float64 { return p.Probabilities[p.Answer()] }

// Scores are a classifier's figures on one set of pictures. Shares are 0 to 1.
type Scores struct {
	Accuracy  float64   `json:"accuracy"`
	Recall    []float64 `json:"recall"`   // by true class; NaN-free: 0 for a class without pictures
	MacroF1   float64   `json:"macro_f1"` // mean over the classes that occur, as truth or as answer
	AUC       float64   `json:"auc"`      // one against the rest, mean over the classes
	ECE       float64   `json:"ece"`      // expected calibration error, 15 bins of equal width
	Brier     float64   `json:"brier"`    // sum over the classes of squared differences, mean over pictures: 0 to 2
	NLL       float64   `json:"nll"`      // mean negative log likelihood, nats
	Confusion [][]int   `json:"confusion"`
}

// Score returns the figures. It is an error when there is nothing to score, or
// a prediction does not fit the number of classes.
func Score(predictions []Prediction, classes int) (Scores, error) {
	if err := check(predictions, classes); err != nil {
		return Scores{}, err
	}
	s := Scores{Confusion: make([][]int, classes), Recall: make([]float64, classes)}
	for k := range s.Confusion {
		s.Confusion[k] = make([]int, classes)
	}
	n := float64(len(predictions))
	for _, p := range predictions {
		s.Confusion[p.Truth][p.Answer()]++
		for k, v := range p.Probabilities {
			d := v
			if k == p.Truth {
				d--
			}
			s.Brier += d * d / n
		}
		s.NLL -= math.Log(max(p.Probabilities[p.Truth], 1e-12)) / n
	}
	var f1, present float64
	for k := range classes {
		var truly, answered int
		for j := range classes {
			truly += s.Confusion[k][j]
			answered += s.Confusion[j][k]
		}
		s.Accuracy += float64(s.Confusion[k][k]) / n
		if truly > 0 {
			s.Recall[k] = float64(s.Confusion[k][k]) / float64(truly)
		}
		if truly+answered > 0 {
			f1 += 2 * float64(s.Confusion[k][k]) / float64(truly+answered)
			present++
		}
	}
	s.MacroF1 = f1 / present
	s.AUC = macroAUC(predictions, classes)
	for _, b := range Reliability(predictions, 15) {
		s.ECE += float64(b.Count) / n * math.Abs(b.Confidence-b.Accuracy)
	}
	return s, nil
}

func check(predictions []Prediction, classes int) error {
	if len(predictions) == 0 {
		return fmt.Errorf("there are no predictions to score")
	}
	for i, p := range predictions {
		if len(p.Probabilities) != classes || p.Truth < 0 || p.Truth >= classes {
			return fmt.Errorf("prediction %d has %d probabilities and the true class %d, of %d classes", i, len(p.Probabilities), p.Truth, classes)
		}
	}
	return nil
}

// macroAUC is the mean area under the ROC curve, each class against the rest:
// the chance that a picture of the class has the greater probability, equal
// ones counting half (Hanley and McNeil 1982). Classes that are all or nothing
// have no curve and are left out; with none left it is 0.5.
func macroAUC(predictions []Prediction, classes int) float64 {
	var sum, counted float64
	for k := range classes {
		if area, ok := AUC(predictions, k); ok {
			sum += area
			counted++
		}
	}
	if counted == 0 {
		return 0.5
	}
	return sum / counted
}

// AUC of one class against the rest; false when it has no curve.
func AUC(predictions []Prediction, class int) (float64, bool) {
	ordered := byProbability(predictions, class)
	var positives, negatives, wins float64
	for i := 0; i < len(ordered); {
		var pos, neg float64
		v := ordered[i].Probabilities[class]
		for ; i < len(ordered) && ordered[i].Probabilities[class] == v; i++ {
			if ordered[i].Truth == class {
				pos++
			} else {
				neg++
			}
		}
		wins += neg * (positives + pos/2) // positives before have greater probabilities
		positives, negatives = positives+pos, negatives+neg
	}
	if positives == 0 || negatives == 0 {
		return 0, false
	}
	return wins / (positives * negatives), true
}

// byProbability returns the predictions with the greatest probability of the
// class first.
func byProbability(predictions []Prediction, class int) []Prediction {
	ordered := slices.Clone(predictions)
	slices.SortStableFunc(ordered, func(a, b Prediction) int {
		return cmp.Compare(b.Probabilities[class], a.Probabilities[class])
	})
	return ordered
}
