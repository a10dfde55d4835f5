package xray

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"testing"
)

// scene is a made colour photograph: a function from places (0 to 1) to
// colours (0 to 255).
type scene func(x, y float64) (r, g, b float64)

// photograph takes the scene as a camera would: uneven light, a cast of the
// whole picture, noise in each colour, and JPEG compression. colourfulness
// below 1 washes it out.
func photograph(t *testing.T, s scene, w, h int, colourfulness float64, seed uint64) []byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	cast := [3]float64{0.92 + 0.16*rng.Float64(), 1, 0.92 + 0.16*rng.Float64()}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			r, g, b := s(u, v)
			grey := 0.299*r + 0.587*g + 0.114*b
			light := 1.05 - 0.4*math.Hypot(u-0.4, v-0.4)
			var out [3]uint8
			for i, c := range [3]float64{r, g, b} {
				c = (grey + colourfulness*(c-grey)) * light * cast[i]
				out[i] = uint8(min(max(c+7*rng.NormFloat64(), 0), 255))
			}
			img.SetRGBA(x, y, color.RGBA{out[0], out[1], out[2], 255})
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 80}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// ripple is a texture from -1 to 1.
func ripple(x, y, scale float64) float64 {
	return (math.Sin(x*scale+2*math.Sin(y*scale*0.7)) + math.Sin(y*scale*1.3+x*scale*0.4)) / 2
}

func within(x, y, cx, cy, rx, ry float64) bool {
	return (x-cx)*(x-cx)/(rx*rx)+(y-cy)*(y-cy)/(ry*ry) < 1
}

// scenes are ordinary subjects, some of them drab.
func scenes() map[string]scene {
	return map[string]scene{
		"meadow under a blue sky": func(x, y float64) (r, g, b float64) {
			if y < 0.45 {
				return 110 + 120*y, 160 + 120*y, 235
			}
			d := 30 * ripple(x, y, 60)
			return 80 + d, 130 + d, 50 + d
		},
		"face": func(x, y float64) (r, g, b float64) {
			switch {
			case within(x, y, 0.5, 0.42, 0.2, 0.27):
				d := 20 * ripple(x, y, 9)
				return 205 + d, 155 + d, 130 + d
			case within(x, y, 0.5, 0.36, 0.26, 0.33):
				return 60, 42, 32
			case y > 0.7:
				return 45, 70, 120
			}
			return 190, 185, 175
		},
		"fruit on a table": func(x, y float64) (r, g, b float64) {
			switch d := 25 * ripple(x, y, 12); {
			case within(x, y, 0.3, 0.5, 0.14, 0.16):
				return 190 + d, 40, 35
			case within(x, y, 0.6, 0.55, 0.15, 0.15):
				return 230 + d, 150 + d, 30
			case within(x, y, 0.75, 0.35, 0.1, 0.12):
				return 120 + d, 160 + d, 50
			case y > 0.4:
				return 140 + d, 95 + d, 60 + d
			}
			return 200, 200, 195
		},
		"sunset over the sea": func(x, y float64) (r, g, b float64) {
			if y < 0.5 {
				return 150 + 200*y, 90 + 120*y, 110 - 100*y
			}
			d := 15 * ripple(x, y, 80)
			return 40 + d, 55 + d, 90 + d
		},
		"corridor with people in scrubs": func(x, y float64) (r, g, b float64) {
			switch {
			case within(x, y, 0.35, 0.6, 0.1, 0.35), within(x, y, 0.7, 0.55, 0.08, 0.3):
				return 60, 130, 140
			case within(x, y, 0.35, 0.2, 0.05, 0.07), within(x, y, 0.7, 0.2, 0.04, 0.06):
				return 200, 150, 125
			case y > 0.75:
				return 150, 145, 135
			}
			return 215, 215, 205
		},
		"wood": func(x, y float64) (r, g, b float64) {
			d := 35 * ripple(x, y, 40)
			switch {
			case y < 0.2 && ripple(x, y, 15) > -0.2:
				return 190, 205, 220
			case math.Mod(x*7, 1) < 0.2:
				return 95 + d, 75 + d, 60 + d
			}
			return 60 + d, 95 + d, 45 + d
		},
		"street": func(x, y float64) (r, g, b float64) {
			d := 12 * ripple(x, y, 50)
			switch {
			case y < 0.25:
				return 175, 195, 220
			case y > 0.7:
				return 105 + d, 103 + d, 100 + d
			case x < 0.4:
				return 165 + d, 100 + d, 80 + d
			case within(x, y, 0.7, 0.65, 0.2, 0.1):
				return 150, 30, 35
			}
			return 190 + d, 175 + d, 145 + d
		},
		"papers on a desk": func(x, y float64) (r, g, b float64) {
			switch {
			case x > 0.1 && x < 0.6 && y > 0.15 && y < 0.85:
				return 235, 235, 230
			case x > 0.65 && x < 0.9 && y > 0.2 && y < 0.6:
				return 50, 80, 150
			}
			d := 15 * ripple(x, y, 30)
			return 150 + d, 110 + d, 75 + d
		},
	}
}

