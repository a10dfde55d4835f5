package wire

import (
	"math"
	"testing"
)

// Values from IEEE 754-2008, binary16: bias 15, ten bits of fraction.
func TestHalfKnown(t *testing.T) {
	for _, c := range []struct {
		f float32
		h uint16
	}{
		{0, 0x0000}, {float32(math.Copysign(0, -1)), 0x8000},
		{1, 0x3c00}, {-2, 0xc000}, {0.5, 0x3800}, {1.0 / 3, 0x3555},
		{65504, 0x7bff}, {65519, 0x7bff}, {65520, 0x7c00}, {1e9, 0x7c00},
		{float32(math.Inf(-1)), 0xfc00}, {float32(math.NaN()), 0x7e00},
		{0x1p-14, 0x0400}, {0x1p-24, 0x0001}, {0x1p-25, 0x0000}, {0x1.8p-25, 0x0001}, {0x1p-26, 0x0000},
		{0x1.ff8p-15, 0x03ff}, {0x1.ffcp-15, 0x0400},
		{1 + 0x1p-11, 0x3c00}, {1 + 0x3p-11, 0x3c02}, // ties go to the even neighbour
		{1 + 0x1p-11 + 0x1p-20, 0x3c01},
		{0x1.fffp0, 0x4000}, // rounds up into the next exponent
	} {
		if got := half(c.f); got != c.h {
			t.Errorf("half(%g) is %#04x, want %#04x", c.f, got, c.h)
		}
	}
}

func TestHalfRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		f := single(uint16(h))
		if math.IsNaN(float64(f)) {
			if got := half(f); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
				t.Fatalf("%#04x is not a number, but comes back as %#04x", h, got)
			}
			continue
		}
		if got := half(f); got != uint16(h) {
			t.Fatalf("%#04x is %g and comes back as %#04x", h, f, got)
		}
	}
}
