package input_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/input"
)

func TestFrame(t *testing.T) {
	for _, c := range []struct {
		what   string
		resize input.Resize
		w, h   int
		want   input.Frame // in an input of 128 columns and 320 rows
	}{
		{"the input's own size", input.Letterbox, 128, 320, input.Frame{X: 0, Y: 0, W: 128, H: 320}},
		{"a tall one", input.Letterbox, 157, 679, input.Frame{X: 27, Y: 0, W: 74, H: 320}},
		{"a wide one", input.Letterbox, 679, 157, input.Frame{X: 0, Y: 145, W: 128, H: 30}},
		{"one pixel", input.Letterbox, 1, 1, input.Frame{X: 0, Y: 96, W: 128, H: 128}},
		{"a line down", input.Letterbox, 1, 5000, input.Frame{X: 63, Y: 0, W: 1, H: 320}},
		{"a line across", input.Letterbox, 5000, 1, input.Frame{X: 0, Y: 159, W: 128, H: 1}},
		{"a wide one, squashed", input.Squash, 679, 157, input.Frame{X: 0, Y: 0, W: 128, H: 320}},
		{"a line, squashed", input.Squash, 1, 5000, input.Frame{X: 0, Y: 0, W: 128, H: 320}},
	} {
		c.want.Width, c.want.Height = 128, 320
		s := input.Spec{Width: 128, Height: 320, Resize: c.resize, Grey: input.FullRange}
		if got := s.Frame(c.w, c.h); got != c.want {
			t.Errorf("%s (%dx%d): %+v, want %+v", c.what, c.w, c.h, got, c.want)
		}
	}
}

func TestContent(t *testing.T) {
	f := input.Frame{X: 27, Y: 80, W: 74, H: 160, Width: 128, Height: 320}
	want := spine.Rect{X0: 27. / 128, Y0: 0.25, X1: 101. / 128, Y1: 0.75}
	if got := f.Content(); got != want {
		t.Errorf("content %+v, want %+v", got, want)
	}
}

func TestValidate(t *testing.T) {
	good := input.Spec{Width: 128, Height: 320, Resize: input.Letterbox, Grey: input.Percentile}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*input.Spec){
		"input size 31x128 (height x width) is outside 32 to 4096":   func(s *input.Spec) { s.Height = 31 },
		"input size 320x5000 (height x width) is outside 32 to 4096": func(s *input.Spec) { s.Width = 5000 },
		`unknown resize rule "crop"`:                                 func(s *input.Spec) { s.Resize = "crop" },
		`unknown grey normalisation ""`:                              func(s *input.Spec) { s.Grey = "" },
	} {
		s := good
		spoil(&s)
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// picture makes one by a function of column and row.
func picture(w, h int, at func(x, y int) float32) *spine.Picture {
	p := &spine.Picture{Width: w, Height: h, Pix: make([]float32, w*h)}
	for y := range h {
		for x := range w {
			p.Pix[y*w+x] = at(x, y)
		}
	}
	return p
}

func noise(w, h int, seed uint64) *spine.Picture {
	r := rand.New(rand.NewPCG(seed, 1))
	return picture(w, h, func(_, _ int) float32 { return r.Float32() })
}

// plane runs Spec.Plane on a destination that held something else before.
func plane(s input.Spec, p *spine.Picture) ([]float32, input.Frame) {
	dst := make([]float32, s.Width*s.Height)
	for i := range dst {
		dst[i] = -1
	}
	return dst, s.Plane(dst, p)
}

// reference resamples one pixel at a time in two dimensions and in float64,
// with the triangle filter that resample.go describes.
func reference(p *spine.Picture, dw, dh int) []float64 {
	weight := func(i, k, from, to int) float64 {
		scale := float64(from) / float64(to)
		centre := (float64(i)+0.5)*scale - 0.5
		return math.Max(0, 1-math.Abs(float64(k)-centre)/math.Max(scale, 1))
	}
	out := make([]float64, dw*dh)
	for y := range dh {
		for x := range dw {
			var sum, weights float64
			for v := range p.Height {
				wy := weight(y, v, p.Height, dh)
				if wy == 0 {
					continue
				}
				for u := range p.Width {
					w := wy * weight(x, u, p.Width, dw)
					sum += w * float64(p.Pix[v*p.Width+u])
					weights += w
				}
			}
			out[y*dw+x] = sum / weights
		}
	}
	return out
}

func TestResampleEqualsReference(t *testing.T) {
	for i, size := range [][2]int{{64, 48}, {128, 96}, {200, 31}, {7, 150}, {1, 1}, {2, 90}, {63, 47}, {65, 49}} {
		s := input.Spec{Width: 64, Height: 48, Resize: input.Squash, Grey: input.FullRange}
		p := noise(size[0], size[1], uint64(i))
		got, _ := plane(s, p)
		for k, want := range reference(p, s.Width, s.Height) {
			if d := math.Abs(float64(got[k]) - 255*want); d > 1e-3 {
				t.Fatalf("%dx%d: row %d, column %d is %v, the reference has %v", size[0], size[1], k/s.Width, k%s.Width, got[k], 255*want)
			}
		}
	}
}

// TestPlaneProperties holds for pictures and inputs of any size.
func TestPlaneProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 100 {
		s := input.Spec{Width: 32 + r.IntN(64), Height: 32 + r.IntN(64), Resize: input.Letterbox, Grey: input.FullRange}
		if r.IntN(4) == 0 {
			s.Resize = input.Squash
		}
		p := noise(1+r.IntN(150), 1+r.IntN(150), r.Uint64())
		least, most := float32(1), float32(0)
		for _, v := range p.Pix {
			least, most = min(least, v), max(most, v)
		}
		what := fmt.Sprintf("%dx%d into %+v", p.Width, p.Height, s)
		got, f := plane(s, p)
		if f.X < 0 || f.Y < 0 || f.W < 1 || f.H < 1 || f.X+f.W > s.Width || f.Y+f.H > s.Height {
			t.Fatalf("%s: frame %+v", what, f)
		}
		if f.W != s.Width && f.H != s.Height {
			t.Fatalf("%s: frame %+v touches no two sides", what, f)
		}
		for i, v := range got {
			x, y := i%s.Width, i/s.Width
			inside := x >= f.X && x < f.X+f.W && y >= f.Y && y < f.Y+f.H
			if !inside && v != 0 {
				t.Fatalf("%s: the padding holds %v at row %d, column %d", what, v, y, x)
			}
			if inside && (v < 255*least-1e-3 || v > 255*most+1e-3) {
				t.Fatalf("%s: %v at row %d, column %d, outside the picture's own %v to %v", what, v, y, x, 255*least, 255*most)
			}
		}
		s.Grey = input.Percentile
		got, _ = plane(s, p)
		for i, v := range got {
			if !(v >= 0 && v <= 255) {
				t.Fatalf("%s: value %d is %v by percentiles", what, i, v)
			}
		}
	}
}

