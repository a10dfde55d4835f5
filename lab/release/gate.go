// Package release decides whether a variant may be released, and makes the
// model that is.
//
// Accuracy alone never releases a model: a network that answers from a marker,
// the padding or the picture's edge is accurate, too, on pictures that have
// them. The gate therefore looks at the unfavourable end of each interval, of
// accuracy and of where the heatmaps lie (Judge). What it says, and what a
// person did against it, travels in the model's description.
package release

import (
	"fmt"

	"spinebox/lab/statistics"
	"spinebox/models/description"
)

// Thresholds of the gate. All but Padding come from chance or from the paper.
type Thresholds struct {
	// Accuracy is the least lower end of the pooled accuracy's 95 % interval,
	// 0 to 1.
	Accuracy float64 `json:"accuracy"`
	// Lift is the least lower end of the mean lift's interval. 1 is chance.
	Lift float64 `json:"lift"`
	// Border is the greatest upper end of the mean share of the maps, 0 to 1,
	// that lies in the outer tenth of the picture at each side. An even map has
	// 0.36 there.
	Border float64 `json:"border"`
	// Padding is the greatest upper end of the mean share of the maps, 0 to 1,
	// that lies outside the picture, where there is nothing to see.
	Padding float64 `json:"padding"`
}

// Default returns thresholds with a reason each. Accuracy: nine of ten right at
// the least, which the paper's weakest known variant (317 of 338) still clears,
// so that accuracy is not what keeps a network out that looks elsewhere. Lift
// and border: a fifth better than a map that lies evenly over the picture
// (lift 1, border 0.36). Padding: a quarter.
func Default() Thresholds {
	return Thresholds{Accuracy: 0.90, Lift: 1.20, Border: 0.29, Padding: 0.25}
}

// Validate reports thresholds that no model, or any model, would clear.
func (t Thresholds) Validate() error {
	for name, v := range map[string]float64{"accuracy": t.Accuracy, "border": t.Border, "padding": t.Padding} {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("the gate's %s %v is no share, 0 to 1", name, v)
		}
	}
	if !(t.Lift >= 0) {
		return fmt.Errorf("the gate's lift %v is below 0", t.Lift)
	}
	return nil
}

// Map returns the thresholds by their names, as they go into a description.
func (t Thresholds) Map() map[string]float64 {
	return map[string]float64{"accuracy": t.Accuracy, "lift": t.Lift, "border": t.Border, "padding": t.Padding}
}

// Evidence is what a study found of a variant, out of fold. Nil is what it has
// not measured.
type Evidence struct {
	Missing               []int // folds that are not finished, or whose heatmaps are not measured
	Accuracy              statistics.Interval
	Lift, Border, Padding *statistics.Interval
}

// Verdict is what the gate says.
type Verdict struct {
	Released bool    `json:"released"`
	Checks   []Check `json:"checks"`
}

// Check is one of the gate's questions.
type Check struct {
	Name      string  `json:"name"` // folds, accuracy, lift, border, padding
	Passed    bool    `json:"passed"`
	Measured  bool    `json:"measured"`
	Value     float64 `json:"value"` // the unfavourable end of the interval
	Threshold float64 `json:"threshold"`
	Sentence  string  `json:"sentence"`
}

// Passed reports whether the check of that name is passed.
func (v Verdict) Passed(name string) bool {
	for _, c := range v.Checks {
		if c.Name == name {
			return c.Passed
		}
	}
	return false
}

// Failed returns the sentences of what is not passed.
func (v Verdict) Failed() []string {
	var all []string
	for _, c := range v.Checks {
		if !c.Passed {
			all = append(all, c.Sentence)
		}
	}
	return all
}

// Judge holds the evidence against the thresholds. What is not measured is not
// passed.
func Judge(e Evidence, t Thresholds) Verdict {
	folds := Check{Name: "folds", Passed: len(e.Missing) == 0, Measured: true, Value: float64(len(e.Missing)), Sentence: "all folds are finished and measured"}
	if !folds.Passed {
		folds.Sentence = fmt.Sprintf("folds %v are not finished and measured", e.Missing)
	}
	v := Verdict{Released: folds.Passed, Checks: []Check{folds}}
	for _, q := range []struct {
		name, what string
		interval   *statistics.Interval
		threshold  float64
		least      bool
		unit       float64 // 100 for per cent
	}{
		{"accuracy", "accuracy", &e.Accuracy, t.Accuracy, true, 100},
		{"lift", "lift (times as much of the map on the clinical region as chance)", e.Lift, t.Lift, true, 1},
		{"border", "the share of the maps in the picture's outer tenth", e.Border, t.Border, false, 100},
		{"padding", "the share of the maps outside the picture", e.Padding, t.Padding, false, 100},
	} {
		c := Check{Name: q.name, Threshold: q.threshold, Measured: q.interval != nil}
		number := func(x float64) string {
			if q.unit == 100 {
				return fmt.Sprintf("%.1f %%", 100*x)
			}
			return fmt.Sprintf("%.2f", x)
		}
		end, bound := "lower", "least"
		if !q.least {
			end, bound = "upper", "most"
		}
		switch {
		case !c.Measured:
			c.Sentence = fmt.Sprintf("%s is not measured", q.what)
		case q.least:
			c.Value = q.interval.Low
			c.Passed = c.Value >= c.Threshold
		default:
			c.Value = q.interval.High
			c.Passed = c.Value <= c.Threshold
		}
		if c.Measured {
			c.Sentence = fmt.Sprintf("%s: the 95 %% interval's %s end is %s, and must be at %s %s", q.what, end, number(c.Value), bound, number(c.Threshold))
		}
		v.Released = v.Released && c.Passed
		v.Checks = append(v.Checks, c)
	}
	return v
}

// Describe returns the judgement as it goes into a model's description. why is
// the reason of the person who released it against the gate, or empty.
func (v Verdict) Describe(t Thresholds, regions, why string) *description.Judgement {
	return &description.Judgement{Thresholds: t.Map(), Regions: regions, Failed: v.Failed(), Why: why}
}
