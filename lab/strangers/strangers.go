// Package strangers draws pictures that are no X-ray of a spine: noise, pages,
// rooms, slices of a body, ultrasound fans, long bones, hands, chests, skulls,
// and spines cut into tiles or laid on their side. A model's gate is tried on
// them while it is made, so that the pictures that somebody later judges it by
// play no part in it.
//
// They are rough: each has what tells its kind from a spine at a glance, and
// no more. Draw gives one; Kinds lists what there is.
package strangers

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"spinebox/internal/spine"
)

// Kind is what a stranger shows.
type Kind string

// Kinds returns all kinds that Draw knows, in a fixed order.
func Kinds() []Kind {
	var all []Kind
	for _, d := range drawers() {
		all = append(all, d.kind)
	}
	return all
}

type drawer struct {
	kind Kind
	draw func(c *canvas)
	// tall and wide bound height ÷ width of the picture.
	wide, tall float64
}

func drawers() []drawer {
	return []drawer{
		{"noise", noise, 0.5, 4},
		{"clouds", clouds, 0.5, 4},
		{"page", page, 1, 1.5},
		{"room", room, 0.6, 1.6},
		{"section", section, 0.8, 1.1},
		{"fan", fan, 0.7, 1.1},
		{"rods", rods, 0.9, 3.5},
		{"hand", hand, 1, 1.7},
		{"chest", chest, 0.8, 1.2},
		{"skull", skull, 0.9, 1.4},
	}
}

// Draw draws the stranger of the kind with the seed: the same seed, the same
// picture. An unknown kind is an error.
func Draw(kind Kind, seed uint64) (*spine.Picture, error) {
	for _, d := range drawers() {
		if d.kind == kind {
			c := newCanvas(d, seed)
			d.draw(c)
			return c.picture(), nil
		}
	}
	return nil, fmt.Errorf("no stranger of kind %q is known", kind)
}

// Shuffle cuts the picture into tiles and deals them anew: what it is made of
// stays, what it shows is gone.
func Shuffle(p *spine.Picture, seed uint64) *spine.Picture {
	const rows, columns = 6, 3
	order := rand.New(rand.NewPCG(seed, 0x5e)).Perm(rows * columns)
	h, w := p.Height/rows, p.Width/columns
	out := &spine.Picture{Width: w * columns, Height: h * rows, Pix: make([]float32, w*columns*h*rows)}
	for to, from := range order {
		for y := range h {
			row := p.Pix[(from/columns*h+y)*p.Width+from%columns*w:]
			copy(out.Pix[(to/columns*h+y)*out.Width+to%columns*w:][:w], row[:w])
		}
	}
	return out
}

// Lay lays the picture on its side.
func Lay(p *spine.Picture) *spine.Picture {
	out := &spine.Picture{Width: p.Height, Height: p.Width, Pix: make([]float32, len(p.Pix))}
	for y := range p.Height {
		for x := range p.Width {
			out.Pix[x*out.Width+out.Width-1-y] = p.Pix[y*p.Width+x]
		}
	}
	return out
}

// canvas is a picture while it is drawn. Places are fractions of the longer
// side, from the middle; greys are 0 to 1.
type canvas struct {
	*rand.Rand
	w, h int
	unit float64 // pixels
	v    []float32
}

func newCanvas(d drawer, seed uint64) *canvas {
	name := fnv.New64()
	name.Write([]byte(d.kind))
	c := &canvas{Rand: rand.New(rand.NewPCG(seed, name.Sum64()))}
	shape := math.Exp(c.between(math.Log(d.wide), math.Log(d.tall)))
	const longer = 256
	c.w, c.h = longer, longer
	if shape > 1 {
		c.w = int(longer / shape)
	} else {
		c.h = int(longer * shape)
	}
	c.unit = longer
	c.v = make([]float32, c.w*c.h)
	return c
}

func (c *canvas) between(a, b float64) float64 { return a + (b-a)*c.Float64() }

// grain adds noise, clips and gives the picture.
func (c *canvas) picture() *spine.Picture {
	noise := c.between(0.005, 0.03)
	for i, v := range c.v {
		c.v[i] = float32(min(max(float64(v)+noise*c.NormFloat64(), 0), 1))
	}
	return &spine.Picture{Width: c.w, Height: c.h, Pix: c.v, Facts: spine.Facts{Format: "png", Bits: 8}}
}

// paint lets the function change each pixel's grey: x and y are places.
func (c *canvas) paint(f func(x, y, grey float64) float64) {
	for i := range c.v {
		x := (float64(i%c.w) + 0.5 - float64(c.w)/2) / c.unit
		y := (float64(i/c.w) + 0.5 - float64(c.h)/2) / c.unit
		c.v[i] = float32(f(x, y, float64(c.v[i])))
	}
}

// step is 0 below and 1 above zero, soft over the width.
func step(d, width float64) float64 { return 1 / (1 + math.Exp(-d/width*4)) }

// ellipse adds grey inside an ellipse and rim along its border, so much as
// thick is wide.
func (c *canvas) ellipse(cx, cy, a, b, tilt, grey, rim, thick float64) {
	sin, cos := math.Sincos(tilt)
	c.paint(func(x, y, g float64) float64 {
		u, v := ((x-cx)*cos+(y-cy)*sin)/a, (-(x-cx)*sin+(y-cy)*cos)/b
		d := (1 - math.Hypot(u, v)) * min(a, b)
		return g + grey*step(d, 0.01) + rim*math.Exp(-d*d/(thick*thick))
	})
}

// rod adds a capsule from one place to another: grey inside, a brighter shell.
func (c *canvas) rod(x0, y0, x1, y1, radius, grey, shell float64) {
	dx, dy := x1-x0, y1-y0
	long := dx*dx + dy*dy
	c.paint(func(x, y, g float64) float64 {
		t := min(max(((x-x0)*dx+(y-y0)*dy)/long, 0), 1)
		flare := radius * (1 + 0.6*math.Pow(math.Abs(2*t-1), 4)) // bones widen at their ends
		d := flare - math.Hypot(x-x0-t*dx, y-y0-t*dy)
		return g + grey*step(d, 0.006) + shell*math.Exp(-d*d/(0.2*radius*0.2*radius))*step(d, 0.004)
	})
}
