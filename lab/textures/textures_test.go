package textures_test

import (
	"slices"
	"testing"

	"spinebox/lab/textures"
)

func TestDraw(t *testing.T) {
	for kind := range textures.Kinds() {
		p := textures.Draw(kind, 1, 40, 64)
		if len(p) != 40*64 {
			t.Fatalf("kind %d has %d values", kind, len(p))
		}
		if lo, hi := slices.Min(p), slices.Max(p); lo < 0 || hi > 255 || hi-lo < 20 {
			t.Errorf("kind %d reaches from %g to %g", kind, lo, hi)
		}
		if !slices.Equal(p, textures.Draw(kind, 1, 40, 64)) {
			t.Errorf("kind %d: the same seed drew two pictures", kind)
		}
		if slices.Equal(p, textures.Draw(kind, 2, 40, 64)) {
			t.Errorf("kind %d: two seeds drew one picture", kind)
		}
	}
}
