package spine

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRanked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, distinct := range []int{1, 2, 3, 10, 1000} {
		for _, n := range []int{1, 2, 3, 7, 100, 1001} {
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(random.IntN(distinct))
			}
			sorted := slices.Sorted(slices.Values(v))
			for k := range n {
				if got := Ranked(slices.Clone(v), k); got != sorted[k] {
					t.Fatalf("%d values of %d kinds: rank %d is %g, want %g", n, distinct, k, got, sorted[k])
				}
			}
			descending := slices.Clone(sorted)
			slices.Reverse(descending)
			if got := Ranked(descending, n/2); got != sorted[n/2] {
				t.Errorf("descending: %g, want %g", got, sorted[n/2])
			}
		}
	}
}
