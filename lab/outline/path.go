package outline

import "math"

// A path goes straight for so many rows at a time, in one of so many ways: up to
// one cell aside for each row.
const (
	stride = 3
	slopes = 2*stride + 1
)

// What a path costs, against what its rows win.
const (
	bending  = 0.2 // each cell that it goes aside
	turning  = 0.5 // each cell in a stride by which it changes its way
	centring = 0.6 // a row at the picture's edge, and less towards the middle
)

// along returns the path from top to bottom that wins the most for a band with
// that taper, and what it wins: Viterbi's algorithm over middles and slopes.
func (g *grid) along(t taper) ([]station, float64) {
	steps, states := g.height/stride, g.width*slopes
	wins := make([]float64, g.height*g.width)
	value, next := make([]float64, states), make([]float64, states)
	from := make([]int8, steps*states) // the slope before
	for k := range steps {
		for x := range g.width {
			win := g.winStride(wins, t, k, x)
			for d := range slopes {
				i, before := x*slopes+d, x-(d-stride)
				next[i] = math.Inf(-1)
				if before < 0 || before >= g.width {
					continue
				}
				for e := max(d-1, 0); e <= min(d+1, slopes-1); e++ {
					v := value[before*slopes+e] + win - bending*math.Abs(float64(d-stride)) - turning*math.Abs(float64(d-e))
					if v > next[i] {
						next[i], from[k*states+i] = v, int8(e)
					}
				}
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
	path := make([]station, steps*stride)
	for k, i := steps-1, end; k >= 0; k-- {
		x, d := i/slopes, i%slopes
		for y := k * stride; y < (k+1)*stride; y++ {
			path[y] = station{y, float64(x) + 0.5, float64(t.half(y)) + 0.5, wins[y*g.width+x]}
		}
		i = (x-(d-stride))*slopes + int(from[k*states+i])
	}
	return path, value[end]
}

// winStride fills in what a stride's rows win at x, and returns the sum.
func (g *grid) winStride(wins []float64, t taper, k, x int) float64 {
	off := 2*(float64(x)+0.5)/float64(g.width) - 1
	sum := 0.0
	for y := k * stride; y < (k+1)*stride; y++ {
		wins[y*g.width+x] = g.win(y, x, t.half(y)) - centring*off*off
		sum += wins[y*g.width+x]
	}
	return sum
}