func TestConstantStaysConstant(t *testing.T) {
	for _, size := range [][2]int{{40, 170}, {300, 33}, {5, 5}, {64, 64}} {
		p := picture(size[0], size[1], func(_, _ int) float32 { return 0.4 })
		for grey, want := range map[input.Grey]float32{input.FullRange: 102, input.Percentile: 0} {
			got, f := plane(input.Spec{Width: 64, Height: 64, Resize: input.Letterbox, Grey: grey}, p)
			for y := f.Y; y < f.Y+f.H; y++ {
				for _, v := range got[y*64+f.X : y*64+f.X+f.W] {
					if math.Abs(float64(v-want)) > 1e-3 {
						t.Fatalf("%v, %s: %v, want %v", size, grey, v, want)
					}
				}
			}
		}
	}
}

// TestReducingKeepsTheMean also tells that no source pixel is left out: one
// bright pixel anywhere brings in its share of the light.
func TestReducingKeepsTheMean(t *testing.T) {
	s := input.Spec{Width: 64, Height: 48, Resize: input.Squash, Grey: input.FullRange}
	mean := func(v []float32) float64 {
		var sum float64
		for _, x := range v {
			sum += float64(x)
		}
		return sum / float64(len(v))
	}
	for _, factor := range []float64{2, 3, 3.7, 10} {
		w, h := int(factor*64), int(factor*48)
		p := noise(w, h, 1)
		got, _ := plane(s, p)
		if d := math.Abs(mean(got)/255 - mean(p.Pix)); d > 0.005 {
			t.Errorf("reduced %v times, the mean is off by %v", factor, d)
		}
		one := 255 / float64(w*h)
		for _, at := range [][2]int{{w / 2, h / 2}, {w/2 + 1, h/2 + 1}, {w / 3, h / 5}, {w - w/4, h/2 + 2}} {
			got, _ := plane(s, picture(w, h, func(x, y int) float32 {
				if x == at[0] && y == at[1] {
					return 1
				}
				return 0
			}))
			if part := mean(got) / one; part < 0.85 || part > 1.15 {
				t.Errorf("reduced %v times, the pixel at column %d, row %d keeps %v of its light", factor, at[0], at[1], part)
			}
		}
	}
}

// TestEnlargingInterpolates: a ramp stays a ramp between the outermost centres.
func TestEnlargingInterpolates(t *testing.T) {
	s := input.Spec{Width: 64, Height: 32, Resize: input.Squash, Grey: input.FullRange}
	got, _ := plane(s, picture(8, 4, func(x, _ int) float32 { return float32(x) / 7 }))
	for x := range 64 {
		want := min(max(255*((float64(x)+0.5)/8-0.5)/7, 0), 255)
		if d := math.Abs(float64(got[10*64+x]) - want); d > 1e-3 {
			t.Errorf("column %d is %v, want %v", x, got[10*64+x], want)
		}
	}
}

