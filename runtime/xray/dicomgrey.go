package xray

import (
	"encoding/binary"
	"math"

	"spinebox/internal/spine"
)

// greyScale is how a DICOM picture's stored values become grey.
type greyScale struct {
	bits     int // stored, 8 to 16
	signed   bool
	inverted bool // MONOCHROME1: the lowest value is white

	// Modality transformation (PS3.3 C.11.1): a table, else a line.
	modality         *lookup
	slope, intercept float64

	// VOI transformation (PS3.3 C.11.2): a table, else a window, else none.
	voi           *lookup
	window        windowFunction
	centre, width float64

	// Pixel padding (PS3.3 C.7.5.1.1.2): stored values from padLow to padHigh
	// are no part of the picture.
	padded          bool
	padLow, padHigh int
}

type windowFunction string

const (
	noWindow    windowFunction = ""
	linear      windowFunction = "LINEAR"
	linearExact windowFunction = "LINEAR_EXACT"
	sigmoid     windowFunction = "SIGMOID"
)

// lookup is a DICOM lookup table. Values below first give its first entry,
// values beyond its end the last.
type lookup struct {
	first   int
	bits    int
	entries []uint16
}

func (l *lookup) at(v float64) float64 {
	i := min(max(math.Trunc(v)-float64(l.first), 0), float64(len(l.entries)-1))
	return float64(l.entries[int(i)])
}

// stored returns the stored value that a pixel's low bits encode.
func (g *greyScale) stored(code int) int {
	if g.signed && code >= 1<<(g.bits-1) {
		return code - 1<<g.bits
	}
	return code
}

func (g *greyScale) padding(code int) bool {
	v := g.stored(code)
	return g.padded && v >= g.padLow && v <= g.padHigh
}

// rescaled applies the modality transformation to a stored value.
func (g *greyScale) rescaled(code int) float64 {
	v := float64(g.stored(code))
	if g.modality != nil {
		return g.modality.at(v)
	}
	return v*g.slope + g.intercept
}

// table returns the grey, 0 to 1 in the sense of MONOCHROME2, of each of the
// 1<<bits codes that a pixel's low bits can hold. With at most 16 bits all
// arithmetic is done once for each code, in double precision, and never for
// each pixel.
//
// The order is PS3.3's: stored value, modality transformation, VOI
// transformation, and last the inversion of MONOCHROME1. The VOI
// transformation is the first VOI LUT, else the first window. Where neither is
// given, the standard leaves the choice to the reader, and it is
//
//   - up to 8 bits stored, all that 8 bits can hold, because such pictures are
//     meant for display as they are, and a JPEG wrapped as DICOM must stay what
//     it was;
//   - above, from the smallest to the greatest value in the picture, because
//     the wider containers are seldom filled and the rest would be darkness.
//
// Padding is black, whatever the sense of the picture: it lies outside of it.
// Presentation LUT Shape is left alone, for it only says MONOCHROME1 again.
//
// codes are the picture's pixels; they are looked at only in the last case.
func (g *greyScale) table(codes []uint16) []float32 {
	grey := g.window.grey(g.centre, g.width)
	switch {
	case g.voi != nil:
		grey = func(v float64) float64 { return g.voi.at(v) / float64(int(1)<<g.voi.bits-1) }
	case g.window == noWindow:
		used := make([]bool, 1<<g.bits)
		if g.bits > 8 {
			for _, code := range codes {
				used[code] = true
			}
		} else {
			for code := range used {
				used[code] = true
			}
		}
		low, high := g.span(used)
		if high <= low {
			high = low + 1
		}
		grey = func(v float64) float64 { return (v - low) / (high - low) }
	}
	t := make([]float32, 1<<g.bits)
	for code := range t {
		if g.padding(code) {
			continue
		}
		v := min(max(grey(g.rescaled(code)), 0), 1)
		if g.inverted {
			v = 1 - v
		}
		t[code] = float32(v)
	}
	return t
}

