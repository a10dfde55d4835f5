package regions

import (
	"cmp"
	"math"
	"slices"

	"spinebox/explain/relevance"
)

// lines is how many lines cut each row of cells. Along a line a polygon's
// share is exact, so a cell's share is wrong by less than 1/lines, and by
// nothing where edges stand upright and end on a line's border.
const lines = 32

// Plane returns which share of each cell lies inside, 0 to 1, on a grid of
// width×height cells over the whole picture.
func (r Region) Plane(width, height int) relevance.Plane {
	p := relevance.NewPlane(width, height)
	right, bottom := r.scale()
	x, y := float64(width)/right, float64(height)/bottom
	if len(r.Runs) > 0 {
		r.eachRun(func(column, top, end int) {
			addColumn(p, float64(column)*x, float64(column+1)*x, float64(top)*y, float64(end)*y)
		})
		return p
	}
	const step = 1. / lines
	for row := range height {
		for line := range lines {
			at := float64(row) + (float64(line)+0.5)*step
			for _, s := range inside(r.Polygons, at/y) {
				addSpan(p, row, s[0]*x, s[1]*x, step)
			}
		}
	}
	return p
}

// addSpan adds the span from one x to another, in cells, to a row of cells of
// which it covers a part.
func addSpan(p relevance.Plane, row int, from, to, part float64) {
	for column := max(int(from), 0); column < min(int(math.Ceil(to)), p.Width); column++ {
		share := math.Min(to, float64(column+1)) - math.Max(from, float64(column))
		i := row*p.Width + column
		p.Values[i] = float32(math.Min(float64(p.Values[i])+share*part, 1))
	}
}

// addColumn adds an upright rectangle, in cells.
func addColumn(p relevance.Plane, from, to, top, end float64) {
	for row := max(int(top), 0); row < min(int(math.Ceil(end)), p.Height); row++ {
		addSpan(p, row, from, to, math.Min(end, float64(row+1))-math.Max(top, float64(row)))
	}
}

// inside returns the spans of the line at y that lie in any of the polygons,
// from left to right, without overlaps. A polygon that crosses itself encloses
// what it goes round, however often.
func inside(polygons []Polygon, y float64) [][2]float64 {
	var spans [][2]float64
	for _, p := range polygons {
		spans = append(spans, enclosed(p, y)...)
	}
	slices.SortFunc(spans, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && s[0] <= merged[n-1][1] {
			merged[n-1][1] = math.Max(merged[n-1][1], s[1])
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}

// crossing of an edge and a line: +1 downwards, -1 upwards.
type crossing struct {
	x   float64
	way int
}

func enclosed(p Polygon, y float64) [][2]float64 {
	var found []crossing
	for i, b := range p {
		a := p[(i+len(p)-1)%len(p)]
		if (a[1] <= y) == (b[1] <= y) {
			continue
		}
		way := 1
		if a[1] > b[1] {
			way = -1
		}
		found = append(found, crossing{a[0] + (b[0]-a[0])*(y-a[1])/(b[1]-a[1]), way})
	}
	slices.SortFunc(found, func(a, b crossing) int { return cmp.Compare(a.x, b.x) })
	var spans [][2]float64
	round := 0
	for i, c := range found {
		if round != 0 {
			spans = append(spans, [2]float64{found[i-1].x, c.x})
		}
		round += c.way
	}
	return spans
}
