package outline

import (
	"math"

	"spinebox/internal/spine"
)

// finer is how many samples of the rhythm make a row.
const finer = 2

// rhythm returns how far, in cells, it is from one disc to the next along the
// band's middle, or 0 where no rhythm is heard: the lag at which the brightness
// there is most like itself. A long way must be surer than a short one.
func (g *grid) rhythm(p *spine.Picture, path []station) float64 {
	const shortest, long = 12, 48 // samples: 6 and 24 cells
	const sure, surer, close = 0.15, 0.3, 0.8
	signal := g.brightness(p, path)
	power := 0.0
	for _, v := range signal {
		power += v * v
	}
	if power == 0 {
		return 0
	}
	likeness := make([]float64, min(100, len(signal)/3))
	best := 0.0
	for lag := shortest; lag < len(likeness); lag++ {
		for i := range len(signal) - lag {
			likeness[lag] += signal[i] * signal[i+lag] / power
		}
		best = math.Max(best, likeness[lag])
	}
	// The first peak that is nearly as high as the highest: two discs on are
	// alike as well.
	for lag := shortest + 1; lag+1 < len(likeness); lag++ {
		l := likeness[lag]
		peak := l >= likeness[lag-1] && l >= likeness[lag+1] && l >= close*best
		if peak && l >= sure && (l > surer || lag < long) {
			return float64(lag) / finer
		}
	}
	return 0
}

// brightness along the band's middle, less its mean over some vertebrae.
func (g *grid) brightness(p *spine.Picture, path []station) []float64 {
	const slow = 20
	signal := make([]float64, len(path)*finer)
	sums := make([]float64, len(signal)+1)
	for i := range signal {
		s := path[i/finer]
		x := math.Max(g.left+(s.middle-strip)*g.cell, 0)
		y := math.Min(g.top+(float64(s.row)+float64(i%finer)/finer)*g.cell, float64(p.Height-1))
		signal[i] = mean(p, min(int(x), p.Width-1), int(x+2*strip*g.cell), int(y), int(y+g.cell/finer)+1)
		sums[i+1] = sums[i] + signal[i]
	}
	for i := range signal {
		lo, hi := max(i-slow, 0), min(i+slow+1, len(signal))
		signal[i] -= (sums[hi] - sums[lo]) / float64(hi-lo)
	}
	return signal
}
