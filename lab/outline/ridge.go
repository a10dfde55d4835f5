package outline

import (
	"math"

	"spinebox/internal/spine"
)

// taper is how the band's half width, in cells, grows from the top row of the
// grid to the bottom one: vertebrae do, from the neck to the sacrum.
type taper struct{ top, bottom float64 }

// tapers lists what is tried. A whole spine fills the grid's 240 rows with some
// 500 mm, so vertebrae of 25 to 50 mm are 12 to 24 cells wide; a close-up of the
// lumbar spine shows them twice as wide, and hardly wider below than above.
func tapers() []taper {
	var all []taper
	for top := 4.0; top <= 20; top *= 1.2 {
		for _, growth := range []float64{1, 1.2, 1.45, 1.75, 2.1} {
			if top*growth <= 26 {
				all = append(all, taper{top, top * growth})
			}
		}
	}
	return all
}

func (t taper) half(row int) int {
	return int(t.top + (t.bottom-t.top)*float64(row)/(rows-1) + 0.5)
}

// station is the band in one row.
type station struct {
	row          int
	middle, half float64 // cells
	win          float64 // how much it stands out, in spreads of grey
}

// strip is how many cells of the picture, on either side, an edge of the band is
// seen by; flank, how many the whole band is compared with.
const (
	strip = 2
	flank = 9
)

// win says how much the band about x, of a half width, stands out in a row: the
// steps down from inside to outside at its edges, the lower of them counting
// double, and half the step from the whole to the brighter of its flanks. No
// step counts for more than one spread of grey: metal and collimators are no
// better columns than bone.
func (g *grid) win(row, x, half int) float64 {
	left := g.step(row, x-half, strip, x-half-strip, strip)
	right := g.step(row, x+half+1-strip, strip, x+half+1, strip)
	before := g.step(row, x-half, 2*half+1, x-half-flank, flank)
	after := g.step(row, x-half, 2*half+1, x+half+1, flank)
	return (left+right)/2 + min(left, right)/2 + min(before, after)/2
}

// step is how much brighter one piece of a row is than another, -1 to 1; 0 where
// one of them lies beside the grid.
func (g *grid) step(row, inner, width, outer, beside int) float64 {
	in, ok := g.mean(row, inner, inner+width)
	out, too := g.mean(row, outer, outer+beside)
	if !ok || !too {
		return 0
	}
	return min(max(in-out, -1), 1)
}

// mean of a row between two columns; false where they lie beside the grid.
func (g *grid) mean(row, from, to int) (float64, bool) {
	from, to = max(from, 0), min(to, g.width)
	if to-from < 1 {
		return 0, false
	}
	sums := g.sums[row*(g.width+1):]
	return (sums[to] - sums[from]) / float64(to-from), true
}

// What a band that is as wide as it should be is taken to have over others: its
// value falls with the square of the logarithm, by these weights.
const (
	usual    = 8.0  // cells, of a whole spine's half width
	byUsual  = 1.0  // before a rhythm is heard
	ofRhythm = 0.52 // a vertebra's half width, by the way from disc to disc
	byRhythm = 2.0
)

// follow returns the band from top to bottom that stands out the most: first of
// a usual width, and once that lies on the column, of the width that the rhythm
// of the discs tells.
func (g *grid) follow(p *spine.Picture) ([]station, bool) {
	type candidate struct {
		path        []station
		value, half float64
	}
	var all []candidate
	for _, t := range tapers() {
		if 4*t.bottom <= float64(g.width) { // a column is no half of an X-ray
			path, value := g.along(t)
			all = append(all, candidate{path, value, (t.top + t.bottom) / 2})
		}
	}
	choose := func(half, weight float64) []station {
		var best []station
		most := math.Inf(-1)
		for _, c := range all {
			off := math.Log(c.half / half)
			if v := c.value * (1 - weight*off*off); v > most {
				best, most = c.path, v
			}
		}
		return best
	}
	best := choose(usual, byUsual)
	if best == nil {
		return nil, false
	}
	if r := g.rhythm(p, best); r > 0 {
		best = choose(ofRhythm*r, byRhythm)
	}
	return trim(even(best))
}

// even smooths the band along its way.
func even(path []station) []station {
	const reach = 6
	out := make([]station, len(path))
	for y, s := range path {
		lo, hi := max(y-reach, 0), min(y+reach+1, len(path))
		s.middle, s.half, s.win = 0, 0, 0
		for _, n := range path[lo:hi] {
			s.middle += n.middle / float64(hi-lo)
			s.half += n.half / float64(hi-lo)
			s.win += n.win / float64(hi-lo)
		}
		out[y] = s
	}
	return out
}

// trim keeps the run of rows that stands out the most, if it is two fifths of
// the picture's height at least.
func trim(path []station) ([]station, bool) {
	const faint = 0.2
	var best []station
	most, sum, lo := 0.0, 0.0, 0
	for i, s := range path {
		if sum <= 0 {
			lo, sum = i, 0
		}
		if sum += s.win - faint; sum > most {
			best, most = path[lo:i+1], sum
		}
	}
	return best, len(best) >= len(path)*2/5
}
