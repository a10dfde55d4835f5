package explain

import (
	"errors"
	"flag"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/models/input"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

// The X-ray stays as it is: its own size, pixel for pixel, at the top and
// centred; where the network did not look, the very same grey.
func TestXrayStaysAsItIs(t *testing.T) {
	for _, size := range []image.Point{{123, 500}, {311, 1400}, {1400, 311}, {1, 1}} {
		p := stripes(size.X, size.Y)
		r := reading(hotCell(p, 3, 3))
		canvas, err := Overlay(p, r, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if canvas.Bounds().Dx() < size.X || canvas.Bounds().Dy() <= size.Y {
			t.Fatalf("%v: a canvas of %v has no room for the X-ray and its band", size, canvas.Bounds())
		}
		values, err := OnPicture(r.Heatmap, size.X, size.Y)
		if err != nil {
			t.Fatal(err)
		}
		left := (canvas.Bounds().Dx() - size.X) / 2
		coloured := 0
		for i, v := range values {
			x, y := i%size.X, i/size.X
			g := uint8(p.Pix[i]*255 + 0.5)
			got := canvas.NRGBAAt(left+x, y)
			if v == 0 && (got.R != g || got.G != g || got.B != g || got.A != 255) {
				t.Fatalf("%v: pixel %d,%d is %v where the map is 0, want grey %d", size, x, y, got, g)
			}
			if got.R != got.B {
				coloured++
			}
		}
		if size.X > 1 && coloured == 0 {
			t.Errorf("%v: the map left no colour", size)
		}
	}
}

// Opacity follows the value: at the maximum it is the option's, so that the
// X-ray still shows through there.
func TestAnatomyShowsThroughTheHottestSpot(t *testing.T) {
	p := stripes(224, 224)
	for i := range p.Pix {
		p.Pix[i] = float32(i % 2) // black and white, side by side
	}
	h := hotCell(p, 3, 3)
	for opacity, want := range map[float64]float64{0: 1 - defaultOpacity, 0.25: 0.75, 1: 0} {
		got, err := Blend(p, h, Options{Opacity: opacity})
		if err != nil {
			t.Fatal(err)
		}
		black, white := got.NRGBAAt(112, 112), got.NRGBAAt(111, 112)
		if kept := (float64(white.G) - float64(black.G)) / 255; math.Abs(kept-want) > 0.03 {
			t.Errorf("opacity %v keeps %.2f of the X-ray's contrast at the maximum, want %.2f", opacity, kept, want)
		}
	}
}

func TestBandSaysWhatTheBoxSays(t *testing.T) {
	p := stripes(123, 500)
	hot := hotCell(p, 3, 3)
	empty := &spine.Heatmap{Width: 7, Height: 7, Values: make([]float32, 49), Content: hot.Content}
	even := &spine.Heatmap{Width: 1, Height: 1, Values: []float32{2}, Max: 2, Content: hot.Content}
	padding := hotCell(p, 0, 3)
	const label, model = "Scoliosis 97.3 %", "spine-resnet50 4"
	for name, c := range map[string]struct {
		heatmap *spine.Heatmap
		opt     Options
		want    []string
		never   []string
		bar     bool
	}{
		"classified": {hot, Options{}, []string{label, "Where " + model + " looked (Grad-CAM)."},
			[]string{"outside", "No answer"}, true},
		"refused": {hot, Options{Withheld: spine.LowConfidence},
			[]string{"No answer: low-confidence", spine.LowConfidence.Sentence()}, []string{"coliosis", "97"}, true},
		"empty map": {empty, Options{},
			[]string{"No answer: heatmap-empty", spine.HeatmapEmpty.Sentence(), "Read by " + model},
			[]string{"coliosis", "97", "Where"}, false},
		"empty map, other reason": {empty, Options{Withheld: spine.LowConfidence},
			[]string{"No answer: low-confidence"}, []string{"coliosis", "97", "Where"}, false},
		"no explain signature": {nil, Options{},
			[]string{label, "Read by " + model + ".", "This model cannot show where it looked."}, []string{"Grad-CAM"}, false},
		"even map":    {even, Options{}, []string{label, "Nothing stands out"}, nil, true},
		"off picture": {padding, Options{}, []string{label, "100 % of the map lies outside the picture."}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := newBand(p, reading(c.heatmap), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			bar := false
			for _, item := range b.items {
				if width := item.face.width(item.text); width > b.width-2*b.margin {
					t.Errorf("%q is %d pixels wide in a band of %d", item.text, width, b.width)
				}
				lines = append(lines, item.text)
				bar = bar || item.bar
			}
			if bar != c.bar {
				t.Errorf("colour bar %v, want %v", bar, c.bar)
			}
			text := strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
			for _, want := range append(c.want, spine.IntendedUse) {
				if !strings.Contains(text, want) {
					t.Errorf("the band says %q, want %q in it", text, want)
				}
			}
			for _, never := range c.never {
				if strings.Contains(text, never) {
					t.Errorf("the band says %q, which must not name %q", text, never)
				}
			}
		})
	}
}

func TestPercentNeverRoundsToCertainty(t *testing.T) {
	for p, want := range map[float64]string{
		0.5: "50.0 %", 0.9994: "99.9 %", 0.99949: "99.9 %", 0.9996: "over 99.9 %", 1: "over 99.9 %",
	} {
		if got := percent(p); got != want {
			t.Errorf("percent(%v) = %q, want %q", p, got, want)
		}
	}
}

// An empty map leaves no colour anywhere: never a blue picture.
func TestEmptyMapIsDrawnWithoutColour(t *testing.T) {
	p := stripes(123, 500)
	for _, h := range []*spine.Heatmap{nil, {Width: 7, Height: 7, Values: make([]float32, 49), Content: hotCell(p, 3, 3).Content}} {
		canvas, err := Overlay(p, reading(h), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(canvas.Pix); i += 4 {
			if c := canvas.Pix[i : i+4]; c[0] != c[1] || c[1] != c[2] {
				t.Fatalf("a coloured pixel %v in the overlay of an empty map", c)
			}
		}
	}
}

func TestSmallMapCoversThePicture(t *testing.T) {
	for _, c := range []struct{ width, height, wantW, wantH int }{
		{311, 1400, 57, 256}, {1400, 311, 256, 57}, {100, 100, 256, 256}, {1, 5000, 1, 256},
	} {
		p := stripes(c.width, c.height)
		small, err := SmallMap(hotCell(p, 3, 3), c.width, c.height)
		if err != nil {
			t.Fatal(err)
		}
		if got := small.Bounds().Size(); got != image.Pt(c.wantW, c.wantH) {
			t.Errorf("small map of %dx%d is %v, want %dx%d", c.width, c.height, got, c.wantW, c.wantH)
		}
		// The middle cell of a centred picture: opaque in the middle, clear
		// where the network did not look.
		if a := small.NRGBAAt(c.wantW/2, c.wantH/2).A; a < 240 {
			t.Errorf("alpha %d at the hot cell", a)
		}
		if a := small.NRGBAAt(0, 0).A; c.width > 1 && a != 0 {
			t.Errorf("alpha %d in the corner", a)
		}
	}
	if _, err := SmallMap(hotCell(stripes(9, 9), 3, 3), 0, 9); err == nil {
		t.Error("a picture without width is not refused")
	}
}

func TestBadDrawingsAreRefused(t *testing.T) {
	p := stripes(20, 40)
	h := hotCell(p, 3, 3)
	short := &spine.Picture{Width: 20, Height: 40, Pix: make([]float32, 10)}
	for name, draw := range map[string]func() error{
		"opacity 2":           func() error { _, err := Blend(p, h, Options{Opacity: 2}); return err },
		"opacity NaN":         func() error { _, err := Overlay(p, reading(h), Options{Opacity: math.NaN()}); return err },
		"jet":                 func() error { _, err := Overlay(p, reading(h), Options{ColourMap: "jet"}); return err },
		"short picture":       func() error { _, err := Overlay(short, reading(h), Options{}); return err },
		"short grey picture":  func() error { _, err := Grey(short); return err },
		"short blend picture": func() error { _, err := Blend(short, h, Options{}); return err },
	} {
		if err := draw(); err == nil || errors.Is(err, ErrEmpty) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A damaged pixel value must not reach the conversion to 8 bits.
func TestDamagedPixelsAreBlackOrWhite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	p := &spine.Picture{Width: 5, Height: 1, Pix: []float32{nan, -inf, inf, -3, 1.5}}
	got, err := Grey(p)
	if err != nil {
		t.Fatal(err)
	}
	for x, want := range []uint8{0, 0, 255, 0, 255} {
		if got.NRGBAAt(x, 0).R != want {
			t.Errorf("%v is drawn as %d, want %d", p.Pix[x], got.NRGBAAt(x, 0).R, want)
		}
	}
}

func TestWrapKeepsEveryLetter(t *testing.T) {
	face, err := newTypeface(smallestEm, false)
	if err != nil {
		t.Fatal(err)
	}
	text := "A model with an-extraordinarily-long-name-ütterly-without-a-blank-that-no-narrow-picture-holds 1.0"
	for _, width := range []int{1, 40, 120, 300, 2000} {
		lines := face.wrap(text, width)
		if got := strings.Join(lines, ""); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(text, " ", "") {
			t.Errorf("at %d pixels the text becomes %q", width, lines)
		}
		if slices.ContainsFunc(lines, func(l string) bool { return face.width(l) > width && len([]rune(l)) > 1 }) {
			t.Errorf("a line is wider than %d pixels: %q", width, lines)
		}
	}
}

func TestGoldenPictures(t *testing.T) {
	narrow, wide := stripes(123, 260), stripes(420, 160)
	empty := &spine.Heatmap{Width: 7, Height: 7, Values: make([]float32, 49), Content: hotCell(narrow, 3, 3).Content}
	overlay := func(p *spine.Picture, h *spine.Heatmap, opt Options) image.Image {
		canvas, err := Overlay(p, reading(h), opt)
		if err != nil {
			t.Fatal(err)
		}
		return canvas
	}
	small, err := SmallMap(hotCell(narrow, 3, 2), narrow.Width, narrow.Height)
	if err != nil {
		t.Fatal(err)
	}
	cells := []Cell{
		NewCell(overlay(wide, hotCell(wide, 2, 3), Options{}), "wide\nscoliosis 97.3 %"),
		NewCell(small, "small map"),
		NewCell(overlay(narrow, empty, Options{}), "a caption that is too long for one line of its cell"),
	}
	sheet, err := Sheet(cells, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]image.Image{
		"overlay-narrow":   overlay(narrow, hotCell(narrow, 3, 2), Options{}),
		"overlay-wide":     overlay(wide, hotCell(wide, 2, 3), Options{ColourMap: Viridis}),
		"overlay-empty":    overlay(narrow, empty, Options{}),
		"overlay-withheld": overlay(narrow, hotCell(narrow, 3, 2), Options{ColourMap: Plasma, Withheld: spine.LowConfidence}),
		"small-map":        small,
		"sheet":            sheet,
	} {
		golden(t, name, got)
	}
}

// golden compares with a stored picture. Two steps of 255 are allowed: other
// processors fuse multiplications and additions.
func golden(t *testing.T, name string, got image.Image) {
	t.Helper()
	path := filepath.Join("testdata", name+".png")
	if *update {
		write(t, path, got)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != got.Bounds() {
		t.Errorf("%s: %v, want %v", name, got.Bounds(), want.Bounds())
		return
	}
	far := func(a, b uint32) bool { return max(a, b)-min(a, b) > 2*0x101 }
	for y := range got.Bounds().Dy() {
		for x := range got.Bounds().Dx() {
			r, g, b, a := got.At(x, y).RGBA()
			wr, wg, wb, wa := want.At(x, y).RGBA()
			if far(r, wr) || far(g, wg) || far(b, wb) || far(a, wa) {
				t.Errorf("%s: pixel %d,%d is %v, want %v (go test -update, then look at it)", name, x, y, got.At(x, y), want.At(x, y))
				return
			}
		}
	}
}

func write(t *testing.T, path string, picture image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, picture); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkOverlay4Megapixels(b *testing.B) {
	p := stripes(1600, 2500)
	r := reading(hotCell(p, 3, 3))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Overlay(p, r, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallMap(b *testing.B) {
	h := hotCell(stripes(1000, 1000), 3, 3)
	for b.Loop() {
		if _, err := SmallMap(h, 1000, 1000); err != nil {
			b.Fatal(err)
		}
	}
}

// stripes is a picture that shows by a glance where it was moved or cut: darker
// towards the top, with a lattice.
func stripes(width, height int) *spine.Picture {
	p := &spine.Picture{Width: width, Height: height, Pix: make([]float32, width*height)}
	for i := range p.Pix {
		x, y := i%width, i/width
		p.Pix[i] = 0.2 + 0.5*float32(y)/float32(height)
		if x%20 == 10 || y%20 == 10 {
			p.Pix[i] += 0.2
		}
	}
	return p
}

// hotCell is a 7×7 map of a 224×224 letterboxed input with one hot cell and a
// little warmth below it.
func hotCell(p *spine.Picture, x, y int) *spine.Heatmap {
	spec := input.Spec{Width: 224, Height: 224, Resize: input.Letterbox}
	h := &spine.Heatmap{Width: 7, Height: 7, Values: make([]float32, 49), Max: 4}
	h.Content = spec.Frame(p.Width, p.Height).Content()
	h.Values[7*y+x], h.Values[7*y+7+x] = 4, 2
	return h
}

func reading(h *spine.Heatmap) *spine.Reading {
	return &spine.Reading{
		Model:  spine.ModelID{Name: "spine-resnet50", Version: "4"},
		Labels: spine.Labels(), Probabilities: []float64{0.017, 0.973, 0.010}, Label: spine.Scoliosis,
		Method: string(MethodGradCAM), Heatmap: h,
	}
}
