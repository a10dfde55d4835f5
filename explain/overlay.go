package explain

import (
	"fmt"
	"image"

	"spinebox/internal/spine"
)

// Options say how a heatmap is drawn. The zero value is the default.
type Options struct {
	ColourMap ColourMap // "" is Inferno
	// Opacity is that of the map's maximum, above 0 up to 1; 0 is the default,
	// 0.6, at which the edges of a vertebra still show through the hottest
	// spot. Opacity falls to nothing with the map's value.
	Opacity float64
	// Withheld is why the box does not answer, when it does not. The band
	// then says so instead of naming a label: a picture that is passed on
	// must not say more than the box did.
	Withheld spine.Code
}

const defaultOpacity = 0.6

func (o Options) opacity() (float64, error) {
	switch {
	case o.Opacity == 0:
		return defaultOpacity, nil
	case o.Opacity > 0 && o.Opacity <= 1:
		return o.Opacity, nil
	}
	return 0, fmt.Errorf("opacity %v is outside of 0 to 1", o.Opacity)
}

// Overlay draws the reading's heatmap on its X-ray for a person: the X-ray
// pixel for pixel at its own size, the map in colour where the network looked,
// and below it a band with the answer, a colour bar, the method, the model and
// the line on intended use. The band covers no anatomy. A picture too narrow
// for its text (there are X-rays 123 pixels wide) is centred on a wider canvas,
// the X-ray itself staying as it is.
//
// An empty map is not an error here, since there is an X-ray to show: it is
// drawn without any colour, and the band says that the network cannot show
// where it looked instead of naming the label. A reading without a map (its
// model has no explain signature) keeps its label, with the sentence that it
// cannot be explained.
func Overlay(p *spine.Picture, r *spine.Reading, opt Options) (*image.NRGBA, error) {
	b, err := newBand(p, r, opt)
	if err != nil {
		return nil, fmt.Errorf("draw overlay: %w", err)
	}
	canvas := image.NewNRGBA(image.Rect(0, 0, b.width, p.Height+b.height))
	fill(canvas, canvas.Bounds(), ground)
	at := image.Pt((b.width-p.Width)/2, 0)
	if r.Heatmap.Empty() {
		err = drawGrey(canvas, at, p)
	} else {
		err = drawBlend(canvas, at, p, r.Heatmap, opt)
	}
	if err != nil {
		return nil, fmt.Errorf("draw overlay: %w", err)
	}
	b.draw(canvas, p.Height)
	return canvas, nil
}

// Blend draws the heatmap on its X-ray and nothing else: for a contact sheet or
// a page that states the rest beside it. The error is ErrEmpty for an empty
// map.
func Blend(p *spine.Picture, h *spine.Heatmap, opt Options) (*image.NRGBA, error) {
	canvas := image.NewNRGBA(image.Rect(0, 0, p.Width, p.Height))
	if err := drawBlend(canvas, image.Point{}, p, h, opt); err != nil {
		return nil, fmt.Errorf("blend heatmap: %w", err)
	}
	return canvas, nil
}

// Grey draws the X-ray alone, as Blend would without a map.
func Grey(p *spine.Picture) (*image.NRGBA, error) {
	canvas := image.NewNRGBA(image.Rect(0, 0, p.Width, p.Height))
	if err := drawGrey(canvas, image.Point{}, p); err != nil {
		return nil, fmt.Errorf("draw picture: %w", err)
	}
	return canvas, nil
}

// smallSide is the longer side of a small map, in pixels: an order of magnitude
// finer than any network's grid, and a few kilobytes as a PNG.
const smallSide = 256

