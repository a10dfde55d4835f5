package xray

import (
	"image"
	"image/color"
	"math"
)

// MaxHues is the greatest Facts.Hues of a picture that may still be an X-ray.
//
// A film photographed on a light box is tinted, and so is one toned by a
// scanner, but by one tint. Measured (TestRealXrays, TestHuesOfColourScenes):
//
//	338 real X-rays, the tinted ones among them    at most 0.05, all but two below 0.03
//	made colour scenes                             at least 0.21
//	the same with 60 % of their colour             at least 0.08
//
// The value leaves a factor of two on either side, and coloured writing its
// room. What is so pale that it falls below is left to judgements by content.
const MaxHues = 0.10

const (
	// hueCells is the grid, on each side, on which colours are averaged: a
	// camera's colour noise averages out, areas of another colour stay.
	hueCells = 64
	// hueSamples is how many pixels in each direction stand for a cell.
	hueSamples = 4
	// hueDistance is how far, in steps of 255 on the plane of Cb and Cr, a cell
	// may lie from the tint: beyond uneven light and compression on real films,
	// below any colour that one would name.
	hueDistance = 12
)

// chroma gathers a picture's colours for Facts.Hues.
type chroma struct {
	width, height int
	across, down  int // cells
	cells         []chromaCell
}

type chromaCell struct{ y, cb, cr, n float64 }

func newChroma(width, height int) *chroma {
	c := &chroma{width: width, height: height, across: min(width, hueCells), down: min(height, hueCells)}
	c.cells = make([]chromaCell, c.across*c.down)
	return c
}

// see takes in the pixel at column x and row y: luma 0 to 255, Cb and Cr from
// -128 to 127.
func (c *chroma) see(x, y int, luma, cb, cr float64) {
	cell := &c.cells[y*c.down/c.height*c.across+x*c.across/c.width]
	cell.y += luma
	cell.cb += cb
	cell.cr += cr
	cell.n++
}

// hues returns the share of the picture whose colour is not its tint. The tint
// is one hue, the mean colour's, whose strength may change with brightness, but
// smoothly (as a parabola), as films and lamps do it. Were the hue free at each
// brightness, a blue sky over a dark meadow would be a tint; were the strength
// free, so would be the one blue coat in a grey street. That there is no tint at
// all is held against the picture as well, and the milder answer counts: the
// bright yellow writing on an otherwise grey film is no tint of the film.
func (c *chroma) hues() float64 {
	seen := c.cells[:0]
	var cb, cr float64
	for _, cell := range c.cells {
		if cell.n > 0 {
			mean := chromaCell{cell.y / cell.n / 255, cell.cb / cell.n, cell.cr / cell.n, 1}
			seen = append(seen, mean)
			cb, cr = cb+mean.cb, cr+mean.cr
		}
	}
	if len(seen) == 0 {
		return 0
	}
	if length := math.Hypot(cb, cr); length > 0 {
		cb, cr = cb/length, cr/length
	}
	strength := parabola(seen, func(cell chromaCell) (x, y float64) { return cell.y, cell.cb*cb + cell.cr*cr })
	offTint, offGrey := 0, 0
	for _, cell := range seen {
		s := max(strength(cell.y), 0)
		if math.Hypot(cell.cb-s*cb, cell.cr-s*cr) > hueDistance {
			offTint++
		}
		if math.Hypot(cell.cb, cell.cr) > hueDistance {
			offGrey++
		}
	}
	return float64(min(offTint, offGrey)) / float64(len(seen))
}

// parabola fits y = a + bx + cx² by least squares; x is 0 to 1.
func parabola(cells []chromaCell, point func(chromaCell) (x, y float64)) func(x float64) float64 {
	var m [3][4]float64 // the normal equations and their right side
	for _, cell := range cells {
		x, y := point(cell)
		powers := [3]float64{1, x, x * x}
		for i := range 3 {
			for j := range 3 {
				m[i][j] += powers[i] * powers[j]
			}
			m[i][3] += powers[i] * y
		}
	}
	// A trace of ridge keeps a picture of one brightness solvable; the matrix
	// is positive definite, so that it needs no pivoting.
	for i := range 3 {
		m[i][i] += 1e-9 * float64(len(cells))
	}
	for i := range 3 {
		for k := i + 1; k < 3; k++ {
			f := m[k][i] / m[i][i]
			for j := i; j < 4; j++ {
				m[k][j] -= f * m[i][j]
			}
		}
	}
	c := m[2][3] / m[2][2]
	b := (m[1][3] - m[1][2]*c) / m[1][1]
	a := (m[0][3] - m[0][1]*b - m[0][2]*c) / m[0][0]
	return func(x float64) float64 { return a + b*x + c*x*x }
}

// huesOf returns the Hues of a raster, from a few pixels of each cell.
func huesOf(img image.Image) float64 {
	b := img.Bounds()
	switch img.(type) {
	case *image.Gray, *image.Gray16:
		return 0
	}
	c := newChroma(b.Dx(), b.Dy())
	if m, ok := img.(*image.YCbCr); ok { // color.Color is an allocation
		c.each(func(x, y int) color.YCbCr { return m.YCbCrAt(b.Min.X+x, b.Min.Y+y) })
	} else {
		c.sample(func(x, y int) color.Color { return img.At(b.Min.X+x, b.Min.Y+y) })
	}
	return c.hues()
}

// sample takes in a few pixels of each cell.
func (c *chroma) sample(at func(x, y int) color.Color) {
	c.each(func(x, y int) (p color.YCbCr) {
		r, g, b, _ := at(x, y).RGBA()
		p.Y, p.Cb, p.Cr = color.RGBToYCbCr(uint8(r>>8), uint8(g>>8), uint8(b>>8))
		return p
	})
}

func (c *chroma) each(at func(x, y int) color.YCbCr) {
	stepX := max(c.width/(hueCells*hueSamples), 1)
	stepY := max(c.height/(hueCells*hueSamples), 1)
	for y := stepY / 2; y < c.height; y += stepY {
		for x := stepX / 2; x < c.width; x += stepX {
			p := at(x, y)
			c.see(x, y, float64(p.Y), float64(p.Cb)-128, float64(p.Cr)-128)
		}
	}
}
