package statistics_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spinebox/lab/statistics"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %.6f, want %.6f", what, got, want)
	}
}

func predictions() []statistics.Prediction {
	return []statistics.Prediction{
		{Probabilities: []float64{0.7, 0.2, 0.1}, Truth: 0},
		{Probabilities: []float64{0.4, 0.5, 0.1}, Truth: 0},
		{Probabilities: []float64{0.1, 0.8, 0.1}, Truth: 1},
		{Probabilities: []float64{0.3, 0.3, 0.4}, Truth: 2},
	}
}

// Worked by hand.
func TestScore(t *testing.T) {
	s, err := statistics.Score(predictions(), 3)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "accuracy", s.Accuracy, 0.75, 1e-12)
	if want := [][]int{{1, 1, 0}, {0, 1, 0}, {0, 0, 1}}; !cmp.Equal(s.Confusion, want) {
		t.Errorf("confusion %v, want %v", s.Confusion, want)
	}
	if want := []float64{0.5, 1, 1}; !cmp.Equal(s.Recall, want) {
		t.Errorf("recall %v, want %v", s.Recall, want)
	}
	near(t, "macro-F1", s.MacroF1, (2./3+2./3+1)/3, 1e-12)
	near(t, "AUC", s.AUC, 1, 1e-12) // each class's pictures have its greatest probabilities
	near(t, "Brier", s.Brier, (0.09+0.04+0.01+0.36+0.25+0.01+0.01+0.04+0.01+0.09+0.09+0.36)/4, 1e-12)
	near(t, "NLL", s.NLL, -(math.Log(0.7)+math.Log(0.4)+math.Log(0.8)+math.Log(0.4))/4, 1e-12)
	// Four bins of one picture each: |0.7−1|, |0.5−0|, |0.8−1|, |0.4−1|.
	near(t, "ECE", s.ECE, (0.3+0.5+0.2+0.6)/4, 1e-12)
	if _, err := statistics.Score(nil, 3); err == nil {
		t.Error("nothing was scored, without an error")
	}
	if _, err := statistics.Score(predictions(), 2); err == nil {
		t.Error("three probabilities for two classes, without an error")
	}
}

func TestAUCCountsEqualsHalf(t *testing.T) {
	p := []statistics.Prediction{
		{Probabilities: []float64{0.9, 0.1}, Truth: 0},
		{Probabilities: []float64{0.5, 0.5}, Truth: 0},
		{Probabilities: []float64{0.5, 0.5}, Truth: 1},
		{Probabilities: []float64{0.6, 0.4}, Truth: 1},
	}
	// Of four pairs, two are won (0.9 over both), one is even, one is lost.
	area, ok := statistics.AUC(p, 0)
	if !ok {
		t.Fatal("no curve")
	}
	near(t, "AUC", area, 2.5/4, 1e-12)
	want := []statistics.Point{{X: 0, Y: 0}, {X: 0, Y: 0.5}, {X: 0.5, Y: 0.5}, {X: 1, Y: 1}}
	if got := statistics.ROC(p, 0); !cmp.Equal(got, want) {
		t.Errorf("ROC %v, want %v", got, want)
	}
	if _, ok := statistics.AUC(p[:2], 0); ok {
		t.Error("one class alone has a curve")
	}
}

func TestRiskCoverage(t *testing.T) {
	want := []statistics.Point{{X: 0.25, Y: 0}, {X: 0.5, Y: 0}, {X: 0.75, Y: 1. / 3}, {X: 1, Y: 0.25}}
	if got := statistics.RiskCoverage(predictions()); !cmp.Equal(got, want) {
		t.Errorf("risk-coverage %v, want %v", got, want)
	}
}

// The paper's 335 and 332 of 338, and few pictures.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{335, 338, 0.974, 0.997}, {332, 338, 0.962, 0.992}, {0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {5, 10, 0.2366, 0.7634}} {
		got := statistics.Wilson(c.k, c.n)
		near(t, "low", got.Low, c.low, 6e-4)
		near(t, "high", got.High, c.high, 6e-4)
	}
	if got := statistics.Wilson(0, 0); got != (statistics.Interval{Low: 0, High: 1}) {
		t.Errorf("0 of 0: %v", got)
	}
}

func TestMcNemarAndHolm(t *testing.T) {
	first, second := make([]bool, 338), make([]bool, 338)
	for i := range first {
		first[i], second[i] = i >= 3, i >= 3
	}
	for i := 3; i < 6; i++ {
		second[i] = false
	}
	// 335 and 332 of 338, at their most different: 3 to 0, p = 2/8.
	a, b, p := statistics.McNemar(first, second)
	if a != 3 || b != 0 {
		t.Errorf("%d and %d, want 3 and 0", a, b)
	}
	near(t, "p", p, 0.25, 1e-12)
	if _, _, p = statistics.McNemar(first, first); p != 1 {
		t.Errorf("p of no difference is %g", p)
	}
	got := statistics.Holm([]float64{0.01, 0.04, 0.03, 0.005})
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		near(t, "Holm", got[i], want, 1e-12)
	}
}

func TestMeanSD(t *testing.T) {
	mean, sd := statistics.MeanSD([]float64{2, 4, 4, 4, 5, 5, 7, 9})
	near(t, "mean", mean, 5, 1e-12)
	near(t, "sd", sd, math.Sqrt(32./7), 1e-12)
}

func TestBootstrap(t *testing.T) {
	stratum := make([]int, 200)
	for i := range stratum {
		stratum[i] = i % 2
	}
	share := func(items []int) float64 { // of items below 100
		n := 0.0
		for _, i := range items {
			if i < 100 {
				n++
			}
		}
		return n / float64(len(items))
	}
	got := statistics.Bootstrap(stratum, 1, share)
	// A binomial's interval: 0.5 ± 1.96·√(0.25/200).
	near(t, "low", got.Low, 0.431, 0.015)
	near(t, "high", got.High, 0.569, 0.015)
	if again := statistics.Bootstrap(stratum, 1, share); again != got {
		t.Errorf("the same seed gave %v and %v", got, again)
	}
	odd := func(items []int) float64 {
		n := 0.0
		for _, i := range items {
			n += float64(stratum[i])
		}
		return n / float64(len(items))
	}
	if got := statistics.Bootstrap(stratum, 1, odd); got != (statistics.Interval{Low: 0.5, High: 0.5}) {
		t.Errorf("strata were mixed: %v", got)
	}
}

// Several figures come from the same draws as each alone.
func TestBootstraps(t *testing.T) {
	stratum := []int{0, 0, 0, 1, 1, 1, 1, 1}
	sum := func(items []int) (s float64) {
		for _, i := range items {
			s += float64(i * i)
		}
		return s
	}
	most := func(items []int) float64 { return float64(slices.Max(items)) }
	got := statistics.Bootstraps(stratum, 7, func(items []int) []float64 { return []float64{sum(items), most(items)} })
	want := []statistics.Interval{statistics.Bootstrap(stratum, 7, sum), statistics.Bootstrap(stratum, 7, most)}
	if !cmp.Equal(got, want) {
		t.Errorf("together %v, alone %v", got, want)
	}
}
