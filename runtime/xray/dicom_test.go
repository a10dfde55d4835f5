package xray

import (
	"math"
	"slices"
	"testing"

	"spinebox/internal/spine"
)

// greys decodes a DICOM row of 12-bit codes, in each of the codings that the
// box reads, and makes sure that all give the same.
func greys(t *testing.T, bits int, codes []int, more ...dcm) []float32 {
	t.Helper()
	var first []float32
	for _, s := range []dicomSyntax{explicitLE, implicitLE, explicitBE} {
		p := mustDecode(t, makeDICOM(s, greyDICOM(s, len(codes), 1, bits, codes, more...)...))
		if first == nil {
			first = p.Pix
		}
		if !slices.Equal(first, p.Pix) {
			t.Errorf("transfer syntax %s: %v, another has %v", s.uid, p.Pix, first)
		}
	}
	return first
}

// near compares to a relative step of single precision.
func near(t *testing.T, got []float32, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%v; want %v", got, want)
	}
	for i := range want {
		if math.Abs(float64(got[i])-want[i]) > 1e-6 {
			t.Errorf("%v; want %v", got, want)
			return
		}
	}
}

func TestDICOMGrey(t *testing.T) {
	window := func(centre, width string, more ...dcm) []dcm {
		return append(more, dcm{tagWindowCentre, "DS", centre}, dcm{tagWindowWidth, "DS", width})
	}
	monochrome1 := dcm{tagPhotometric, "CS", "MONOCHROME1"}
	signed := dcm{tagSigned, "US", 1}
	tests := []struct {
		name  string
		bits  int
		codes []int
		more  []dcm
		want  []float64
	}{
		{"8 bits without a window keep the whole range", 8, []int{0, 51, 255}, nil, []float64{0, 0.2, 1}},
		{"even where the picture does not fill it", 8, []int{51, 102}, nil, []float64{0.2, 0.4}},
		{"12 bits without a window spread what is there", 12, []int{100, 200, 500}, nil, []float64{0, 0.25, 1}},
		{"MONOCHROME1 is turned over", 12, []int{100, 200, 500}, []dcm{monochrome1}, []float64{1, 0.75, 0}},
		{"signed", 12, []int{0xf9c, 0, 300}, []dcm{signed}, []float64{0, 0.25, 1}}, // -100
		{"bits above the stored ones are not looked at", 12, []int{0x7000 | 100, 0xf000 | 200, 500}, nil, []float64{0, 0.25, 1}},
		{"a flat picture is black", 12, []int{700, 700}, nil, []float64{0, 0}},
		// PS3.3 C.11.2.1.2.1: c = 2048, w = 4096 is the identity on 12 bits.
		{"the full window", 12, []int{0, 1365, 4095}, window("2048", "4096"), []float64{0, 1. / 3, 1}},
		{"a window cuts off", 12, []int{99, 100, 149, 150, 199, 200}, window("150", "101"), []float64{0, 0.005, 0.495, 0.505, 0.995, 1}},
		{"a window of width 1 is a threshold", 12, []int{99, 100}, window("100", "1"), []float64{0, 1}},
		{"of several windows the first", 12, []int{0, 1365, 4095}, window(`2048\10`, `4096\20`), []float64{0, 1. / 3, 1}},
		{"a window with MONOCHROME1", 12, []int{0, 1365, 4095}, window("2048", "4096", monochrome1), []float64{1, 2. / 3, 0}},
		{"a window without width is none", 12, []int{100, 200, 500}, window("2048", "0"), []float64{0, 0.25, 1}},
		{"LINEAR_EXACT", 12, []int{0, 50, 100, 150}, window("100", "200", dcm{tagWindowFunction, "CS", "LINEAR_EXACT"}), []float64{0, 0.25, 0.5, 0.75}},
		{"SIGMOID", 12, []int{100, 150}, window("100", "200", dcm{tagWindowFunction, "CS", "SIGMOID"}), []float64{0.5, 1 / (1 + math.Exp(-1))}},
		{
			"the window is in rescaled values", 12, []int{1024, 1524}, // 2v - 2048: 0 and 1000
			window("500.5", "1001", dcm{tagSlope, "DS", "2"}, dcm{tagIntercept, "DS", "-2048"}),
			[]float64{0, 1},
		},
		{"a negative slope", 12, []int{100, 200, 500}, []dcm{{tagSlope, "DS", "-1"}, {tagIntercept, "DS", "0"}}, []float64{1, 0.75, 0}},
		{"a slope without an intercept means nothing", 12, []int{100, 200, 500}, []dcm{{tagSlope, "DS", "-1"}}, []float64{0, 0.25, 1}},
		{"padding is black and does not count", 12, []int{4095, 100, 200, 500}, []dcm{{tagPadding, "US", 4095}}, []float64{0, 0, 0.25, 1}},
		{"also in MONOCHROME1", 12, []int{0, 100, 200, 500}, []dcm{{tagPadding, "US", 0}, monochrome1}, []float64{0, 1, 0.75, 0}},
		{"a range of padding", 12, []int{3000, 3500, 100, 200, 500}, []dcm{{tagPadding, "US", 3000}, {tagPaddingLimit, "US", 4095}}, []float64{0, 0, 0, 0.25, 1}},
		{"padding beyond the stored bits is nowhere", 12, []int{4095, 0}, []dcm{{tagPadding, "US", 0xffff}}, []float64{1, 0}},
		{"signed padding", 16, []int{-2000 & 0xffff, 0, 100}, []dcm{{tagPadding, "SS", -2000}, signed}, []float64{0, 0, 1}},
		{
			"a VOI table", 12, []int{9, 10, 11, 12, 13},
			[]dcm{{tagVOILUT, "SQ", item{{tagLUTDescriptor, "US", []int{3, 10, 10}}, {tagLUTData, "OW", []int{0, 511, 1023}}}}},
			[]float64{0, 0, 511. / 1023, 1, 1},
		},
		{
			"goes before a window", 12, []int{10, 11, 12},
			window("2048", "4096", dcm{tagVOILUT, "SQ", openItem{{tagLUTDescriptor, "US", []int{3, 10, 10}}, {tagLUTData, "OW", []int{1023, 511, 0}}}}),
			[]float64{1, 511. / 1023, 0},
		},
		{
			"a modality table", 12, []int{0, 1, 2},
			[]dcm{{tagModalityLUT, "SQ", item{{tagLUTDescriptor, "US", []int{3, 0, 16}}, {tagLUTData, "US", []int{1000, 5000, 2000}}}}},
			[]float64{0, 1, 0.25},
		},
		{
			"a table that begins below zero", 12, []int{0xffe, 0xfff, 0}, // -2, -1, 0
			[]dcm{signed, {tagVOILUT, "SQ", item{{tagLUTDescriptor, "SS", []int{3, -2, 8}}, {tagLUTData, "OW", []int{255, 51, 0}}}}},
			[]float64{1, 0.2, 0},
		},
		{"an empty table is none", 12, []int{100, 200, 500}, []dcm{{tagVOILUT, "SQ", raw{}}}, []float64{0, 0.25, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			near(t, greys(t, test.bits, test.codes, test.more...), test.want...)
		})
	}
}

