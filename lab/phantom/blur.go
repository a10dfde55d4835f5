package phantom

import "math"

// blur convolves v, of w×h values, with a bell of sigma pixels, using spare as
// room to work in. Beyond the edge the last value goes on. A narrow bell is a
// kernel of three taps; a wide one is two running means, whose cost does not
// grow with sigma.
func blur(v, spare []float32, w, h int, sigma float64) {
	if sigma <= 0 {
		return
	}
	if sigma < 0.75 {
		narrowRows(v, spare, w, h, sigma)
		narrowColumns(spare, v, w, h, sigma)
		return
	}
	// The variance of a mean over 2r+1 samples is r(r+1)/3; two of them make
	// a triangle, near enough to a bell for tissue and scatter.
	r := max(int(math.Round((math.Sqrt(1+6*sigma*sigma)-1)/2)), 1)
	meanRows(v, spare, w, h, r)
	meanRows(spare, v, w, h, r)
	meanColumns(v, spare, w, h, r)
	meanColumns(spare, v, w, h, r)
}

func narrowRows(src, dst []float32, w, h int, sigma float64) {
	side := float32(sigma * sigma / 2)
	for y := range h {
		in, out := src[y*w:(y+1)*w], dst[y*w:(y+1)*w]
		for x, v := range in {
			out[x] = v + side*(in[max(x-1, 0)]-2*v+in[min(x+1, w-1)])
		}
	}
}

func narrowColumns(src, dst []float32, w, h int, sigma float64) {
	side := float32(sigma * sigma / 2)
	for y := range h {
		above, in := src[max(y-1, 0)*w:], src[y*w:(y+1)*w]
		below, out := src[min(y+1, h-1)*w:], dst[y*w:(y+1)*w]
		for x, v := range in {
			out[x] = v + side*(above[x]-2*v+below[x])
		}
	}
}

func meanRows(src, dst []float32, w, h, r int) {
	scale := 1 / float32(2*r+1)
	for y := range h {
		in, out := src[y*w:(y+1)*w], dst[y*w:(y+1)*w]
		sum := float32(r) * in[0]
		for x := range r {
			sum += in[min(x, w-1)]
		}
		for x := range out {
			sum += in[min(x+r, w-1)]
			out[x] = sum * scale
			sum -= in[max(x-r, 0)]
		}
	}
}

// meanColumns keeps one running sum for each column, so that it too reads its
// source in the order of memory.
func meanColumns(src, dst []float32, w, h, r int) {
	scale := 1 / float32(2*r+1)
	sums := make([]float32, w)
	row := func(y int) []float32 {
		y = min(max(y, 0), h-1)
		return src[y*w : (y+1)*w]
	}
	for x, v := range row(0) {
		sums[x] = float32(r) * v
	}
	for y := range r {
		for x, v := range row(y) {
			sums[x] += v
		}
	}
	for y := range h {
		in, gone, out := row(y+r), row(y-r), dst[y*w:(y+1)*w]
		for x, v := range in {
			s := sums[x] + v
			out[x] = s * scale
			sums[x] = s - gone[x]
		}
	}
}
