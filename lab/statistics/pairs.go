package statistics

import (
	"cmp"
	"math"
	"slices"
)

// McNemar compares two classifiers on the same pictures: how many only the
// first and only the second got right, and the exact two-sided p-value for
// that difference being chance (McNemar 1947; binomial, not its approximation).
func McNemar(first, second []bool) (onlyFirst, onlySecond int, p float64) {
	for i := range first {
		switch {
		case first[i] && !second[i]:
			onlyFirst++
		case second[i] && !first[i]:
			onlySecond++
		}
	}
	n, k := onlyFirst+onlySecond, min(onlyFirst, onlySecond)
	var tail float64
	for i := range k + 1 {
		tail += math.Exp(logChoose(n, i) - float64(n)*math.Ln2)
	}
	return onlyFirst, onlySecond, min(1, 2*tail)
}

func logChoose(n, k int) float64 {
	gamma := func(x int) float64 {
		v, _ := math.Lgamma(float64(x + 1))
		return v
	}
	return gamma(n) - gamma(k) - gamma(n-k)
}

// Holm corrects p-values for having made all these tests (Holm 1979): each may
// be compared with the level as if it were the only one.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	corrected := make([]float64, len(p))
	greatest := 0.0
	for rank, i := range order {
		greatest = max(greatest, min(1, p[i]*float64(len(p)-rank)))
		corrected[i] = greatest
	}
	return corrected
}
