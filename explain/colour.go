package explain

import (
	"encoding/hex"
	"fmt"
	"image/color"
	"math"
	"strings"
)

// ColourMap names a colour map. All that are offered rise steadily in
// lightness, also as protanopes, deuteranopes and tritanopes see them, and
// their hot end never takes the grey of bone (docs/decisions/colour-maps.md
// has the figures). Jet is not among them: its lightness goes up and down, and
// its red and green are one colour to one man in twelve.
type ColourMap string

const (
	Inferno ColourMap = "inferno" // the default
	Plasma  ColourMap = "plasma"
	Viridis ColourMap = "viridis"
)

// ParseColourMap returns the colour map of that name.
func ParseColourMap(name string) (ColourMap, error) {
	if m := ColourMap(name); m.stops() != "" {
		return m, nil
	}
	return "", fmt.Errorf("unknown colour map %q: use %q, %q or %q", name, Inferno, Plasma, Viridis)
}

// stops returns every seventeenth of the map's 256 published colours, between
// which the eye hardly sees a difference to a straight line (at most 2.6 in
// CIELAB). The tables are by Smith, van der Walt and Firing for matplotlib, and
// in the public domain (CC0, https://bids.github.io/colormap/).
func (m ColourMap) stops() string {
	switch m {
	case Inferno:
		return "000004 0c0826 240c4f 420a68 5d126e 781c6d 932667 ae305c " +
			"c73e4c dd513a ed6925 f8850f fca50a fac62d f2e661 fcffa4"
	case Plasma:
		return "0d0887 330597 5002a2 6a00a8 8405a7 9c179e b12a90 c33d80 " +
			"d35171 e16462 ed7953 f68f44 fca636 fec029 f9dc24 f0f921"
	case Viridis:
		return "440154 481a6c 472f7d 414487 39568c 31688e 2a788e 23888e " +
			"1f988b 22a884 35b779 54c568 7ad151 a5db36 d2e21b fde725"
	}
	return ""
}

// palette is a colour map in 256 steps, its alpha growing with the value: where
// the network did not look, the X-ray shows as it is.
type palette [256]color.NRGBA

func (m ColourMap) palette() (*palette, error) {
	if m == "" {
		m = Inferno
	}
	if _, err := ParseColourMap(string(m)); err != nil {
		return nil, err
	}
	stops, err := hex.DecodeString(strings.ReplaceAll(m.stops(), " ", ""))
	if err != nil {
		return nil, fmt.Errorf("colour map %s: %w", m, err)
	}
	var p palette
	last := len(stops)/3 - 1
	for i := range p {
		v := float64(i) / 255
		at := min(int(v*float64(last)), last-1)
		part := v*float64(last) - float64(at)
		channel := func(k int) uint8 {
			a, b := float64(stops[3*at+k]), float64(stops[3*at+3+k])
			return uint8(math.Round(a + (b-a)*part))
		}
		p[i] = color.NRGBA{R: channel(0), G: channel(1), B: channel(2), A: uint8(i)}
	}
	return &p, nil
}

// at returns the colour of a value from 0 to 1.
func (p *palette) at(v float32) color.NRGBA { return p[uint8(v*255+0.5)] }

// over returns the colour c, at the given opacity (0 to 1) times its own alpha,
// laid over the grey value g.
func over(c color.NRGBA, opacity float64, g uint8) color.NRGBA {
	a := opacity * float64(c.A) / 255
	mix := func(v uint8) uint8 { return uint8(math.Round(float64(g) + a*(float64(v)-float64(g)))) }
	return color.NRGBA{R: mix(c.R), G: mix(c.G), B: mix(c.B), A: 255}
}
