package outline

import (
	"math"

	"spinebox/internal/spine"
)

// rows of the grid that the column is looked for on, over the part of the
// picture that is not black border.
const rows = 240

// grid is a small copy of a picture, without its black border, in which every
// part has the same contrast.
type grid struct {
	width, height int
	sums          []float64 // of each row from its left end: width+1 a row
	left, top     float64   // of the grid in the picture, pixels
	cell          float64   // pixels a cell, in both directions
}

// black is the mean grey below which a row or column at the edge is border.
const black = 0.04

func gridOf(p *spine.Picture) *grid {
	x0, x1, y0, y1 := inner(p)
	g := &grid{left: float64(x0), top: float64(y0), height: rows, cell: float64(y1-y0) / rows}
	g.width = max(int(float64(x1-x0)/g.cell), 1)
	values := make([]float64, g.width*g.height)
	for y := range g.height {
		from, to := y0+int(float64(y)*g.cell), y0+int(math.Ceil(float64(y+1)*g.cell))
		for x := range g.width {
			values[y*g.width+x] = mean(p, x0+int(float64(x)*g.cell), x0+int(math.Ceil(float64(x+1)*g.cell)), from, min(to, y1))
		}
	}
	values = smooth(values, g.width, g.height)
	level(values, g.width, g.height)
	g.sums = make([]float64, (g.width+1)*g.height)
	for y := range g.height {
		for x, v := range values[y*g.width : (y+1)*g.width] {
			g.sums[y*(g.width+1)+x+1] = g.sums[y*(g.width+1)+x] + v
		}
	}
	return g
}

// inner is the part of the picture within its black border.
func inner(p *spine.Picture) (x0, x1, y0, y1 int) {
	columns, lines := make([]float64, p.Width), make([]float64, p.Height)
	for y := range p.Height {
		for x, v := range p.Pix[y*p.Width : (y+1)*p.Width] {
			columns[x] += float64(v) / float64(p.Height)
			lines[y] += float64(v) / float64(p.Width)
		}
	}
	trim := func(v []float64) (int, int) {
		lo, hi := 0, len(v)
		for lo < hi && v[lo] < black {
			lo++
		}
		for hi > lo && v[hi-1] < black {
			hi--
		}
		if hi-lo < len(v)/4 {
			return 0, len(v)
		}
		return lo, hi
	}
	x0, x1 = trim(columns)
	y0, y1 = trim(lines)
	return x0, x1, y0, y1
}

func mean(p *spine.Picture, x0, x1, y0, y1 int) float64 {
	x1, y1 = min(max(x1, x0+1), p.Width), min(max(y1, y0+1), p.Height)
	sum := 0.0
	for y := y0; y < y1; y++ {
		for _, v := range p.Pix[y*p.Width+x0 : y*p.Width+x1] {
			sum += float64(v)
		}
	}
	return sum / float64((x1-x0)*(y1-y0))
}

// smooth takes the mean over seven rows, so that noise and a disc's edges do not
// lead the band astray.
func smooth(v []float64, width, height int) []float64 {
	const reach = 3
	out := make([]float64, len(v))
	for y := range height {
		lo, hi := max(y-reach, 0), min(y+reach+1, height)
		for x := range width {
			sum := 0.0
			for k := lo; k < hi; k++ {
				sum += v[k*width+x]
			}
			out[y*width+x] = sum / float64(hi-lo)
		}
	}
	return out
}

// level divides each row by the spread of grey around it: a lumbar spine in
// thick soft tissue stands out as much as a thoracic one between lungs.
func level(v []float64, width, height int) {
	const reach, least = 20, 0.02
	first, second := make([]float64, height+1), make([]float64, height+1)
	for y := range height {
		first[y+1], second[y+1] = first[y], second[y]
		for _, g := range v[y*width : (y+1)*width] {
			first[y+1] += g
			second[y+1] += g * g
		}
	}
	for y := range height {
		lo, hi := max(y-reach, 0), min(y+reach+1, height)
		n := float64((hi - lo) * width)
		m := (first[hi] - first[lo]) / n
		spread := math.Sqrt(math.Max((second[hi]-second[lo])/n-m*m, 0))
		for x := range width {
			v[y*width+x] /= math.Max(spread, least)
		}
	}
}
