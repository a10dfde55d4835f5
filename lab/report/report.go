// Package report turns the small files of a study's folds into one page, tables
// and JSON: how often each variant is right, how sure one can be of that, and
// where it looked.
//
// Most callers need three calls: Read for the folder that "spinelab cv" wrote,
// Make for the figures, and Report.Write for the files. The same input gives
// the same bytes.
//
// Pictures are called by the first digits of their SHA-256: nothing here knows
// a file's name.
package report

import (
	"spinebox/internal/spine"
	"spinebox/lab/look"
	"spinebox/lab/release"
	"spinebox/lab/statistics"
	"spinebox/lab/train"
)

// Report is everything that the page says, as figures. Shares are 0 to 1.
type Report struct {
	Use      string             `json:"use"`
	Study    Study              `json:"study"`
	Floors   []Floor            `json:"floors"`
	Paper    []Published        `json:"paper"`
	Variants []Variant          `json:"variants"`
	Pairs    []Pair             `json:"pairs"`
	Similar  []Similarity       `json:"similar"`
	Errors   []Wrong            `json:"errors"` // pictures that some variant has wrong
	Gate     release.Thresholds `json:"gate"`
	// Release is the variant to release; empty: none may be. Why says so in words.
	Release string   `json:"release"`
	Why     string   `json:"why"`
	Notes   []string `json:"notes"` // what the reader must know before the figures
	// Findings hold what the paper found against what is seen here.
	Findings []string `json:"findings"`

	runs *Runs
}

// Study is what was judged.
type Study struct {
	Pictures  int                 `json:"pictures"` // that at least one variant has answered
	Labels    map[spine.Label]int `json:"labels"`
	Folds     int                 `json:"folds"`
	Data      string              `json:"data"`   // digest of the data set
	Splits    string              `json:"splits"` // digest of the folds
	Phantom   bool                `json:"phantom"`
	Backbones []Backbone          `json:"backbones"`
	Missing   []string            `json:"missing"` // VARIANT/foldK, or a whole VARIANT
}

// Backbone that variants began with.
type Backbone struct {
	Network string `json:"network"`
	Origin  string `json:"origin"`
	Digest  string `json:"digest"`
	StandIn bool   `json:"stand_in"`
}

// Estimate is a figure with its 95 % interval.
type Estimate struct {
	Value float64 `json:"value"`
	statistics.Interval
}

// Floor is what one gets without looking at a spine.
type Floor struct {
	Name     string   `json:"name"`
	Pictures int      `json:"pictures"`
	Right    int      `json:"right"`
	Accuracy Estimate `json:"accuracy"` // with Wilson's interval
}

// Published is a row of the paper's table. Known is false for what is not
// known here; nothing is put in its place.
type Published struct {
	Variant  string   `json:"variant"`
	Known    bool     `json:"known"`
	Pictures int      `json:"pictures,omitempty"`
	Right    int      `json:"right,omitempty"`
	FoldMean float64  `json:"fold_mean,omitempty"`
	Accuracy Estimate `json:"accuracy,omitzero"` // pooled, with Wilson's interval
	Maps     string   `json:"maps,omitempty"`    // what it says of the heatmaps
}

// Variant is what is known of one network trained by one method.
type Variant struct {
	Name     string `json:"name"`
	Network  string `json:"network"`
	Method   string `json:"method"`
	Backbone string `json:"backbone,omitempty"` // what it began with, in words

	Folds   []FoldFigures `json:"folds"`
	Missing []int         `json:"missing"`

	Pictures int      `json:"pictures"`
	Right    int      `json:"right"`
	Accuracy Estimate `json:"accuracy"` // pooled, with Wilson's interval
	FoldMean float64  `json:"fold_mean"`
	FoldSD   float64  `json:"fold_sd"` // of the sample

	// With intervals of the stratified bootstrap.
	MacroF1 Estimate `json:"macro_f1"`
	AUC     Estimate `json:"auc"`
	ECE     Estimate `json:"ece"`
	Brier   Estimate `json:"brier"`
	NLL     Estimate `json:"nll"`

	Recall    []Estimate `json:"recall"` // by label, with Wilson's interval
	Confusion [][]int    `json:"confusion"`

	ROC          [][]statistics.Point `json:"roc"` // by label
	Reliability  []statistics.Bin     `json:"reliability"`
	RiskCoverage []statistics.Point   `json:"risk_coverage"`

	Maps       *look.Summary   `json:"maps"`       // nil when no fold's heatmaps are measured
	Unmeasured []int           `json:"unmeasured"` // finished folds whose heatmaps are not measured
	Verdict    release.Verdict `json:"verdict"`
	Words      Words           `json:"words"`

	answers []Answer
	rows    []*look.Rows
}

