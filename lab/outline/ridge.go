package outline

import "math"

// Half widths of the band, in cells. A whole spine fills the grid's 240 rows
// with some 500 mm, so a vertebra of 25 to 50 mm is 12 to 24 cells wide; a
// close-up of the lumbar spine shows one twice as wide.
const (
	least    = 5
	greatest = 22
	halves   = greatest - least + 1
)

// station is the band in one row.
type station struct {
	row          int
	middle, half float64 // cells
	contrast     float64 // above the brighter of its sides, in spreads of grey
}

// contrast says how much the band about x, of a half width, stands out in a row
// against the brighter of its two sides.
func (g *grid) contrast(row, x, half int) float64 {
	side := max(half*2/3, 2)
	s := g.sums[row*(g.width+1) : (row+1)*(g.width+1)]
	mean := func(from, to int) (float64, bool) {
		from, to = max(from, 0), min(to, g.width)
		if to-from < 1 {
			return 0, false
		}
		return (s[to] - s[from]) / float64(to-from), true
	}
	band, _ := mean(x-half, x+half+1)
	before, ok := mean(x-half-side, x-half)
	after, too := mean(x+half+1, x+half+1+side)
	switch {
	case ok && too:
		return band - math.Max(before, after)
	case ok || too: // beyond the edge there is nothing to stand out against
		return math.Min(band-math.Max(before, after), 0)
	}
	return -1
}

// What a step from row to row costs, in contrast.
const (
	bending  = 0.10 // for each cell that the middle moves
	widening = 0.25 // for each cell that the half width changes
	centring = 0.30 // at the picture's edge, of what a row can win
	enough   = 1.5  // contrast that counts: beyond, no band is better
)

// follow returns the band from top to bottom whose contrast, less what bending
// and widening cost, is the greatest of all: Viterbi's algorithm over the
// middles and half widths.
func (g *grid) follow() ([]station, bool) {
	if g.width < 2*least+3 {
		return nil, false
	}
	states := g.width * halves
	value, next := make([]float64, states), make([]float64, states)
	from := make([][]int8, g.height) // which of the nine steps led to a state
	for y := range g.height {
		from[y] = make([]int8, states)
		for x := range g.width {
			off := 2*(float64(x)+0.5)/float64(g.width) - 1
			for h := range halves {
				i := x*halves + h
				win := math.Min(g.contrast(y, x, h+least), enough) - centring*off*off
				if y == 0 {
					next[i] = win
					continue
				}
				best := math.Inf(-1)
				for dx := -1; dx <= 1; dx++ {
					for dh := -1; dh <= 1; dh++ {
						if x+dx < 0 || x+dx >= g.width || h+dh < 0 || h+dh >= halves {
							continue
						}
						v := value[i+dx*halves+dh] - bending*math.Abs(float64(dx)) - widening*math.Abs(float64(dh))
						if v > best {
							best, from[y][i] = v, int8(3*(dx+1)+dh+1)
						}
					}
				}
				next[i] = best + win
			}
		}
		value, next = next, value
	}
	end := 0
	for i, v := range value {
		if v > value[end] {
			end = i
		}
	}
	path := make([]station, g.height)
	for y, i := g.height-1, end; y >= 0; y-- {
		x, h := i/halves, i%halves
		path[y] = station{y, float64(x) + 0.5, float64(h+least) + 0.5, g.contrast(y, x, h+least)}
		step := int(from[y][i])
		i += (step/3-1)*halves + step%3 - 1
	}
	return trim(even(path))
}

// even smooths the band along its way.
func even(path []station) []station {
	const reach = 6
	out := make([]station, len(path))
	for y, s := range path {
		lo, hi := max(y-reach, 0), min(y+reach+1, len(path))
		s.middle, s.half, s.contrast = 0, 0, 0
		for _, n := range path[lo:hi] {
			s.middle += n.middle / float64(hi-lo)
			s.half += n.half / float64(hi-lo)
			s.contrast += n.contrast / float64(hi-lo)
		}
		out[y] = s
	}
	return out
}

// trim cuts off the ends of the band that do not stand out. What is left must
// be half the picture's height, and stand out on average.
func trim(path []station) ([]station, bool) {
	const faint, average = 0.1, 0.3
	lo, hi := 0, len(path)
	for lo < hi && path[lo].contrast < faint {
		lo++
	}
	for hi > lo && path[hi-1].contrast < faint {
		hi--
	}
	sum := 0.0
	for _, s := range path[lo:hi] {
		sum += s.contrast
	}
	return path[lo:hi], hi-lo >= len(path)/2 && sum >= average*float64(hi-lo)
}
