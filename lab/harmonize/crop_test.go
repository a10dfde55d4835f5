package harmonize

import (
	"slices"
	"testing"

	"spinebox/internal/spine"
)

// The middle of a picture is kept, whichever of its sides is too long.
func TestCrop(t *testing.T) {
	p := &spine.Picture{Width: 4, Height: 3, Pix: []float32{
		0, 1, 2, 3,
		10, 11, 12, 13,
		20, 21, 22, 23,
	}}
	for _, c := range []struct {
		height, width int
		want          []float32
		w, h          int
	}{
		{30, 20, []float32{1, 2, 11, 12, 21, 22}, 2, 3},
		{10, 40, []float32{10, 11, 12, 13}, 4, 1},
		{3, 4, p.Pix, 4, 3},
		{1000, 1, []float32{1, 11, 21}, 1, 3},
	} {
		got := crop(p, c.height, c.width)
		if got.Width != c.w || got.Height != c.h || !slices.Equal(got.Pix, c.want) {
			t.Errorf("to the shape of %d by %d: %d by %d, %v", c.height, c.width, got.Height, got.Width, got.Pix)
		}
	}
}