// span returns the smallest and the greatest rescaled value among the codes
// used, padding left out.
func (g *greyScale) span(used []bool) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for code, is := range used {
		if is && !g.padding(code) {
			v := g.rescaled(code)
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}

// grey returns the window's function from rescaled values to 0–1, which may
// overshoot (PS3.3 C.11.2.1.2 and C.11.2.1.3).
func (f windowFunction) grey(centre, width float64) func(float64) float64 {
	switch f {
	case linearExact:
		return func(v float64) float64 { return (v-centre)/width + 0.5 }
	case sigmoid:
		return func(v float64) float64 { return 1 / (1 + math.Exp(-4*(v-centre)/width)) }
	}
	return func(v float64) float64 {
		switch {
		case v <= centre-0.5-(width-1)/2:
			return 0
		case v > centre-0.5+(width-1)/2:
			return 1
		}
		return (v-(centre-0.5))/(width-1) + 0.5
	}
}

// greyScale reads the scale from the data set. Bits, sign and sense are those
// of the layout.
func (d dataset) greyScale(l layout) (*greyScale, error) {
	g := &greyScale{bits: l.bits, signed: l.signed, inverted: l.photometric == "MONOCHROME1", slope: 1}
	var err error
	if g.modality, err = d.lookup(tagModalityLUT, l.signed); err != nil {
		return nil, err
	}
	if g.voi, err = d.lookup(tagVOILUT, l.signed); err != nil {
		return nil, err
	}
	slope, sloped, err := d.decimal(tagSlope)
	if err != nil {
		return nil, err
	}
	intercept, shifted, err := d.decimal(tagIntercept)
	if err != nil {
		return nil, err
	}
	if sloped && shifted { // one without the other means nothing
		g.slope, g.intercept = slope, intercept
		if slope == 0 {
			return nil, spine.Faultf(spine.Corrupt, "a DICOM rescale slope of 0")
		}
	}
	if err := d.readWindow(g); err != nil {
		return nil, err
	}
	return g, d.readPadding(g)
}

func (d dataset) readWindow(g *greyScale) error {
	centre, ok, err := d.decimal(tagWindowCentre)
	if err != nil || !ok {
		return err
	}
	width, ok, err := d.decimal(tagWindowWidth)
	if err != nil || !ok {
		return err
	}
	name, err := d.code(tagWindowFunction)
	if err != nil {
		return err
	}
	f := windowFunction(name)
	switch f {
	case "":
		f = linear
	case linear, linearExact, sigmoid:
	default:
		return spine.Faultf(spine.Unsupported, "a DICOM window of a kind that the standard does not know")
	}
	// A window without width, as some devices write when they have none to
	// give, is no window.
	if width <= 0 || f == linear && width < 1 {
		return nil
	}
	g.window, g.centre, g.width = f, centre, width
	return nil
}

func (d dataset) readPadding(g *greyScale) error {
	low, ok, err := d.number(tagPadding)
	if err != nil || !ok {
		return err
	}
	high, ok, err := d.number(tagPaddingLimit)
	if err != nil {
		return err
	}
	if !ok {
		high = low
	}
	if g.signed {
		low, high = int(int16(low)), int(int16(high))
	}
	g.padded, g.padLow, g.padHigh = true, min(low, high), max(low, high)
	return nil
}

// lookup reads the first table of a LUT sequence; nil when there is none.
func (d dataset) lookup(tag uint32, signed bool) (*lookup, error) {
	e, ok := d.elements[tag]
	if !ok {
		return nil, nil
	}
	found, err := firstItem(d.s, e, func(t uint32) bool { return t == tagLUTDescriptor || t == tagLUTData })
	if err != nil || found == nil {
		return nil, err
	}
	return d.table(found[tagLUTDescriptor], found[tagLUTData], signed)
}

// table reads a table by its description. Entries of 8 bits lie in words, as the
// standard has it, or in single bytes, as many devices write them.
func (d dataset) table(descriptor, data element, signed bool) (*lookup, error) {
	if descriptor.length < 6 {
		return nil, spine.Faultf(spine.Corrupt, "a DICOM lookup table without its description")
	}
	b, err := d.s.bytes(descriptor.at, 6)
	if err != nil {
		return nil, err
	}
	order := descriptor.coding.order
	n, first, bits := int(order.Uint16(b)), int(order.Uint16(b[2:])), int(order.Uint16(b[4:]))
	if n == 0 {
		n = 1 << 16
	}
	if descriptor.vr == "SS" || descriptor.vr == "" && signed {
		first = int(int16(first))
	}
	if bits < 8 || bits > 16 {
		return nil, spine.Faultf(spine.Unsupported, "a DICOM lookup table of %d bits", bits)
	}
	narrow := bits == 8 && data.length < int64(2*n)
	if data.length < int64(n) || data.length < int64(2*n) && !narrow {
		return nil, spine.Faultf(spine.Unsupported, "a DICOM lookup table of %d entries in %d bytes", n, max(data.length, 0))
	}
	l := &lookup{first: first, bits: bits, entries: make([]uint16, n)}
	for i := range l.entries {
		if narrow {
			at := int64(i)
			if data.coding.order == binary.BigEndian && data.vr == "OW" {
				at ^= 1 // two in a word
			}
			b, err := d.s.bytes(data.at+at, 1)
			if err != nil {
				return nil, err
			}
			l.entries[i] = uint16(b[0])
			continue
		}
		if l.entries[i], err = d.s.uint16(data.at+int64(2*i), data.coding.order); err != nil {
			return nil, err
		}
	}
	return l, nil
}