// FoldFigures are one fold's.
type FoldFigures struct {
	Fold        int           `json:"fold"`
	Pictures    int           `json:"pictures"`
	Right       int           `json:"right"`
	Accuracy    float64       `json:"accuracy"`
	BestEpoch   int           `json:"best_epoch"`
	Temperature float64       `json:"temperature"`
	Restarts    int           `json:"restarts"` // after stalls
	Seconds     float64       `json:"seconds"`
	History     []train.Epoch `json:"history"`
}

// bootstrapSeed is fixed: the same folds give the same intervals.
const bootstrapSeed = 1

func figures(r Run) (Variant, error) {
	c := r.Folds[0].Config
	v := Variant{Name: r.Name, Network: string(c.Network), Method: string(c.Method), Missing: r.Missing}
	if b := r.Folds[0].Done.Backbone; b != nil {
		v.Backbone = b.Origin
	}
	var accuracies []float64
	for _, f := range r.Folds {
		g := FoldFigures{Fold: f.Number, Pictures: len(f.Answers), BestEpoch: f.Done.BestEpoch,
			Temperature: f.Done.Temperature, Seconds: f.Done.Seconds, Restarts: f.Restarts, History: f.History}
		for _, a := range f.Answers {
			if a.Right() {
				g.Right++
			}
		}
		g.Accuracy = float64(g.Right) / float64(max(g.Pictures, 1))
		accuracies = append(accuracies, g.Accuracy)
		v.Folds = append(v.Folds, g)
		v.Pictures, v.Right = v.Pictures+g.Pictures, v.Right+g.Right
		v.answers = append(v.answers, f.Answers...)
		if f.Maps == nil {
			v.Unmeasured = append(v.Unmeasured, f.Number)
		} else {
			v.rows = append(v.rows, f.Maps)
		}
	}
	if len(v.rows) > 0 {
		v.Maps = look.Summarise(v.rows, bootstrapSeed)
	}
	v.FoldMean, v.FoldSD = statistics.MeanSD(accuracies)
	v.Accuracy = share(v.Right, v.Pictures)
	return v, v.score()
}

// share is k of n with Wilson's interval.
func share(k, n int) Estimate {
	return Estimate{float64(k) / float64(max(n, 1)), statistics.Wilson(k, n)}
}

func (v *Variant) score() error {
	classes := len(spine.Labels())
	predictions := make([]statistics.Prediction, len(v.answers))
	stratum := make([]int, len(v.answers))
	for i, a := range v.answers {
		predictions[i], stratum[i] = a.Prediction, a.Truth
	}
	s, err := statistics.Score(predictions, classes)
	if err != nil {
		return err
	}
	of := func(s statistics.Scores) []float64 { return []float64{s.MacroF1, s.AUC, s.ECE, s.Brier, s.NLL} }
	drawn := make([]statistics.Prediction, len(predictions))
	intervals := statistics.Bootstraps(stratum, bootstrapSeed, func(items []int) []float64 {
		for i, k := range items {
			drawn[i] = predictions[k]
		}
		s, err := statistics.Score(drawn, classes)
		if err != nil {
			panic(err) // drawn from what has a score
		}
		return of(s)
	})
	values := of(s)
	for i, e := range []*Estimate{&v.MacroF1, &v.AUC, &v.ECE, &v.Brier, &v.NLL} {
		*e = Estimate{values[i], intervals[i]}
	}
	v.Confusion = s.Confusion
	for k, row := range s.Confusion {
		n := 0
		for _, m := range row {
			n += m
		}
		v.Recall = append(v.Recall, share(row[k], n))
		v.ROC = append(v.ROC, statistics.ROC(predictions, k))
	}
	v.Reliability = statistics.Reliability(predictions, 15)
	v.RiskCoverage = statistics.RiskCoverage(predictions)
	return nil
}

// Slots returns the folds by number, nil for one that is not finished.
func (v Variant) Slots() []*FoldFigures {
	slots := make([]*FoldFigures, len(v.Folds)+len(v.Missing))
	for i := range v.Folds {
		slots[v.Folds[i].Fold] = &v.Folds[i]
	}
	return slots
}
