// Package input turns a grey picture into a network's input and says where the
// picture lies in it, so that a heatmap can be brought back onto the picture.
// Training, inference and golden cases all go through it: there is one way for
// a pixel to reach a network.
package input

import (
	"fmt"
	"math"
	"slices"

	"spinebox/internal/spine"
)

// Resize says how a picture of any shape becomes an input of a fixed one.
type Resize string

const (
	// Letterbox keeps the picture's shape and pads with black, centred.
	Letterbox Resize = "letterbox"
	// Squash stretches the picture over the whole input.
	Squash Resize = "squash"
)

// Grey says how grey values are brought to 0–255.
type Grey string

const (
	// FullRange multiplies by 255 and does nothing else.
	FullRange Grey = "full-range"
	// Percentile spreads the 1st to 99th percentile of the resized picture
	// over 0–255 and clips the rest, so that windowing and exposure of the
	// film do not reach the network.
	Percentile Grey = "percentile-1-99"
)

// Spec is how one model wants its input.
type Spec struct {
	Width  int    `json:"width"` // pixels
	Height int    `json:"height"`
	Resize Resize `json:"resize"`
	Grey   Grey   `json:"grey"`
}

// Validate reports what is wrong with the spec.
func (s Spec) Validate() error {
	switch {
	case s.Width < 32 || s.Height < 32 || s.Width > 4096 || s.Height > 4096:
		return fmt.Errorf("input size %dx%d (height x width) is outside 32 to 4096", s.Height, s.Width)
	case s.Resize != Letterbox && s.Resize != Squash:
		return fmt.Errorf("unknown resize rule %q", s.Resize)
	case s.Grey != FullRange && s.Grey != Percentile:
		return fmt.Errorf("unknown grey normalisation %q", s.Grey)
	}
	return nil
}

// Frame is the rectangle of the input, in whole input pixels, that the picture
// covers: columns X to X+W, rows Y to Y+H. The rest is padding.
type Frame struct {
	X, Y, W, H    int
	Width, Height int // of the input
}

// Frame returns where a picture of w×h pixels lies in the input.
func (s Spec) Frame(w, h int) Frame {
	f := Frame{W: s.Width, H: s.Height, Width: s.Width, Height: s.Height}
	if s.Resize == Squash {
		return f
	}
	scale := math.Min(float64(s.Width)/float64(w), float64(s.Height)/float64(h))
	f.W = min(max(int(math.Round(float64(w)*scale)), 1), s.Width)
	f.H = min(max(int(math.Round(float64(h)*scale)), 1), s.Height)
	f.X, f.Y = (s.Width-f.W)/2, (s.Height-f.H)/2
	return f
}

// Content returns the frame in fractions of the input.
func (f Frame) Content() spine.Rect {
	w, h := float64(f.Width), float64(f.Height)
	return spine.Rect{
		X0: float64(f.X) / w, Y0: float64(f.Y) / h,
		X1: float64(f.X+f.W) / w, Y1: float64(f.Y+f.H) / h,
	}
}

// Plane writes the picture, resized and normalised, as one grey plane of
// Height×Width values from 0 to 255 into dst, which must have that length, and
// returns where the picture lies.
func (s Spec) Plane(dst []float32, p *spine.Picture) Frame {
	if len(dst) != s.Width*s.Height {
		panic(fmt.Sprintf("input: plane of %d values for %dx%d", len(dst), s.Height, s.Width))
	}
	f := s.Frame(p.Width, p.Height)
	content := Resample(p.Pix, p.Width, p.Height, f.W, f.H)
	s.normalise(content)
	clear(dst)
	for y := range f.H {
		copy(dst[(f.Y+y)*s.Width+f.X:], content[y*f.W:(y+1)*f.W])
	}
	return f
}

// RGB writes the plane three times side by side (red, green, blue of each
// pixel), the layout of a float32 [H,W,3] tensor.
func RGB(dst, plane []float32) {
	for i, v := range plane {
		dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
	}
}

func (s Spec) normalise(v []float32) {
	lo, hi := float32(0), float32(1)
	if s.Grey == Percentile {
		scratch := slices.Clone(v)
		last := float64(len(scratch) - 1)
		hi = spine.Ranked(scratch, int(math.Round(0.99*last)))
		lo = spine.Ranked(scratch, int(math.Round(0.01*last)))
		if hi-lo < 1e-6 { // a flat picture has nothing to spread
			hi = lo + 1
		}
	}
	scale := 255 / (hi - lo)
	for i := range v {
		v[i] = min(max((v[i]-lo)*scale, 0), 255)
	}
}
