package train

import (
	"math"
	"math/rand/v2"
)

// apply writes a changed copy of the plane (width×height values, 0 to 255)
// into dst.
func (a Augment) apply(dst, plane []float32, width, height int, random *rand.Rand) {
	a.warp(dst, plane, width, height, random)
	a.tone(dst, random)
	if random.Float64() < a.Erase {
		erase(dst, width, height, random)
	}
}

// either returns a value between -limit and limit.
func either(random *rand.Rand, limit float64) float64 { return (2*random.Float64() - 1) * limit }

// warp turns, scales, shifts and flips about the middle, bilinear, with black
// outside.
func (a Augment) warp(dst, plane []float32, width, height int, random *rand.Rand) {
	angle := either(random, a.Rotate) * math.Pi / 180
	scale := math.Exp(either(random, math.Log1p(a.Scale)))
	stretch := math.Exp(either(random, math.Log1p(a.Stretch)))
	dx, dy := either(random, a.Shift)*float64(width), either(random, a.Shift)*float64(height)
	flip := 1.0
	if a.Flip && random.IntN(2) == 1 {
		flip = -1
	}
	cx, cy := float64(width-1)/2, float64(height-1)/2
	sin, cos := math.Sincos(angle)
	// Where each pixel of dst comes from.
	xx, xy := flip*cos/(scale*stretch), flip*sin/(scale*stretch)
	yx, yy := -sin/scale, cos/scale
	for y := range height {
		v := float64(y) - cy - dy
		sx := float32(xx*(-cx-dx) + xy*v + cx)
		sy := float32(yx*(-cx-dx) + yy*v + cy)
		row := dst[y*width : (y+1)*width]
		for x := range row {
			row[x] = bilinear(plane, width, height, sx, sy)
			sx += float32(xx)
			sy += float32(yx)
		}
	}
}

func bilinear(plane []float32, width, height int, x, y float32) float32 {
	if x <= -1 || y <= -1 || x >= float32(width) || y >= float32(height) {
		return 0
	}
	x0, y0 := int(x+1)-1, int(y+1)-1 // floor, for values above -1
	fx, fy := x-float32(x0), y-float32(y0)
	if x0 >= 0 && y0 >= 0 && x0+1 < width && y0+1 < height {
		p := plane[y0*width+x0:]
		top := p[0] + fx*(p[1]-p[0])
		p = p[width:]
		return top + fy*(p[0]+fx*(p[1]-p[0])-top)
	}
	at := func(x, y int) float32 {
		if x < 0 || y < 0 || x >= width || y >= height {
			return 0
		}
		return plane[y*width+x]
	}
	top := at(x0, y0) + fx*(at(x0+1, y0)-at(x0, y0))
	bottom := at(x0, y0+1) + fx*(at(x0+1, y0+1)-at(x0, y0+1))
	return top + fy*(bottom-top)
}

// tone changes gamma, contrast and light by one table of 256 greys with linear
// steps between. Pure black stays black: it is padding or collimation.
func (a Augment) tone(v []float32, random *rand.Rand) {
	gamma := math.Exp(either(random, math.Log1p(a.Gamma)))
	contrast := 1 + either(random, a.Contrast)
	light := 255 * either(random, a.Light)
	var table [257]float32
	for i := range table {
		grey := 255 * math.Pow(float64(min(i, 255))/255, gamma)
		table[i] = float32(min(max((grey-127.5)*contrast+127.5+light, 0), 255))
	}
	for i, g := range v {
		if g <= 0 {
			continue
		}
		k := min(int(g), 255)
		v[i] = table[k] + (g-float32(k))*(table[k+1]-table[k])
	}
}

// erase covers a rectangle with one grey (Zhong et al. 2020).
func erase(v []float32, width, height int, random *rand.Rand) {
	area := (0.02 + 0.08*random.Float64()) * float64(width*height)
	aspect := math.Exp(either(random, math.Log(3)))
	w := min(max(int(math.Sqrt(area*aspect)), 1), width)
	h := min(max(int(math.Sqrt(area/aspect)), 1), height)
	x, y := random.IntN(width-w+1), random.IntN(height-h+1)
	grey := float32(255 * random.Float64())
	for row := y; row < y+h; row++ {
		for i := row*width + x; i < row*width+x+w; i++ {
			v[i] = grey
		}
	}
}