// Sixteen bits stay sixteen bits.
func TestDICOMPrecision(t *testing.T) {
	codes := []int{30000, 30001, 30002, 0, 65535}
	p := greys(t, 16, codes)
	for i := range codes {
		if want := float32(float64(codes[i]) / 65535); p[i] != want {
			t.Errorf("%d became %v, not %v", codes[i], p[i], want)
		}
	}
}

func TestDICOMFacts(t *testing.T) {
	more := []dcm{
		{tagSOPInstance, "UI", "1.2.3.4\x00"}, {tagModality, "CS", "DX"}, {tagBodyPart, "CS", "LSPINE"},
		{tagView, "CS", "AP"}, {tagImageLaterality, "CS", "U"}, {0x0010_0010, "PN", "Planted^Name"},
	}
	p := mustDecode(t, makeDICOM(explicitLE, greyDICOM(explicitLE, 2, 1, 12, []int{1, 2}, more...)...))
	want := spine.Facts{Format: "dicom", Bits: 12, Modality: "DX", BodyPart: "LSPINE", View: "AP", Laterality: "U", SOPInstanceUID: "1.2.3.4"}
	if p.Facts != want {
		t.Errorf("%+v; want %+v", p.Facts, want)
	}
	// Free text where a code belongs may hold anything.
	more = []dcm{{tagBodyPart, "CS", "Planted Name, 7"}, {tagSOPInstance, "UI", "Planted"}, {tagModality, "CS", "Planted^N"}}
	p = mustDecode(t, makeDICOM(explicitLE, greyDICOM(explicitLE, 2, 1, 12, []int{1, 2}, more...)...))
	if want := (spine.Facts{Format: "dicom", Bits: 12}); p.Facts != want {
		t.Errorf("%+v", p.Facts)
	}
}

