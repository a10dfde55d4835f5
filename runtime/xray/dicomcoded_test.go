package xray

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"image"
	"testing"

	"spinebox/internal/spine"
)

func syntax(uid string) dicomSyntax {
	s := explicitLE
	s.uid = uid
	return s
}

// rleFrame packs segments that are packed already behind their header.
func rleFrame(segments ...[]byte) fragment {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(segments)))
	at := 64
	for i := range 15 {
		if i >= len(segments) {
			b = append(b, 0, 0, 0, 0)
			continue
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(at))
		at += len(segments[i])
	}
	for _, s := range segments {
		b = append(b, s...)
	}
	return b
}

func TestRLE(t *testing.T) {
	s := syntax("1.2.840.10008.1.2.5")
	window := []dcm{{tagWindowCentre, "DS", "2048"}, {tagWindowWidth, "DS", "4096"}, {tagWindowFunction, "CS", "LINEAR_EXACT"}}
	// 0x0102 three times, then 0x0a0b: the high bytes as a run and one by
	// itself, the low bytes one by one. -128 (0x80) is no operation.
	frame := rleFrame([]byte{0xfe, 0x01, 0x80, 0x00, 0x0a}, []byte{0x03, 0x02, 0x02, 0x02, 0x0b})
	p := mustDecode(t, makeDICOM(s, greyDICOM(s, 4, 1, 12, nil, append(window, dcm{tagPixels, "OB", frame})...)...))
	near(t, p.Pix, 0x102/4096., 0x102/4096., 0x102/4096., 0xa0b/4096.)

	colour := func(f fragment) []byte {
		return makeDICOM(s, greyDICOM(s, 2, 1, 8, nil, dcm{tagSamples, "US", 3}, dcm{tagPhotometric, "CS", "RGB"},
			dcm{tagPlanarOrder, "US", 0}, dcm{tagPixels, "OB", f})...)
	}
	plane := func(a, b byte) []byte { return []byte{1, a, b} }
	p = mustDecode(t, colour(rleFrame(plane(255, 0), plane(0, 255), plane(0, 0))))
	near(t, p.Pix, 0.299, 0.587)

	refuses(t, colour(rleFrame(plane(255, 0), plane(0, 255))), spine.Corrupt, "2 segments")
	refuses(t, colour(rleFrame(plane(255, 0), plane(0, 255), []byte{1, 2})), spine.Corrupt, "ends before")
	lost := rleFrame(plane(255, 0), plane(0, 255), plane(0, 0))
	binary.LittleEndian.PutUint32(lost[8:], 0xffff_fff0)
	refuses(t, colour(lost), spine.Corrupt, "lie nowhere")
	refuses(t, colour(fragment{3, 0, 0, 0}), spine.Corrupt, "ends before")
}

func TestDeflatedDICOM(t *testing.T) {
	s := syntax("1.2.840.10008.1.2.1.99")
	deflated := func(dataset []byte) []byte {
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(dataset); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return append(makeDICOM(s), packed.Bytes()...)
	}
	b := deflated(s.elements(nil, greyDICOM(s, 4, 1, 8, []int{0, 51, 102, 255})))
	near(t, mustDecode(t, b).Pix, 0, 0.2, 0.4, 1)
	if !isWhole(t, b) {
		t.Error("the whole file is not whole")
	}
	for _, n := range []int{len(b) - 1, len(b) - 5, len(b) - 20} {
		refuses(t, b[:n], spine.Corrupt, "ends before")
		if isWhole(t, b[:n]) {
			t.Errorf("whole at %d of %d bytes", n, len(b))
		}
	}
	refuses(t, deflated(make([]byte, maxInflated+1)), spine.Unsupported, "unpacked")
}

func TestJPEGInDICOM(t *testing.T) {
	s := syntax("1.2.840.10008.1.2.4.50")
	grey := gradient8(40, 30)
	b := makeDICOM(s, greyDICOM(s, 40, 30, 8, nil, dcm{tagPhotometric, "CS", "MONOCHROME1"}, dcm{tagPixels, "OB", fragment(jpegOf(t, grey))})...)
	straight := mustDecode(t, jpegOf(t, grey))
	for i, v := range mustDecode(t, b).Pix {
		if want := 1 - straight.Pix[i]; v-want > 1e-6 || want-v > 1e-6 {
			t.Fatalf("pixel %d: %g, want %g", i, v, want)
		}
	}
	refuses(t, makeDICOM(s, greyDICOM(s, 40, 31, 8, nil, dcm{tagPixels, "OB", fragment(jpegOf(t, grey))})...), spine.Unsupported, "contradicts")
	cut := jpegOf(t, grey)
	refuses(t, makeDICOM(s, greyDICOM(s, 40, 30, 8, nil, dcm{tagPixels, "OB", fragment(cut[:len(cut)/2])})...), spine.Corrupt, "")
	refuses(t, makeDICOM(s, greyDICOM(s, 40, 30, 8, nil, dcm{tagPixels, "OB", raw(cut)})...), spine.Corrupt, "fragments")
}

