package xray

import (
	"image"
	"image/color"
	"math"
)

// MaxHues is the greatest Facts.Hues of a picture that may still be an X-ray.
//
// A film photographed on a light box is tinted, and so is one toned by a
// scanner, but by one tint. The margins were measured; see TestHuesOfRealXrays
// and TestHuesOfColourScenes:
//
//	338 real X-rays, 63 of them visibly tinted     at most 0.04
//	made colour scenes, plain to drab              at least 0.30
//
// An X-ray with coloured writing on a tenth of its area still passes. The
// value lies in the middle of the gap, on the scale of ratios.
const MaxHues = 0.12

const (
	// hueCells is the grid, on the longer side, on which colours are averaged:
	// a camera's colour noise averages out, areas of another colour stay.
	hueCells = 64
	// hueSamples is how many pixels in each direction stand for a cell.
	hueSamples = 4
	// hueBins is the number of brightness steps that may differ in how strong
	// the tint is.
	hueBins = 16
	// hueDistance is how far, in steps of 255 on the plane of Cb and Cr, a cell
	// may lie from the tint: beyond the light's unevenness and the compression
	// on real films, below any colour that one would name.
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
// is one hue, the mean colour's, whose strength depends on brightness alone, as
// a film's or a lamp's does. Hues that change with brightness do not count as a
// tint, or a blue sky over a dark meadow would be one.
func (c *chroma) hues() float64 {
	var cb, cr, n float64
	for i := range c.cells {
		cell := &c.cells[i]
		if cell.n > 0 {
			cell.y, cell.cb, cell.cr, cell.n = cell.y/cell.n, cell.cb/cell.n, cell.cr/cell.n, 1
		}
		cb, cr, n = cb+cell.cb, cr+cell.cr, n+cell.n
	}
	if n == 0 {
		return 0
	}
	if length := math.Hypot(cb, cr); length > 0 {
		cb, cr = cb/length, cr/length
	}
	var strength, count [hueBins]float64
	for _, cell := range c.cells {
		b := cell.bin()
		strength[b] += cell.cb*cb + cell.cr*cr
		count[b] += cell.n
	}
	off := 0.0
	for _, cell := range c.cells {
		b := cell.bin()
		s := max(strength[b]/max(count[b], 1), 0)
		if math.Hypot(cell.cb-s*cb, cell.cr-s*cr) > hueDistance {
			off++
		}
	}
	return off / n
}

func (c chromaCell) bin() int { return min(max(int(c.y*hueBins/256), 0), hueBins-1) }

// huesOf returns the Hues of a raster, from a few pixels of each cell.
func huesOf(img image.Image) float64 {
	b := img.Bounds()
	switch img.(type) {
	case *image.Gray, *image.Gray16:
		return 0
	}
	c := newChroma(b.Dx(), b.Dy())
	stepX := max(b.Dx()/(hueCells*hueSamples), 1)
	stepY := max(b.Dy()/(hueCells*hueSamples), 1)
	ycbcr, _ := img.(*image.YCbCr)
	for y := stepY / 2; y < b.Dy(); y += stepY {
		for x := stepX / 2; x < b.Dx(); x += stepX {
			var p color.YCbCr
			if ycbcr != nil {
				p = ycbcr.YCbCrAt(b.Min.X+x, b.Min.Y+y)
			} else {
				r, g, bl, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
				p.Y, p.Cb, p.Cr = color.RGBToYCbCr(uint8(r>>8), uint8(g>>8), uint8(bl>>8))
			}
			c.see(x, y, float64(p.Y), float64(p.Cb)-128, float64(p.Cr)-128)
		}
	}
	return c.hues()
}
