package strangers_test

import (
	"math"
	"slices"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/strangers"
)

func TestEveryStrangerIsAPictureOfItsOwn(t *testing.T) {
	var before *spine.Picture
	for _, kind := range strangers.Kinds() {
		p, err := strangers.Draw(kind, 7)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := strangers.Draw(kind, 7)
		other, _ := strangers.Draw(kind, 8)
		if !slices.Equal(p.Pix, again.Pix) || slices.Equal(p.Pix, other.Pix) {
			t.Errorf("%s: the picture does not follow from its seed", kind)
		}
		if len(p.Pix) != p.Width*p.Height || max(p.Width, p.Height) != 256 {
			t.Errorf("%s: %d values for %dx%d", kind, len(p.Pix), p.Width, p.Height)
		}
		var sum, squares float64
		for _, v := range p.Pix {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%s: grey %v", kind, v)
			}
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		n := float64(len(p.Pix))
		if deviation := math.Sqrt(squares/n - sum/n*sum/n); deviation < 0.03 {
			t.Errorf("%s: an even picture, its greys differ by %.3f", kind, deviation)
		}
		if before != nil && slices.Equal(p.Pix, before.Pix) {
			t.Errorf("%s looks like the kind before it", kind)
		}
		before = p
	}
	if _, err := strangers.Draw("dragon", 1); err == nil {
		t.Error("a dragon is drawn")
	}
}

func TestShuffleKeepsWhatThePictureIsMadeOf(t *testing.T) {
	p := &spine.Picture{Width: 30, Height: 60, Pix: make([]float32, 1800)}
	for i := range p.Pix {
		p.Pix[i] = float32(i)
	}
	s := strangers.Shuffle(p, 3)
	if slices.Equal(s.Pix, p.Pix) || !slices.Equal(slices.Sorted(slices.Values(s.Pix)), p.Pix) {
		t.Error("tiles are lost, or where they were")
	}
	lying := strangers.Lay(p)
	if lying.Width != 60 || lying.Height != 30 || lying.Pix[59] != p.Pix[0] || lying.Pix[0] != p.Pix[59*30] {
		t.Errorf("laid down it has %dx%d pixels and begins with %v", lying.Width, lying.Height, lying.Pix[0])
	}
}