// Planes that a JPEG does not name are what the DICOM file says.
func TestPlanesOfAJPEG(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 2, 1), image.YCbCrSubsampleRatio444)
	copy(img.Y, []byte{255, 0})
	copy(img.Cb, []byte{0, 255})
	near(t, fromImage(asRGB(img), upright).Picture().Pix, 0.299, 0.587)
}

// A converter gets nothing of the file but its pixels, and what it gives is not
// believed.
func TestConverter(t *testing.T) {
	s := syntax("1.2.840.10008.1.2.4.90")
	file := makeDICOM(s, greyDICOM(s, 3, 1, 12, nil, dcm{tagModality, "CS", "CR"}, dcm{0x0010_0010, "PN", "MUSTERMANN^ERIKA"},
		dcm{tagWindowCentre, "DS", "2048"}, dcm{tagWindowWidth, "DS", "4096"}, dcm{tagWindowFunction, "CS", "LINEAR_EXACT"},
		dcm{tagPixels, "OB", fragment("codestream")})...)
	decode := func(answer []byte, fails error) (*Grey, error) {
		d := Decoder{Limits: DefaultLimits(), Convert: func(b []byte) ([]byte, error) {
			if !bytes.Contains(b, []byte("codestream")) || bytes.Contains(b, []byte("MUSTERMANN")) {
				t.Errorf("the converter gets %q", b)
			}
			in := newSource(bytes.NewReader(b), int64(len(b)))
			syntax, off, err := openDICOM(in)
			if err != nil || syntax.uid != s.uid {
				t.Errorf("the converter gets no DICOM: %v, %q", err, syntax.uid)
			}
			ds, err := readDataset(in, off, syntax.coding)
			if err != nil {
				t.Error(err)
			}
			if l, err := ds.readLayout(); err != nil || l.width != 3 || l.height != 1 || l.bits != 12 || l.photometric != "MONOCHROME2" {
				t.Errorf("the converter gets %+v, %v", l, err)
			}
			return answer, fails
		}}
		return d.Decode(bytes.NewReader(file), int64(len(file)))
	}
	g, err := decode(makeDICOM(explicitLE, greyDICOM(explicitLE, 3, 1, 12, []int{0, 1024, 4095})...), nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, g.Picture().Pix, 0, 0.25, 4095./4096)
	if g.Facts.Modality != "CR" {
		t.Errorf("%+v", g.Facts)
	}
	fault := spine.Faultf(spine.Corrupt, "cannot be unpacked")
	for name, answer := range map[string][]byte{
		"nothing":          nil,
		"no DICOM":         bytes.Repeat([]byte("x"), 1000),
		"itself":           file,
		"another size":     makeDICOM(explicitLE, greyDICOM(explicitLE, 1, 3, 12, []int{0, 1024, 4095})...),
		"too few pixels":   makeDICOM(explicitLE, greyDICOM(explicitLE, 3, 1, 12, []int{0, 1024})...),
		"another sign":     makeDICOM(explicitLE, greyDICOM(explicitLE, 3, 1, 12, []int{0, 1024, 4095}, dcm{tagSigned, "US", 1})...),
		"samples of three": makeDICOM(explicitLE, greyDICOM(explicitLE, 3, 1, 8, make([]int, 9), dcm{tagSamples, "US", 3}, dcm{tagPhotometric, "CS", "RGB"})...),
	} {
		if g, err := decode(answer, nil); spine.CodeOf(err) != spine.Corrupt && spine.CodeOf(err) != spine.Unsupported {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
	if _, err := decode(nil, fault); !errors.Is(err, fault) {
		t.Errorf("its own fault: %v", err)
	}
}

func TestPalette(t *testing.T) {
	lut := func(tag uint32, values []int) dcm { return dcm{tag, "OW", values} }
	describe := func(tag uint32) dcm { return dcm{tag, "US", []int{3, 1, 16}} }
	elements := greyDICOM(explicitLE, 4, 1, 8, []int{0, 1, 2, 200}, dcm{tagPhotometric, "CS", "PALETTE COLOR"},
		describe(tagRedDescriptor), describe(tagGreenDescriptor), describe(tagBlueDescriptor),
		lut(tagRedData, []int{65535, 0, 0}), lut(tagGreenData, []int{0, 65535, 0}), lut(tagBlueData, []int{0, 0, 65535}))
	p := mustDecode(t, makeDICOM(explicitLE, elements...))
	near(t, p.Pix, 0.299, 0.299, 0.587, 0.114) // codes outside take the ends
	if p.Facts.Hues <= MaxHues {
		t.Errorf("hues %g", p.Facts.Hues)
	}
	refuses(t, makeDICOM(explicitLE, append(elements, dcm{tagSegmentedRed, "OW", []int{1}})...), spine.Unsupported, "segmented")
}
