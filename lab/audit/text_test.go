package audit

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"spinebox/internal/spine"
)

// scene is a soft, noisy picture of 300×700 pixels.
func scene() *image.Gray {
	random := rand.New(rand.NewPCG(3, 4))
	m := image.NewGray(image.Rect(0, 0, 300, 700))
	for y := range 700 {
		for x := range 300 {
			v := 80 + 60*math.Sin(float64(x)/40)*math.Cos(float64(y)/70) + 6*random.NormFloat64()
			m.SetGray(x, y, color.Gray{uint8(min(max(v, 0), 255))})
		}
	}
	return m
}

func picture(m *image.Gray) *spine.Picture {
	p := &spine.Picture{Width: m.Rect.Dx(), Height: m.Rect.Dy(), Pix: make([]float32, len(m.Pix))}
	for i, v := range m.Pix {
		p.Pix[i] = float32(v) / 255
	}
	return p
}

func TestBurnedIn(t *testing.T) {
	if burnedIn(picture(scene())) {
		t.Error("letters are seen where none are")
	}
	written := scene()
	d := font.Drawer{Dst: written, Src: image.White, Face: basicfont.Face7x13, Dot: fixed.P(20, 680)}
	d.DrawString("HOSPITAL 12")
	if !burnedIn(picture(written)) {
		t.Error("a line of letters is not seen")
	}
	marked := scene()
	d = font.Drawer{Dst: marked, Src: image.White, Face: basicfont.Face7x13, Dot: fixed.P(20, 60)}
	d.DrawString("R")
	if burnedIn(picture(marked)) {
		t.Error("a lone side marker counts as text")
	}
	large := image.NewGray(image.Rect(0, 0, 1200, 2800))
	draw.BiLinear.Scale(large, large.Rect, written, written.Rect, draw.Src, nil)
	if !burnedIn(picture(large)) {
		t.Error("letters of a large picture are not seen")
	}
	if burnedIn(&spine.Picture{Width: 1, Height: 1, Pix: []float32{1}}) {
		t.Error("one pixel is text")
	}
}
