// Package textures draws made pictures of textures and shapes, by the thousand.
// A backbone that has learned to tell them apart has edges, grains and outlines
// to begin with: a stand-in where ImageNet's weights are not at hand, and no
// substitute for them.
package textures

import (
	"math"
	"math/rand/v2"
)

// Kinds is how many kinds of pictures there are.
func Kinds() int { return len(kinds) }

// pattern gives the brightness, about 0 to 1, at a place of a picture whose
// shorter side reaches from -1 to 1.
type pattern func(x, y float64) float64

// kinds make a pattern each, with their own chances inside.
var kinds = []func(r *rand.Rand) pattern{
	stripes, checker, rings, spokes, dots, discs, boxes, triangles, ribbon, ladder, clouds, cells,
}

// Draw returns a picture of the kind as one plane of width×height values, 0 to
// 255. The same seed gives the same picture.
func Draw(kind int, seed uint64, width, height int) []float32 {
	r := rand.New(rand.NewPCG(seed, uint64(kind)))
	p := kinds[kind](r)
	sin, cos := math.Sincos(r.Float64() * 2 * math.Pi)
	dx, dy := 0.6*(r.Float64()-0.5), 0.6*(r.Float64()-0.5)
	light, contrast := 0.2+0.3*r.Float64(), 0.3+0.5*r.Float64()
	if r.IntN(2) == 0 { // dark on light
		light, contrast = light+contrast, -contrast
	}
	tilt, grain := 0.4*(r.Float64()-0.5), 0.12*r.Float64()
	plane := make([]float32, width*height)
	half := float64(min(width, height)) / 2
	for i := range plane {
		x, y := (float64(i%width)-float64(width)/2)/half, (float64(i/width)-float64(height)/2)/half
		v := light + contrast*p(cos*x-sin*y+dx, sin*x+cos*y+dy) + tilt*x + grain*r.NormFloat64()
		plane[i] = float32(255 * min(max(v, 0), 1))
	}
	return plane
}

func between(r *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }

// edge is 1 inside (d < 0) and 0 outside, soft over a narrow seam.
func edge(d float64) float64 { return 1 / (1 + math.Exp(d/0.02)) }

func stripes(r *rand.Rand) pattern {
	f, sharp := between(r, 4, 25), between(r, 0.5, 6)
	return func(x, _ float64) float64 { return 0.5 + 0.5*math.Tanh(sharp*math.Sin(f*x)) }
}

func checker(r *rand.Rand) pattern {
	f := between(r, 4, 16)
	return func(x, y float64) float64 { return 0.5 + 0.5*math.Tanh(8*math.Sin(f*x)*math.Sin(f*y)) }
}

func rings(r *rand.Rand) pattern {
	f := between(r, 6, 25)
	return func(x, y float64) float64 { return 0.5 + 0.5*math.Sin(f*math.Hypot(x, y)) }
}

func spokes(r *rand.Rand) pattern {
	n := float64(3 + r.IntN(9))
	return func(x, y float64) float64 { return 0.5 + 0.5*math.Tanh(4*math.Sin(n*math.Atan2(y, x))) }
}

func dots(r *rand.Rand) pattern {
	f, size := between(r, 2, 6), between(r, 0.2, 0.4)
	return func(x, y float64) float64 {
		u, v := f*x-math.Round(f*x), f*y-math.Round(f*y)
		return edge((math.Hypot(u, v) - size) / f)
	}
}

// several lays shapes over each other; shape gives the distance from its
// outline, negative inside, of one of size 1 about the origin.
func several(r *rand.Rand, n int, shape func(x, y float64) float64) pattern {
	type place struct{ x, y, size, sin, cos, grey float64 }
	places := make([]place, n)
	for i := range places {
		sin, cos := math.Sincos(r.Float64() * 2 * math.Pi)
		places[i] = place{between(r, -1, 1), between(r, -1, 1), between(r, 0.12, 0.45), sin, cos, between(r, 0.5, 1)}
	}
	return func(x, y float64) float64 {
		v := 0.0
		for _, p := range places {
			u, w := (x-p.x)/p.size, (y-p.y)/p.size
			v = max(v, p.grey*edge(p.size*shape(p.cos*u-p.sin*w, p.sin*u+p.cos*w)))
		}
		return v
	}
}

func discs(r *rand.Rand) pattern {
	squeeze := between(r, 0.6, 1)
	return several(r, 2+r.IntN(6), func(x, y float64) float64 { return math.Hypot(x, y/squeeze) - 1 })
}

func boxes(r *rand.Rand) pattern {
	squeeze := between(r, 0.4, 1)
	return several(r, 2+r.IntN(6), func(x, y float64) float64 { return max(math.Abs(x), math.Abs(y)/squeeze) - 1 })
}

func triangles(r *rand.Rand) pattern {
	return several(r, 2+r.IntN(6), func(x, y float64) float64 {
		return max(-y-0.5, 0.866*math.Abs(x)+0.5*y-0.5)
	})
}

// ribbon is a bent band, as a column is.
func ribbon(r *rand.Rand) pattern {
	f, bend, wide, phase := between(r, 0.8, 3), between(r, 0.05, 0.4), between(r, 0.08, 0.3), between(r, 0, 6)
	return func(x, y float64) float64 { return edge(math.Abs(x-bend*math.Sin(f*y+phase)) - wide) }
}

// ladder is a stack of blocks.
func ladder(r *rand.Rand) pattern {
	f, wide, gap := between(r, 2, 6), between(r, 0.1, 0.35), between(r, 0.25, 0.45)
	return func(x, y float64) float64 {
		v := f*y - math.Round(f*y)
		return edge(max(math.Abs(x)-wide, (math.Abs(v)-gap)/f))
	}
}

// clouds is noise with most of its strength in the coarse.
func clouds(r *rand.Rand) pattern {
	type wave struct{ fx, fy, phase, strength float64 }
	var waves []wave
	sum := 0.0
	for range 24 {
		f := math.Exp(between(r, 0.5, 3))
		sin, cos := math.Sincos(r.Float64() * 2 * math.Pi)
		waves = append(waves, wave{f * cos, f * sin, between(r, 0, 6.3), 1 / f})
		sum += 1 / f
	}
	return func(x, y float64) float64 {
		v := 0.0
		for _, w := range waves {
			v += w.strength * math.Sin(w.fx*x+w.fy*y+w.phase)
		}
		return 0.5 + 1.5*v/sum
	}
}

// cells is the distance to the nearest of many points.
func cells(r *rand.Rand) pattern {
	points := make([][2]float64, 12+r.IntN(40))
	for i := range points {
		points[i] = [2]float64{between(r, -1.5, 1.5), between(r, -1.5, 1.5)}
	}
	return func(x, y float64) float64 {
		nearest := 9.0
		for _, p := range points {
			nearest = min(nearest, math.Hypot(x-p[0], y-p[1]))
		}
		return min(1, 3*nearest)
	}
}