func TestPercentileSpreadsAndClips(t *testing.T) {
	// A ramp from 0.3 to 0.5, with half a per cent of black and of white.
	const w, h = 100, 100
	p := picture(w, h, func(x, y int) float32 { return 0.3 + 0.2*float32(y*w+x)/(w*h-1) })
	for i := range 50 {
		p.Pix[i], p.Pix[w*h-1-i] = 0, 1
	}
	got, _ := plane(input.Spec{Width: w, Height: h, Resize: input.Squash, Grey: input.Percentile}, p)
	clipped := map[float32]int{}
	for i, v := range got {
		clipped[v]++
		lo, hi := 0.01*(w*h-1), 0.99*(w*h-1)
		want := 255 * (float64(i) - math.Round(lo)) / (math.Round(hi) - math.Round(lo))
		if d := math.Abs(float64(v) - min(max(want, 0), 255)); d > 0.1 {
			t.Fatalf("value %d is %v, want %v", i, v, want)
		}
	}
	if clipped[0] < 100 || clipped[255] < 100 || clipped[0] > 102 || clipped[255] > 102 {
		t.Errorf("%d values are black and %d white, want one in a hundred of each", clipped[0], clipped[255])
	}
}

// TestPercentileIgnoresExposure: the same film, printed darker and flatter,
// reaches the network as the same plane, and its padding does not count.
func TestPercentileIgnoresExposure(t *testing.T) {
	s := input.Spec{Width: 128, Height: 64, Resize: input.Letterbox, Grey: input.Percentile}
	p := noise(60, 200, 5)
	darker := picture(60, 200, func(x, y int) float32 { return 0.1 + 0.3*p.Pix[y*60+x] })
	a, _ := plane(s, p)
	b, _ := plane(s, darker)
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 0.01 {
			t.Fatalf("value %d: %v and %v", i, a[i], b[i])
		}
	}
}

func TestPlaneWantsItsLength(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a plane of the wrong length is written to")
		}
	}()
	s := input.Spec{Width: 64, Height: 64, Resize: input.Squash, Grey: input.FullRange}
	s.Plane(make([]float32, 10), noise(4, 4, 1))
}

func TestRGB(t *testing.T) {
	dst := make([]float32, 6)
	input.RGB(dst, []float32{1, 2})
	if want := [6]float32{1, 1, 1, 2, 2, 2}; [6]float32(dst) != want {
		t.Errorf("%v, want %v", dst, want)
	}
}

// TestWayThereAndBack sends a bright spot to the network's input and takes the
// input for a heatmap: brought back onto the picture, its peak is where the
// spot was. Frame.Content and explain.OnPicture thus mean the same place.
func TestWayThereAndBack(t *testing.T) {
	for _, size := range [][2]int{{150, 600}, {600, 150}, {90, 90}, {311, 1403}, {33, 20}} {
		for _, resize := range []input.Resize{input.Letterbox, input.Squash} {
			w, h := size[0], size[1]
			s := input.Spec{Width: 128, Height: 320, Resize: resize, Grey: input.FullRange}
			sx, sy := 0.7*float64(w), 0.2*float64(h)
			wide := 0.08 * float64(min(w, h))
			got, f := plane(s, picture(w, h, func(x, y int) float32 {
				dx, dy := float64(x)+0.5-sx, float64(y)+0.5-sy
				return float32(math.Exp(-(dx*dx + dy*dy) / (2 * wide * wide)))
			}))
			m := &spine.Heatmap{Width: s.Width, Height: s.Height, Values: got, Max: 255, Content: f.Content()}
			back, err := explain.OnPicture(m, w, h)
			if err != nil {
				t.Fatal(err)
			}
			var cx, cy, sum float64 // the spot's centre, by the brighter half
			for i, v := range back {
				if v > 0.5 {
					cx, cy, sum = cx+float64(v)*(float64(i%w)+0.5), cy+float64(v)*(float64(i/w)+0.5), sum+float64(v)
				}
			}
			// Half an input pixel, in pixels of the picture; or half of the picture's.
			allowed := 0.5 * max(float64(w)/float64(f.W), float64(h)/float64(f.H), 1)
			if d := math.Hypot(cx/sum-sx, cy/sum-sy); d > allowed {
				t.Errorf("%dx%d %s: the spot comes back %.2f pixels away, allowed are %.2f", w, h, resize, d, allowed)
			}
			if outside := explain.Outside(m); outside > 1e-6 {
				t.Errorf("%dx%d %s: %v of the spot lies in the padding", w, h, resize, outside)
			}
		}
	}
}
