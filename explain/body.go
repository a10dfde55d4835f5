package explain

import (
	"slices"

	"spinebox/internal/spine"
)

// OffBody returns the share of the map, 0 to 1, that lies where there is no
// body: in the padding (see Outside), in a collimated border, and in the air
// around the body. It is 0 for an empty map. The error is that of a damaged map.
//
// The body's outline comes from the picture alone, without a second network:
// see bodyMask. It is coarse, and meant so: the map is.
func OffBody(h *spine.Heatmap, p *spine.Picture) (float64, error) {
	if h.Empty() {
		return 0, nil
	}
	w, rows := maskSize(p)
	values, err := Raw(h, w, rows)
	if err != nil {
		return 0, err
	}
	var off, all float64
	for i, body := range bodyMask(p, w, rows) {
		v := float64(values[i])
		all += v
		if !body {
			off += v
		}
	}
	padding := Outside(h)
	if all == 0 {
		return padding, nil
	}
	return padding + (1-padding)*off/all, nil
}

// maskSize is the body mask's size: 96 cells for the longer side.
func maskSize(p *spine.Picture) (w, h int) {
	const longer = 96
	side := max(p.Width, p.Height)
	return max(p.Width*longer/side, 1), max(p.Height*longer/side, 1)
}

// Greys, as shares of the range from the 1st to the 99th percentile, that are
// taken for air or for a shutter's black, and for unexposed film.
const (
	airBelow   = 0.06
	glareAbove = 0.97
)

// bodyMask tells for each of w×h cells whether it may be body. Rows and columns
// at the picture's edges that are black or white nearly throughout are a
// collimated border; what is black and reaches the edge, or that border,
// through black alone is air. Lungs are dark too, but lie within.
func bodyMask(p *spine.Picture, w, h int) []bool {
	grey := cellMeans(p, w, h)
	scratch, last := slices.Clone(grey), len(grey)-1
	lo, hi := spine.Ranked(scratch, last/100), spine.Ranked(scratch, last-last/100)
	black, white := make([]bool, w*h), make([]bool, w*h)
	for i, v := range grey {
		at := float64(v-lo) / max(float64(hi-lo), 1e-6)
		black[i], white[i] = at < airBelow, at > glareAbove
	}
	x0, y0, x1, y1 := withoutBorder(black, white, w, h)
	body := make([]bool, w*h)
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			body[y*w+x] = true
		}
	}
	var edge []int
	for y := y0; y < y1; y++ {
		edge = append(edge, y*w+x0, y*w+x1-1)
	}
	for x := x0; x < x1; x++ {
		edge = append(edge, y0*w+x, (y1-1)*w+x)
	}
	for len(edge) > 0 {
		i := edge[len(edge)-1]
		edge = edge[:len(edge)-1]
		if !body[i] || !black[i] {
			continue
		}
		body[i] = false
		for _, next := range [4][2]int{{i%w - 1, i / w}, {i%w + 1, i / w}, {i % w, i/w - 1}, {i % w, i/w + 1}} {
			if x, y := next[0], next[1]; x >= x0 && x < x1 && y >= y0 && y < y1 {
				edge = append(edge, y*w+x)
			}
		}
	}
	return body
}

// withoutBorder returns the cells, x0 to x1 and y0 to y1, that are left when
// rows and columns of one extreme grey are taken away from each edge. At least
// half of each side is left: what is more is no border.
func withoutBorder(black, white []bool, w, h int) (x0, y0, x1, y1 int) {
	uniform := func(first, step, n int) bool {
		dark, bright := 0, 0
		for i := range n {
			if black[first+i*step] {
				dark++
			}
			if white[first+i*step] {
				bright++
			}
		}
		return 20*max(dark, bright) >= 19*n
	}
	x1, y1 = w, h
	for y0 < h/4 && uniform(y0*w, 1, w) {
		y0++
	}
	for y1 > h-h/4 && uniform((y1-1)*w, 1, w) {
		y1--
	}
	for x0 < w/4 && uniform(x0, w, h) {
		x0++
	}
	for x1 > w-w/4 && uniform(x1-1, w, h) {
		x1--
	}
	return x0, y0, x1, y1
}

// cellMeans samples 2×2 places of each cell: enough for an outline,
// and the same few thousand reads for a picture of any size.
func cellMeans(p *spine.Picture, w, h int) []float32 {
	const n = 2
	means := make([]float32, w*h)
	for y := range h * n {
		row := p.Pix[(2*y+1)*p.Height/(2*h*n)*p.Width:]
		for x := range w * n {
			means[y/n*w+x/n] += row[(2*x+1)*p.Width/(2*w*n)] / (n * n)
		}
	}
	return means
}
