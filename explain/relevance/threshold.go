package relevance

import (
	"math"
	"slices"
)

// bins of the histogram that Otsu's threshold is chosen on, as scikit-image
// and OpenCV have it.
const bins = 256

// Otsu returns the threshold that parts the values into two classes with the
// greatest variance between them (Otsu 1979, doi 10.1109/TSMC.1979.4310076):
// the centre of the last histogram bin of the lower class. Values above it are
// the upper class. An even plane returns its one value.
func Otsu(p Plane) float64 {
	lo, hi := float64(slices.Min(p.Values)), float64(slices.Max(p.Values))
	if lo == hi {
		return lo
	}
	var counts [bins]float64
	width := (hi - lo) / bins
	for _, v := range p.Values {
		counts[min(int((float64(v)-lo)/width), bins-1)]++
	}
	centre := func(i int) float64 { return lo + (float64(i)+0.5)*width }
	var all, moment float64
	for i, n := range counts {
		all += n
		moment += n * centre(i)
	}
	var below, belowMoment, best float64
	threshold := lo
	for i, n := range counts[:bins-1] {
		below += n
		belowMoment += n * centre(i)
		above := all - below
		if below == 0 || above == 0 {
			continue
		}
		difference := belowMoment/below - (moment-belowMoment)/above
		if between := below * above * difference * difference; between > best {
			best, threshold = between, centre(i)
		}
	}
	return threshold
}

// iou of the map above Otsu's threshold and the region. A map that marks all
// cells alike marks all of them.
func iou(m, region Plane) float64 {
	threshold := Otsu(m)
	if slices.Min(m.Values) == slices.Max(m.Values) {
		threshold = math.Inf(-1)
	}
	var both, either float64
	for i, v := range m.Values {
		inMap, inRegion := float64(v) > threshold, in(region.Values[i])
		if inMap && inRegion {
			both++
		}
		if inMap || inRegion {
			either++
		}
	}
	if either == 0 {
		return 0
	}
	return both / either
}

// averagePrecision is the area under the precision-recall curve as a sum of
// precisions at each step of recall; equal values make one step. It is 0 when
// no cell counts as inside.
func averagePrecision(m, region Plane) float64 {
	order := descending(m.Values)
	var positives float64
	for _, r := range region.Values {
		if in(r) {
			positives++
		}
	}
	if positives == 0 {
		return 0
	}
	var hits, sum float64
	for i := 0; i < len(order); {
		before := hits
		v := m.Values[order[i]]
		for ; i < len(order) && m.Values[order[i]] == v; i++ {
			if in(region.Values[order[i]]) {
				hits++
			}
		}
		sum += (hits - before) / positives * hits / float64(i)
	}
	return sum
}

// descending returns the indices of the values, greatest first; equal values
// stay in reading order.
func descending(values []float32) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case values[a] > values[b]:
			return -1
		case values[a] < values[b]:
			return 1
		}
		return 0
	})
	return order
}