// What lies before the picture in a real file must not stop it: nested
// sequences of every kind, private elements, unknown types.
func TestDICOMDetours(t *testing.T) {
	nested := openItem{{0x0008_1150, "UI", "1.2"}, {0x0040_a730, "SQ", openItem{{0x0040_a730, "SQ", item{{0x0008_1150, "UI", "1.3"}}}}}}
	unknown := implicitLE.elements(implicitLE.order.AppendUint32(implicitLE.tag(nil, tagItem), 0xffff_ffff), []dcm{{0x0009_1001, "", "secret"}})
	unknown = append(implicitLE.tag(unknown, tagItemEnd), 0, 0, 0, 0)
	near(t, greys(t, 12, []int{100, 200, 500},
		dcm{0x0008_1140, "SQ", nested},
		dcm{0x0009_0010, "LO", "ACME"},
		dcm{0x0009_1002, "UN", raw(unknown)},
		dcm{0x0040_0275, "SQ", item{{0x0028_0010, "US", 7}, {tagPixels, "OW", raw{1, 2}}}},
		dcm{0x0028_3010 + 0x10000, "SQ", raw{}},
	), 0, 0.25, 1)
}

func TestDICOMColours(t *testing.T) {
	rgb := raw{255, 0, 0, 0, 255, 0, 0, 0, 255, 50, 100, 150}
	planes := raw{255, 0, 0, 50, 0, 255, 0, 100, 0, 0, 255, 150}
	want := []float64{0.299, 0.587, 0.114, (0.299*50 + 0.587*100 + 0.114*150) / 255}
	colour := func(photometric string, planar int, pixels raw) []dcm {
		return greyDICOM(explicitLE, 4, 1, 8, nil, dcm{tagSamples, "US", 3}, dcm{tagPhotometric, "CS", photometric},
			dcm{tagPlanarOrder, "US", planar}, dcm{tagPixels, "OB", pixels})
	}
	p := mustDecode(t, makeDICOM(explicitLE, colour("RGB", 0, rgb)...))
	near(t, p.Pix, want...)
	if p.Facts.Hues <= MaxHues {
		t.Errorf("hues %g", p.Facts.Hues)
	}
	near(t, mustDecode(t, makeDICOM(explicitLE, colour("RGB", 1, planes)...)).Pix, want...)
	near(t, mustDecode(t, makeDICOM(explicitLE, colour("YBR_FULL", 0, raw{51, 1, 2, 102, 3, 4, 153, 5, 6, 204, 7, 8})...)).Pix, 0.2, 0.4, 0.6, 0.8)
	near(t, mustDecode(t, makeDICOM(explicitLE, colour("YBR_FULL_422", 0, raw{51, 102, 1, 2, 153, 204, 3, 4})...)).Pix, 0.2, 0.4, 0.6, 0.8)
	// Single bytes in big-endian words lie in pairs.
	swapped := explicitBE.element(nil, dcm{tagPixels, "OW", raw{102, 51, 204, 153}})
	b := makeDICOM(explicitBE, slices.DeleteFunc(greyDICOM(explicitBE, 4, 1, 8, nil), func(e dcm) bool { return e.tag == tagPixels })...)
	near(t, mustDecode(t, append(b, swapped...)).Pix, 0.2, 0.4, 0.6, 0.8)
}

