package relevance

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// window of SSIM, in cells.
const window = 7

// SSIM returns the mean structural similarity of two maps, -1 to 1, each
// scaled to 0–1 first: means, variances and covariance in every window of 7×7
// cells that lies whole in the plane (Wang et al. 2004, doi
// 10.1109/TIP.2003.819861; uniform windows and sample statistics, as
// scikit-image has it). Both planes need at least 7×7 cells.
func SSIM(a, b Plane) (float64, error) {
	if err := same(a, b); err != nil {
		return 0, err
	}
	if a.Width < window || a.Height < window {
		return 0, fmt.Errorf("similarity needs %dx%d cells, not %dx%d", window, window, a.Width, a.Height)
	}
	x, y := unit(a), unit(b)
	const c1, c2 = 0.01 * 0.01, 0.03 * 0.03
	const n = window * window
	var sum float64
	for top := range a.Height - window + 1 {
		for left := range a.Width - window + 1 {
			var sx, sy, sxx, syy, sxy float64
			for r := top; r < top+window; r++ {
				for i := r*a.Width + left; i < r*a.Width+left+window; i++ {
					u, v := x[i], y[i]
					sx, sy = sx+u, sy+v
					sxx, syy, sxy = sxx+u*u, syy+v*v, sxy+u*v
				}
			}
			mx, my := sx/n, sy/n
			vx, vy, cov := (sxx-n*mx*mx)/(n-1), (syy-n*my*my)/(n-1), (sxy-n*mx*my)/(n-1)
			sum += (2*mx*my + c1) * (2*cov + c2) / ((mx*mx + my*my + c1) * (vx + vy + c2))
		}
	}
	return sum / float64((a.Height-window+1)*(a.Width-window+1)), nil
}

// unit scales a plane to 0–1; an even one becomes zeros.
func unit(p Plane) []float64 {
	lo, hi := float64(slices.Min(p.Values)), float64(slices.Max(p.Values))
	scaled := make([]float64, len(p.Values))
	if lo == hi {
		return scaled
	}
	for i, v := range p.Values {
		scaled[i] = (float64(v) - lo) / (hi - lo)
	}
	return scaled
}

// Spearman returns the rank correlation of two maps, -1 to 1; equal values
// share their mean rank. It is 0 when a map is even, and so has no ranks.
func Spearman(a, b Plane) (float64, error) {
	if err := same(a, b); err != nil {
		return 0, err
	}
	ra, rb := ranks(a.Values), ranks(b.Values)
	if stat.Variance(ra, nil) == 0 || stat.Variance(rb, nil) == 0 {
		return 0, nil
	}
	return stat.Correlation(ra, rb, nil), nil
}

func ranks(values []float32) []float64 {
	order := descending(values)
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			ranks[k] = float64(i+j-1) / 2
		}
		i = j
	}
	return ranks
}
