package input

import "math"

// Resample scales a grey plane of sw×sh values to dw×dh with a triangle filter that widens with the
// reduction (bilinear when enlarging, area-like when reducing), so that no
// vertebral edge aliases away. Rows and columns are done apart.
func Resample(src []float32, sw, sh, dw, dh int) []float32 {
	columns, rows := taps(sw, dw), taps(sh, dh)
	// Rows first: the tall side shrinks before the wide one is touched, and
	// every pass over the source reads it in order.
	mid := make([]float32, dh*sw)
	for y, t := range rows {
		out := mid[y*sw : (y+1)*sw]
		for i, w := range t.weights {
			in := src[(t.first+i)*sw : (t.first+i+1)*sw]
			for x, v := range in {
				out[x] += w * v
			}
		}
	}
	dst := make([]float32, dh*dw)
	for y := range dh {
		in, out := mid[y*sw:(y+1)*sw], dst[y*dw:(y+1)*dw]
		for x, t := range columns {
			var sum float32
			for i, w := range t.weights {
				sum += w * in[t.first+i]
			}
			out[x] = sum
		}
	}
	return dst
}

// tap lists the source samples of one output sample.
type tap struct {
	first   int
	weights []float32 // sum 1
}

func taps(from, to int) []tap {
	scale := float64(from) / float64(to)
	support := math.Max(scale, 1)
	all := make([]tap, to)
	for i := range all {
		centre := (float64(i)+0.5)*scale - 0.5
		first := max(int(math.Ceil(centre-support)), 0)
		last := min(int(math.Floor(centre+support)), from-1)
		weights := make([]float32, last-first+1)
		var sum float64
		for k := range weights {
			sum += math.Max(0, 1-math.Abs(float64(first+k)-centre)/support)
		}
		for k := range weights {
			weights[k] = float32(math.Max(0, 1-math.Abs(float64(first+k)-centre)/support) / sum)
		}
		all[i] = tap{first, weights}
	}
	return all
}
