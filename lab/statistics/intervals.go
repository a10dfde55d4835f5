package statistics

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Interval of a figure.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// z95 is the normal distribution's 97.5th percentile.
const z95 = 1.959963984540054

// Wilson returns the 95 % interval of a share of k in n (Wilson 1927, doi
// 10.1080/01621459.1927.10502953). Nothing is known of 0 in 0: 0 to 1.
func Wilson(k, n int) Interval {
	if n == 0 {
		return Interval{0, 1}
	}
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z95*z95/(2*m)) / (1 + z95*z95/m)
	half := z95 / (1 + z95*z95/m) * math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	return Interval{max(0, centre-half), min(1, centre+half)}
}

// MeanSD returns the mean and the sample standard deviation (n−1); that of one
// value is 0.
func MeanSD(v []float64) (mean, sd float64) {
	if len(v) == 0 {
		return 0, 0
	}
	for _, x := range v {
		mean += x / float64(len(v))
	}
	if len(v) == 1 {
		return mean, 0
	}
	for _, x := range v {
		sd += (x - mean) * (x - mean) / float64(len(v)-1)
	}
	return mean, math.Sqrt(sd)
}

// Draws of the bootstrap.
const Draws = 1000

// Bootstrap returns the 95 % percentile interval of a figure under drawing n
// items again with replacement, inside each stratum: stratum[i] is that of item
// i (its true class, as a rule). figure gets the drawn items' indices. The same
// seed gives the same interval.
func Bootstrap(stratum []int, seed uint64, figure func(items []int) float64) Interval {
	return Bootstraps(stratum, seed, func(items []int) []float64 { return []float64{figure(items)} })[0]
}

// Bootstraps is Bootstrap for several figures of the same draws, always as many.
func Bootstraps(stratum []int, seed uint64, figures func(items []int) []float64) []Interval {
	members := map[int][]int{}
	for i, s := range stratum {
		members[s] = append(members[s], i)
	}
	strata := slices.Sorted(maps.Keys(members))
	random := rand.New(rand.NewPCG(seed, 0xb007))
	var drawn [][]float64 // by figure
	items := make([]int, 0, len(stratum))
	for range Draws {
		items = items[:0]
		for _, s := range strata {
			for range members[s] {
				items = append(items, members[s][random.IntN(len(members[s]))])
			}
		}
		for k, v := range figures(items) {
			if k == len(drawn) {
				drawn = append(drawn, nil)
			}
			drawn[k] = append(drawn[k], v)
		}
	}
	intervals := make([]Interval, len(drawn))
	for k, v := range drawn {
		slices.Sort(v)
		intervals[k] = Interval{quantile(v, 0.025), quantile(v, 0.975)}
	}
	return intervals
}

// quantile of sorted values, interpolated between them.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