func TestHuesOfColourScenes(t *testing.T) {
	for name, s := range scenes() {
		t.Run(name, func(t *testing.T) {
			hues := huesAsJPEG(t, s, 400, 300, 1)
			t.Logf("%.3f; with 60 %% of the colour %.3f", hues, huesAsJPEG(t, s, 400, 300, 0.6))
			if hues < 2*MaxHues {
				t.Errorf("hues %.3f comes near what passes for a tint", hues)
			}
		})
	}
}

func huesAsJPEG(t *testing.T, s scene, w, h int, colourfulness float64) float64 {
	t.Helper()
	b := photograph(t, s, w, h, colourfulness, 7)
	p, err := DecodeReader(bytes.NewReader(b), int64(len(b)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return p.Facts.Hues
}

// film is a grey picture with something of a spine in it.
func film(x, y float64) float64 {
	v := 40 + 120*math.Exp(-20*(x-0.5)*(x-0.5)) + 40*ripple(x, y, 25)
	if x < 0.05 || x > 0.95 {
		v = 5
	}
	return v
}

func TestHuesOfTints(t *testing.T) {
	tints := map[string]func(v float64) (r, g, b float64){
		"grey":        func(v float64) (r, g, b float64) { return v, v, v },
		"blue base":   func(v float64) (r, g, b float64) { return 0.75 * v, 0.9 * v, 1.15*v + 15 },
		"green lamp":  func(v float64) (r, g, b float64) { return 0.8 * v, 1.05 * v, 0.85 * v },
		"sepia":       func(v float64) (r, g, b float64) { return 1.1*v + 10, 0.95 * v, 0.7 * v },
		"deep violet": func(v float64) (r, g, b float64) { return 0.8 * v, 0.6 * v, 1.3 * v },
	}
	for name, tint := range tints {
		t.Run(name, func(t *testing.T) {
			s := func(x, y float64) (r, g, b float64) { return tint(film(x, y)) }
			if hues := huesAsJPEG(t, s, 300, 700, 1); hues > MaxHues/2 {
				t.Errorf("hues %.3f", hues)
			}
		})
	}
}

// Writing in a strong colour, as reading rooms burn in, must not turn an X-ray
// into a photograph.
func TestHuesOfMarkedFilm(t *testing.T) {
	s := func(x, y float64) (r, g, b float64) {
		if y < 0.1 && math.Mod(x*20, 1) < 0.5 {
			return 240, 220, 30
		}
		v := film(x, y)
		return v, v, v
	}
	if hues := huesAsJPEG(t, s, 300, 700, 1); hues > MaxHues {
		t.Errorf("hues %.3f", hues)
	}
}