// SmallMap draws the map alone, for a page that lays it over the X-ray itself:
// colours of growing alpha, 256 pixels along the longer side, covering exactly
// a picture of width×height pixels. Stretched to the picture's box it sits
// where it belongs; the page needs to know neither cells nor padding. The error
// is ErrEmpty for an empty map.
func SmallMap(h *spine.Heatmap, width, height int) (*image.NRGBA, error) {
	if width < 1 || height < 1 {
		return nil, fmt.Errorf("draw small map: no picture has %dx%d pixels", width, height)
	}
	long := max(width, height)
	w := max((width*smallSide+long/2)/long, 1)
	v := max((height*smallSide+long/2)/long, 1)
	s, err := newSurface(h, w, v)
	if err != nil {
		return nil, fmt.Errorf("draw small map: %w", err)
	}
	colours, err := Inferno.palette()
	if err != nil {
		return nil, fmt.Errorf("draw small map: %w", err)
	}
	small := image.NewNRGBA(image.Rect(0, 0, w, v))
	row := make([]float32, w)
	for y := range v {
		s.row(row, y)
		out := small.Pix[y*small.Stride:]
		for x, v := range row {
			c := colours.at(v)
			copy(out[4*x:4*x+4], []uint8{c.R, c.G, c.B, c.A})
		}
	}
	return small, nil
}

func drawGrey(canvas *image.NRGBA, at image.Point, p *spine.Picture) error {
	if err := checkPicture(p); err != nil {
		return err
	}
	for y := range p.Height {
		out := canvas.Pix[canvas.PixOffset(at.X, at.Y+y):]
		for x, v := range p.Pix[y*p.Width : (y+1)*p.Width] {
			g := grey(v)
			o := out[4*x : 4*x+4 : 4*x+4]
			o[0], o[1], o[2], o[3] = g, g, g, 255
		}
	}
	return nil
}

func drawBlend(canvas *image.NRGBA, at image.Point, p *spine.Picture, h *spine.Heatmap, opt Options) error {
	if err := checkPicture(p); err != nil {
		return err
	}
	opacity, err := opt.opacity()
	if err != nil {
		return err
	}
	colours, err := opt.ColourMap.palette()
	if err != nil {
		return err
	}
	s, err := newSurface(h, p.Width, p.Height)
	if err != nil {
		return err
	}
	shades := newShades(colours, opacity)
	row := make([]float32, p.Width)
	for y := range p.Height {
		s.row(row, y)
		out := canvas.Pix[canvas.PixOffset(at.X, at.Y+y):]
		for x, v := range p.Pix[y*p.Width : (y+1)*p.Width] {
			shade := &shades[uint8(row[x]*255+0.5)]
			g := shade.keep * uint32(grey(v))
			o := out[4*x : 4*x+4 : 4*x+4]
			o[0], o[1], o[2], o[3] = uint8((g+shade.r)>>16), uint8((g+shade.g)>>16), uint8((g+shade.b)>>16), 255
		}
	}
	return nil
}

// shade is what one value of the map does to a grey pixel under it: keep times
// the grey, plus a colour, in sixteenths of a bit so that an overlay of 15
// megapixels is integer arithmetic.
type shade struct{ keep, r, g, b uint32 }

func newShades(colours *palette, opacity float64) *[256]shade {
	var all [256]shade
	for i, c := range colours {
		a := opacity * float64(c.A) / 255
		part := func(v uint8) uint32 { return uint32(a*float64(v)*65536) + 32768 }
		all[i] = shade{keep: uint32((1 - a) * 65536), r: part(c.R), g: part(c.G), b: part(c.B)}
	}
	return &all
}

// grey returns the 8-bit grey of a value from 0 to 1. Comparisons with NaN are
// false, so that a damaged pixel is black and not whatever the processor's
// conversion makes of it.
func grey(v float32) uint8 {
	switch {
	case v >= 1:
		return 255
	case v > 0:
		return uint8(v*255 + 0.5)
	}
	return 0
}

func checkPicture(p *spine.Picture) error {
	if p.Width < 1 || p.Height < 1 || len(p.Pix) != p.Width*p.Height {
		return fmt.Errorf("a picture of %dx%d pixels holds %d values", p.Width, p.Height, len(p.Pix))
	}
	return nil
}
