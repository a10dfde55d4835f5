package explain

import (
	"image/color"
	"math"
	"strings"
	"testing"
)

// Ways to see colours: linear RGB to linear RGB at full severity, from Machado,
// Oliveira and Fernandes 2009, "A Physiologically-based Model for Simulation of
// Color Vision Deficiency", table of the authors' page.
var visions = map[string][3][3]float64{
	"usual": {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia": {
		{0.152286, 1.052583, -0.204868},
		{0.114503, 0.786281, 0.099216},
		{-0.003882, -0.048116, 1.051998},
	},
	"deuteranopia": {
		{0.367322, 0.860646, -0.227968},
		{0.280085, 0.672501, 0.047413},
		{-0.011820, 0.042940, 0.968881},
	},
	"tritanopia": {
		{1.255528, -0.076749, -0.178779},
		{-0.078411, 0.930809, 0.147602},
		{0.004733, 0.691367, 0.303900},
	},
}

var offered = []ColourMap{Inferno, Plasma, Viridis}

// A higher value must look lighter to everyone, at every step; and eighths of
// the scale must look different. The bound is CIELAB ΔE 1976; 2.3 is a
// just noticeable difference.
func TestColourMapsRiseForEveryEye(t *testing.T) {
	for _, m := range offered {
		p := mustPalette(t, m)
		for name, vision := range visions {
			for i := 4; i < 256; i += 4 { // below that, rounding to 8 bits rules
				if was, is := lab(seen(p[i-4], vision)), lab(seen(p[i], vision)); is[0] <= was[0] {
					t.Errorf("%s, %s: lightness falls from %.2f to %.2f at %d", m, name, was[0], is[0], i)
				}
			}
			for i := 32; i < 256; i += 32 {
				for j := 0; j < i; j += 32 {
					if d := difference(lab(seen(p[i], vision)), lab(seen(p[j], vision))); d < 6 {
						t.Errorf("%s, %s: levels %d and %d differ by %.1f only", m, name, j, i, d)
					}
				}
			}
		}
	}
}

// On an X-ray the danger is another one: that the hottest quarter of the map
// takes a grey that bone could have. The default must keep well away for the
// red–green blind (one man in twelve), all must for everyone.
func TestHotNeverLooksLikeBone(t *testing.T) {
	for _, m := range offered {
		p := mustPalette(t, m)
		for name, vision := range visions {
			bound := 5.0
			if m == Inferno && name != "tritanopia" {
				bound = 25
			}
			for v := 192; v < 256; v++ {
				// To 95 % white: what is burnt out holds no anatomy.
				for g := 0; g < 243; g += 6 {
					l := lab(seen(over(p[v], defaultOpacity, uint8(g)), vision))
					if chroma := math.Hypot(l[1], l[2]); chroma < bound {
						t.Fatalf("%s, %s: value %d over grey %d is only %.1f from grey, want %v", m, name, v, g, chroma, bound)
					}
				}
			}
		}
	}
}

// The checks above must be able to fail: jet and a plain grey ramp do.
func TestTheColourChecksCatchJet(t *testing.T) {
	falls := 0
	var was float64
	for i := range 256 {
		v := float64(i) / 255
		jet := func(centre float64) uint8 {
			return uint8(255 * min(max(1.5-4*math.Abs(v-centre), 0), 1))
		}
		l := lab(seen(color.NRGBA{R: jet(0.75), G: jet(0.5), B: jet(0.25)}, visions["deuteranopia"]))
		if i > 0 && l[0] < was {
			falls++
		}
		was = l[0]
	}
	if falls < 20 {
		t.Errorf("jet's lightness falls at %d of 255 steps for a deuteranope: the simulation sees nothing", falls)
	}
	if l := lab(seen(color.NRGBA{R: 99, G: 99, B: 99}, visions["deuteranopia"])); math.Hypot(l[1], l[2]) > 0.1 {
		t.Errorf("grey has a chroma: %v", l)
	}
}

func TestAlphaGrowsFromNothing(t *testing.T) {
	for _, m := range offered {
		p := mustPalette(t, m)
		if p[0].A != 0 || p[255].A != 255 {
			t.Errorf("%s: alpha from %d to %d, want 0 to 255", m, p[0].A, p[255].A)
		}
		for i := 1; i < 256; i++ {
			if p[i].A <= p[i-1].A {
				t.Errorf("%s: alpha does not grow at %d", m, i)
			}
		}
	}
}

// The ends and two published entries between (matplotlib's _cm_listed.py).
func TestPublishedColours(t *testing.T) {
	for m, want := range map[ColourMap]map[int]color.NRGBA{
		Inferno: {0: {0, 0, 4, 0}, 85: {0x78, 0x1c, 0x6d, 85}, 255: {0xfc, 0xff, 0xa4, 255}},
		Plasma:  {0: {0x0d, 0x08, 0x87, 0}, 85: {0x9c, 0x17, 0x9e, 85}, 255: {0xf0, 0xf9, 0x21, 255}},
		Viridis: {0: {0x44, 0x01, 0x54, 0}, 85: {0x31, 0x68, 0x8e, 85}, 255: {0xfd, 0xe7, 0x25, 255}},
	} {
		p := mustPalette(t, m)
		for i, c := range want {
			if p[i] != c {
				t.Errorf("%s at %d is %v, want %v", m, i, p[i], c)
			}
		}
	}
}

func TestParseColourMap(t *testing.T) {
	for _, m := range offered {
		if got, err := ParseColourMap(string(m)); got != m || err != nil {
			t.Errorf("ParseColourMap(%q) = %q, %v", m, got, err)
		}
	}
	for _, name := range []string{"", "jet"} {
		if _, err := ParseColourMap(name); err == nil || !strings.Contains(err.Error(), `"inferno", "plasma" or "viridis"`) {
			t.Errorf("ParseColourMap(%q): %v, want an error that lists the maps", name, err)
		}
	}
}

func mustPalette(t *testing.T, m ColourMap) *palette {
	t.Helper()
	p, err := m.palette()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// seen returns what the eye makes of a colour, in linear RGB.
func seen(c color.NRGBA, vision [3][3]float64) [3]float64 {
	linear := func(v uint8) float64 {
		if s := float64(v) / 255; s > 0.04045 {
			return math.Pow((s+0.055)/1.055, 2.4)
		}
		return float64(v) / 255 / 12.92
	}
	rgb := [3]float64{linear(c.R), linear(c.G), linear(c.B)}
	var out [3]float64
	for i, row := range vision {
		out[i] = min(max(row[0]*rgb[0]+row[1]*rgb[1]+row[2]*rgb[2], 0), 1)
	}
	return out
}

// lab returns CIELAB (D65) of linear sRGB.
func lab(c [3]float64) [3]float64 {
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x := f((0.4124564*c[0] + 0.3575761*c[1] + 0.1804375*c[2]) / 0.95047)
	y := f(0.2126729*c[0] + 0.7151522*c[1] + 0.0721750*c[2])
	z := f((0.0193339*c[0] + 0.1191920*c[1] + 0.9503041*c[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func difference(a, b [3]float64) float64 {
	return math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2])
}