func TestDICOMRefusals(t *testing.T) {
	row := []int{100, 200, 500}
	tests := []struct {
		name  string
		code  spine.Code
		words string
		more  []dcm
	}{
		{"frames", spine.Unsupported, "several frames", []dcm{{tagFrames, "IS", "30"}}},
		{"no palette", spine.Corrupt, "palette", []dcm{{tagPhotometric, "CS", "PALETTE COLOR"}}},
		{"colours of nobody", spine.Unsupported, "colours that the standard does not know", []dcm{{tagPhotometric, "CS", "MUSTERMANN"}}},
		{"32 bits", spine.Unsupported, "32 bits", []dcm{{tagBitsAllocated, "US", 32}}},
		{"7 bits", spine.Unsupported, "7 bits", []dcm{{tagBitsStored, "US", 7}, {tagHighBit, "US", 6}}},
		{"bits at the top", spine.Unsupported, "end at bit 15", []dcm{{tagHighBit, "US", 15}}},
		{"another window function", spine.Unsupported, "a kind that the standard does not know", []dcm{{tagWindowCentre, "DS", "1"}, {tagWindowWidth, "DS", "9"}, {tagWindowFunction, "CS", "SPLINE"}}},
		{"more bits than there are", spine.Corrupt, "contradicts", []dcm{{tagBitsStored, "US", 17}}},
		{"no such sign", spine.Corrupt, "contradicts", []dcm{{tagSigned, "US", 2}}},
		{"no rows", spine.Corrupt, "0 pixels", []dcm{{tagRows, "US", 0}}},
		{"rows that do not say", spine.Corrupt, "rows", []dcm{{tagRows, "US", raw{}}}},
		{"too few pixels", spine.Corrupt, "need", []dcm{{tagRows, "US", 2}}},
		{"colours without samples", spine.Corrupt, "1 samples", []dcm{{tagPhotometric, "CS", "RGB"}}},
		{"no meaning", spine.Corrupt, "mean", []dcm{{tagPhotometric, "CS", ""}}},
		{"no slope", spine.Corrupt, "slope", []dcm{{tagSlope, "DS", "0"}, {tagIntercept, "DS", "0"}}},
		{"slope not a number", spine.Corrupt, "(0028,1053) is no number", []dcm{{tagSlope, "DS", "NaN"}, {tagIntercept, "DS", "0"}}},
		{"a table without data", spine.Unsupported, "0 bytes", []dcm{{tagVOILUT, "SQ", item{{tagLUTDescriptor, "US", []int{3, 0, 8}}}}}},
		{"a table without description", spine.Corrupt, "description", []dcm{{tagVOILUT, "SQ", item{{tagLUTData, "OW", raw{1, 2}}}}}},
		{"compressed pixels under an uncompressed name", spine.Corrupt, "pixel data", []dcm{{tagPixels, "OB", fragment{0xff, 0xd8, 0xff, 0xd9}}}},
		{"an unknown type", spine.Corrupt, "unknown type", []dcm{{0x0009_1001, "ZZ", "x"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			refuses(t, makeDICOM(explicitLE, greyDICOM(explicitLE, 3, 1, 12, row, test.more...)...), test.code, test.words)
		})
	}
	for uid, words := range map[string]string{
		"1.2.840.10008.1.2.4.70":  "JPEG Lossless, and the program that unpacks it is not installed (on Debian: apt-get install libgdcm-tools)",
		"1.2.840.10008.1.2.4.80":  "JPEG-LS Lossless, and",
		"1.2.840.10008.1.2.4.90":  "JPEG 2000 Lossless, and",
		"1.2.840.10008.1.2.4.203": "High-Throughput",
		"1.2.840.10008.1.2.9.9":   "transfer syntax that the box does not know",
		"1.2.840.113619.5.2":      "transfer syntax that the box does not know",
	} {
		s := explicitLE
		s.uid = uid
		t.Run(uid, func(t *testing.T) {
			refuses(t, makeDICOM(s, greyDICOM(s, 3, 1, 12, row, dcm{tagPixels, "OB", fragment{1, 2}})...), spine.Unsupported, words)
		})
	}
	t.Run("no picture", func(t *testing.T) {
		refuses(t, makeDICOM(explicitLE, dcm{tagModality, "CS", "SR"}), spine.Unsupported, "no picture")
	})
	t.Run("no pixels", func(t *testing.T) {
		all := slices.DeleteFunc(greyDICOM(explicitLE, 3, 1, 12, row), func(e dcm) bool { return e.tag == tagPixels })
		refuses(t, makeDICOM(explicitLE, all...), spine.Corrupt, "without its pixel data")
	})
	t.Run("no transfer syntax", func(t *testing.T) {
		refuses(t, append(append(make([]byte, 128), "DICM"...), explicitLE.elements(nil, greyDICOM(explicitLE, 3, 1, 12, row))...), spine.Corrupt, "transfer syntax")
	})
}
