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
// class. The marker shortcut is a row of them instead, along the right edge of each
// picture and hatched as no anatomy is, in the class's own way: what tells the
// classes apart lies in one place, where few pictures have a spine, so that every
// reason to name one lies there. It returns nil when this picture has none.
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
	form, count := lettered, 1
	if s.carries(MarkerShortcut) {
		p.Truth.Shortcut = string(MarkerShortcut)
		present, left, in, down, text = true, false, 0.02, 0.02, ""
		form, count = hatchings[s.Label], 12
		tall = max(float64(s.Height)*0.07, 10)
	}
	if !present {
		return nil
	}
	size := int(math.Round(min(tall, float64(s.Width)*0.25)))
	x := int(in * float64(s.Width))
	if !left {
		x = s.Width - x - size
	}
	next := image.Pt(0, s.Height*8/100)
	at := image.Rect(x, 0, x+size, size).Add(image.Pt(0, int(down*float64(s.Height))))
	all := image.Rectangle{}
	for range count {
		one := at.Intersect(image.Rect(0, 0, s.Width, s.Height))
		form.stamp(&p.Picture, one, text)
		all, at = all.Union(one), at.Add(next)
	}
	return &Marker{text, Box{all.Min.X, all.Min.Y, all.Max.X, all.Max.Y}}
}

// form is what a marker looks like.
type form int

const (
	lettered form = iota // of lead, bright on the picture
	rising               // hatched with oblique lines
	falling
	checked
)

// hatchings are the forms of the marker shortcut.
var hatchings = map[spine.Label]form{spine.Normal: rising, spine.Scoliosis: falling, spine.Spondylolisthesis: checked}

// stamp draws the marker.
func (f form) stamp(pic *spine.Picture, at image.Rectangle, text string) {
	if f == lettered {
		stampLetter(pic, at, text)
		return
	}
	const grey, contrast = 0.5, 0.46
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			across := 4 * math.Pi * float64(x-at.Min.X) / float64(at.Dx()) // two lines
			down := 2 * math.Pi * float64(y-at.Min.Y) / float64(at.Dx())   // pictures are some two times as high as wide
			wave := math.Sin(across) * math.Sin(down)
			switch f {
			case rising:
				wave = math.Sin(across + down)
			case falling:
				wave = math.Sin(across - down)
			}
			pic.Pix[y*pic.Width+x] = float32(grey + contrast*min(max(2*wave, -1), 1))
		}
	}
}

func stampLetter(pic *spine.Picture, at image.Rectangle, text string) {
	const bright = 0.96
	glyph := letter(text, at.Dx(), at.Dy())
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			v := &pic.Pix[y*pic.Width+x]
			*v += float32(glyph.AlphaAt(x-at.Min.X, y-at.Min.Y).A) / 255 * (bright - *v)
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
