package phantom

import (
	"image"
	"image/draw"
	"math"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font/basicfont"

	"spinebox/internal/spine"
)

// shutter blackens the borders that collimation kept unexposed, at the same
// rate in every class, and takes them out of the masks.
func (s *scene) shutter(c stream, p *Phantom) {
	if !c.chance(0.35) {
		return
	}
	w, h := float64(s.camera.width), float64(s.camera.height)
	edge := func(size float64) float64 { return max(c.between(-0.02, 0.035), 0) * size }
	left, right, top, bottom := edge(w), w-edge(w), edge(h), h-edge(h)
	skew := c.bell(0.004)
	corner := func(x, y float64) point {
		return s.camera.place(point{x - skew*(y-h/2), y + skew*(x-w/2)})
	}
	inside := []point{corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)}
	box, ok := s.rasterise(inside, 0)
	if !ok {
		return
	}
	open := make([]uint8, s.camera.width*s.camera.height)
	for y := range box.Dy() {
		copy(open[(box.Min.Y+y)*s.camera.width+box.Min.X:], s.cover.Pix[y*box.Dx():(y+1)*box.Dx()])
	}
	for i, o := range open {
		p.Picture.Pix[i] *= float32(o) / 255
		if o < 128 {
			p.Column.Pix[i] = 0
			if p.Abnormal != nil {
				p.Abnormal.Pix[i] = 0
			}
		}
	}
	p.Truth.Shuttered = true
}

// mark burns a side marker in, at the same rate, size and place for every
// class, unless the marker shortcut gives each class a place and disc of its
// own. It returns nil when this picture has none.
func (s Spec) mark(p *Phantom) *Marker {
	c := newStream(s.Seed, s.Index, "marker")
	present := c.chance(0.6)
	text, left := "L", c.chance(0.5)
	if left {
		text = "R" // the patient's right is on the picture's left
	}
	down := c.between(0.04, 0.9)
	in := c.between(0.03, 0.08)
	tall := max(float64(s.Height)*c.between(0.022, 0.034), 9)
	disc := false
	if s.carries(MarkerShortcut) {
		p.Truth.Shortcut = string(MarkerShortcut)
		present, disc, in, text = true, true, 0.04, "R"
		tall = max(float64(s.Height)*0.03, 10)
		switch s.Label {
		case spine.Normal:
			left, down = true, 0.05
		case spine.Scoliosis:
			left, down = false, 0.05
		default:
			left, down = true, 0.88
		}
	}
	if !present {
		return nil
	}
	size := int(math.Round(min(tall, float64(s.Width)*0.25)))
	x := int(in * float64(s.Width))
	if !left {
		x = s.Width - x - size
	}
	at := image.Rect(x, 0, x+size, size).Add(image.Pt(0, int(down*float64(s.Height))))
	at = at.Intersect(image.Rect(0, 0, s.Width, s.Height))
	stampMarker(&p.Picture, at, text, disc)
	return &Marker{text, Box{at.Min.X, at.Min.Y, at.Max.X, at.Max.Y}}
}

// stampMarker draws a letter of lead, bright on a clear ground or, on a disc,
// dark on bright.
func stampMarker(pic *spine.Picture, at image.Rectangle, text string, disc bool) {
	glyph := letter(text, at.Dx(), at.Dy())
	r := float64(at.Dx()) / 2
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			ink := float32(glyph.AlphaAt(x-at.Min.X, y-at.Min.Y).A) / 255
			v := &pic.Pix[y*pic.Width+x]
			if disc {
				dx, dy := float64(x-at.Min.X)+0.5-r, float64(y-at.Min.Y)+0.5-r
				cover := float32(min(max(r-math.Hypot(dx, dy), 0), 1))
				*v += cover * (0.97*(1-0.8*ink) - *v)
				continue
			}
			*v += ink * (0.96 - *v)
		}
	}
}

// letter returns text scaled to w×h pixels.
func letter(text string, w, h int) *image.Alpha {
	face := basicfont.Face7x13
	small := image.NewAlpha(image.Rect(0, 0, 9, 13))
	for _, r := range text {
		for _, run := range face.Ranges {
			if r >= run.Low && r < run.High {
				top := (int(r-run.Low) + run.Offset) * (face.Ascent + face.Descent)
				draw.Draw(small, image.Rect(1, 1, 1+face.Width, 13), face.Mask, image.Pt(0, top), draw.Src)
			}
		}
	}
	big := image.NewAlpha(image.Rect(0, 0, w, h))
	xdraw.ApproxBiLinear.Scale(big, big.Rect, small, small.Rect, draw.Src, nil)
	return big
}
