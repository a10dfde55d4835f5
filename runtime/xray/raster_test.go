package xray

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/image/tiff"

	"spinebox/internal/spine"
)

// The same picture is the same in every format that can hold it.
func TestSamePixelsInEveryFormat(t *testing.T) {
	eight, sixteen := gradient8(37, 29), gradient16(37, 29)
	want8, want16 := make([]float32, 37*29), make([]float32, 37*29)
	codes8, codes16 := make([]int, 37*29), make([]int, 37*29)
	for i := range want8 {
		codes8[i] = int(eight.Pix[i])
		codes16[i] = int(binary.BigEndian.Uint16(sixteen.Pix[2*i:]))
		want8[i], want16[i] = float32(codes8[i])/255, float32(codes16[i])/65535
	}
	coloured := image.NewRGBA(eight.Rect)
	draw.Draw(coloured, eight.Rect, eight, image.Point{}, draw.Src)
	opaque := image.NewNRGBA(eight.Rect)
	draw.Draw(opaque, eight.Rect, eight, image.Point{}, draw.Src)
	opaque.SetNRGBA(0, 0, color.NRGBA{A: 254}) // else the writer drops alpha; black stays black
	palette := image.NewPaletted(eight.Rect, nil)
	for i := range 256 {
		palette.Palette = append(palette.Palette, color.Gray{Y: uint8(i)})
	}
	copy(palette.Pix, eight.Pix)
	deep := image.NewNRGBA64(sixteen.Rect)
	draw.Draw(deep, sixteen.Rect, sixteen, image.Point{}, draw.Src)
	white := gradient16(37, 29)
	for i := range white.Pix {
		white.Pix[i] = ^white.Pix[i]
	}
	window := []dcm{{tagWindowCentre, "DS", "32768"}, {tagWindowWidth, "DS", "65536"}}

	tests := []struct {
		name string
		file []byte
		want []float32
		bits int
	}{
		{"PNG, 8 bits", pngOf(t, eight), want8, 8},
		{"PNG, colour", pngOf(t, coloured), want8, 8},
		{"PNG, transparency", pngOf(t, opaque), want8, 8},
		{"PNG, palette", pngOf(t, palette), want8, 8},
		{"TIFF, 8 bits", tiffOf(t, eight, tiff.Uncompressed), want8, 8},
		{"TIFF, deflate", tiffOf(t, eight, tiff.Deflate), want8, 8},
		{"TIFF, colour", tiffOf(t, coloured, tiff.Deflate), want8, 8},
		{"TIFF, palette", tiffOf(t, palette, tiff.Uncompressed), want8, 8},
		{"DICOM, 8 bits", makeDICOM(explicitLE, greyDICOM(explicitLE, 37, 29, 8, codes8)...), want8, 8},
		{"PNG, 16 bits", pngOf(t, sixteen), want16, 16},
		{"PNG, 16 bits, colour", pngOf(t, deep), want16, 16},
		{"TIFF, 16 bits", tiffOf(t, sixteen, tiff.Uncompressed), want16, 16},
		{"TIFF, 16 bits, deflate", tiffOf(t, sixteen, tiff.Deflate), want16, 16},
		{"TIFF, 16 bits, 29 strips, big-endian", greyTIFF16(sixteen, 1), want16, 16},
		{"TIFF, 16 bits, white is zero", greyTIFF16(white, 0), want16, 16},
		{"DICOM, 16 bits", makeDICOM(implicitLE, greyDICOM(implicitLE, 37, 29, 16, codes16, window...)...), want16, 16},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := mustDecode(t, test.file)
			if p.Width != 37 || p.Height != 29 || !slices.Equal(p.Pix, test.want) {
				t.Errorf("%dx%d, other values", p.Width, p.Height)
			}
			if want := strings.ToLower(strings.FieldsFunc(test.name, func(r rune) bool { return r == ',' })[0]); p.Facts.Format != want || p.Facts.Bits != test.bits || p.Facts.Hues != 0 {
				t.Errorf("%+v", p.Facts)
			}
		})
	}
}

// A JPEG's grey is its Y, untouched.
func TestJPEGLuma(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 40, 24), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = uint8(i % 251)
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 180, 90
	}
	b := jpegOf(t, img)
	decoded, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	p, back := mustDecode(t, b), decoded.(*image.YCbCr)
	for y := range 24 {
		for x := range 40 {
			if want := float32(back.Y[y*back.YStride+x]) / 255; p.Pix[y*40+x] != want {
				t.Fatalf("%d, %d: %v, not %v", x, y, p.Pix[y*40+x], want)
			}
		}
	}
}

func TestColours(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 4, 1))
	img.Set(0, 0, color.NRGBA{255, 0, 0, 255})
	img.Set(1, 0, color.NRGBA{0, 255, 0, 255})
	img.Set(2, 0, color.NRGBA{0, 0, 255, 255})
	img.Set(3, 0, color.NRGBA{255, 255, 255, 51})
	near(t, mustDecode(t, pngOf(t, img)).Pix, 0.299, 0.587, 0.114, 0.2)
}

// withEXIF puts an EXIF segment with the orientation behind the JPEG's start.
func withEXIF(b []byte, order binary.AppendByteOrder, o orientation) []byte {
	exif := makeTIFF(order, [][]byte{{0}}, []tiffField{{tagOrientation, []uint32{uint32(o)}}})
	segment := append([]byte("\xff\xe1"), binary.BigEndian.AppendUint16(nil, uint16(len(exif)+8))...)
	segment = append(segment, "Exif\x00\x00"...)
	return slices.Concat(b[:2], segment, exif, b[2:])
}

// TestOrientation names the corners of a picture and reads off where each must
// be, as the EXIF standard words it: "the 0th row is the visual top", and so on.
func TestOrientation(t *testing.T) {
	const w, h = 32, 16
	img := image.NewGray(image.Rect(0, 0, w, h)) // top left a, top right b, bottom left c, bottom right d
	for y := range h {
		for x := range w {
			v := [4]uint8{0, 80, 160, 240}[2*(y/(h/2))+x/(w/2)]
			img.SetGray(x, y, color.Gray{Y: v})
		}
	}
	file := jpegOf(t, img)
	want := map[orientation]string{ // top left, top right, bottom left, bottom right
		0: "abcd", 1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "cadb", 7: "dbca", 8: "bdac", 9: "abcd",
	}
	for o, corners := range want {
		for name, b := range map[string][]byte{
			"JPEG": withEXIF(file, binary.LittleEndian, o),
			"PNG":  pngWithEXIF(pngOf(t, img), o),
			"TIFF": makeTIFF(binary.LittleEndian, [][]byte{img.Pix}, []tiffField{
				{256, []uint32{w}}, {257, []uint32{h}}, {tagBitsPerSample, []uint32{8}}, {259, []uint32{1}},
				{262, []uint32{1}}, {tagOrientation, []uint32{uint32(o)}}, {278, []uint32{h}},
			}),
		} {
			p := mustDecode(t, b)
			if turned := o >= 5 && o <= 8; turned != (p.Width == h) || p.Width*p.Height != w*h {
				t.Errorf("%s, orientation %d: %dx%d", name, o, p.Width, p.Height)
				continue
			}
			at := func(x, y int) byte { return "abcd"[int(p.Pix[y*p.Width+x]*255+40)/80] }
			got := string([]byte{at(1, 1), at(p.Width-2, 1), at(1, p.Height-2), at(p.Width-2, p.Height-2)})
			if got != corners {
				t.Errorf("%s, orientation %d: %s, want %s", name, o, got, corners)
			}
		}
	}
	// A chunk that makes no sense does not either.
	if p := mustDecode(t, pngWithEXIF(pngOf(t, img), 77)); p.Width != w {
		t.Errorf("damaged EXIF in PNG: %dx%d", p.Width, p.Height)
	}
	// EXIF that makes no sense does not stand in the way.
	b := withEXIF(file, binary.BigEndian, 6)
	copy(b[16:], "\xff\xff\xff\xff") // where its directory is
	if p := mustDecode(t, b); p.Width != w {
		t.Errorf("damaged EXIF: %dx%d", p.Width, p.Height)
	}
}

func TestTIFFRefusals(t *testing.T) {
	img := gradient16(8, 4)
	grey := func(more ...tiffField) []byte { return greyTIFF16(img, 1, more...) }
	page := []tiffField{{256, []uint32{8}}, {257, []uint32{1}}, {tagBitsPerSample, []uint32{8}}, {259, []uint32{1}}, {262, []uint32{1}}, {278, []uint32{1}}}
	with := func(more ...tiffField) []tiffField { return append(slices.Clone(page), more...) }
	strip := [][]byte{make([]byte, 8)}
	thumbnail := with(tiffField{tagNewSubfileType, []uint32{1}})

	if p := mustDecode(t, makeTIFF(binary.LittleEndian, strip, page, thumbnail)); p.Width != 8 {
		t.Error("a thumbnail behind the picture")
	}
	refuses(t, makeTIFF(binary.LittleEndian, strip, page, page), spine.Unsupported, "several pages")
	refuses(t, makeTIFF(binary.LittleEndian, strip, thumbnail, page), spine.Unsupported, "several pages")
	refuses(t, grey(tiffField{tagFillOrder, []uint32{2}}), spine.Unsupported, "reversed bits")
	refuses(t, grey(tiffField{339, []uint32{2}}), spine.Unsupported, "sample format")
	refuses(t, makeTIFF(binary.LittleEndian, [][]byte{{0}}, []tiffField{
		{256, []uint32{8}}, {257, []uint32{1}}, {tagBitsPerSample, []uint32{1}}, {259, []uint32{1}}, {262, []uint32{1}},
	}), spine.Unsupported, "1 bits")
	refuses(t, makeTIFF(binary.LittleEndian, [][]byte{make([]byte, 24)}, []tiffField{
		{256, []uint32{8}}, {257, []uint32{1}}, {tagBitsPerSample, []uint32{8, 8, 8}}, {259, []uint32{1}}, {262, []uint32{2}},
		{tagSamplesPerPixel, []uint32{3}}, {tagPlanar, []uint32{2}},
	}), spine.Unsupported, "planes")
	refuses(t, makeTIFF(binary.LittleEndian, strip, slices.Replace(with(), 3, 4, tiffField{259, []uint32{7}})), spine.Unsupported, "compression")

	circle := makeTIFF(binary.LittleEndian, strip, page)
	copy(circle[len(circle)-4:], circle[4:8]) // the directory after the last is the first
	refuses(t, circle, spine.Corrupt, "directories")
}

func TestNotAPicture(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": {}, "zeros": make([]byte, 5000), "two bytes": {0xff, 0}, "nobody knows": append([]byte{1, 2, 3, 0}, strings.Repeat("?", 200)...),
		"JPEG without a picture": []byte("\xff\xd8\xff\xd9"), "DICOM's preamble": append(make([]byte, 128), "DICM"...),
	} {
		t.Run(name, func(t *testing.T) { refuses(t, b, spine.Corrupt, "") })
	}
	// What no X-ray comes in. A text is held for a damaged one all the same: it
	// stands where an X-ray should.
	for is, b := range map[string]string{
		"text": strings.Repeat("No picture at all.\r\n", 50), "text ": "A short note.", "text  ": "Gr\xfc\xdfe aus dem R\xf6ntgen\n", "text   ": "Привет", "text    ": "\xff\xfeH\x00a\x00l\x00l\x00o\x00", "PDF": "%PDF-1.7\n%\xe2\xe3\xcf\xd3", "ZIP": "PK\x03\x04\x14\x00",
	} {
		is = strings.TrimSpace(is)
		code := spine.Unsupported
		if is == "text" {
			code = spine.Corrupt
		}
		if !refuses(t, []byte(b), code, "a "+is+" file").Foreign {
			t.Errorf("a %s file is not called foreign", is)
		}
		if whole, err := Whole(strings.NewReader(b), int64(len(b))); !whole || err != nil {
			t.Errorf("%s: whole %v, %v", is, whole, err)
		}
	}
	gif := []byte("GIF89a\x01\x00\x01\x00\x00\x00")
	if refuses(t, gif, spine.Unsupported, "a GIF file").Foreign {
		t.Error("a picture is called foreign")
	}
	for words, b := range map[string]string{
		"GIF": "GIF89a", "WebP": "RIFF\x00\x00\x00\x00WEBPVP8 ", "PDF": "%PDF-1.7", "HEIF": "\x00\x00\x00\x18ftypheic",
		"JPEG 2000": "\x00\x00\x00\x0cjP  \r\n\x87\n", "gzip": "\x1f\x8b\x08", "BigTIFF": "II+\x00\x08\x00\x00\x00",
	} {
		t.Run(words, func(t *testing.T) { refuses(t, []byte(b+strings.Repeat("x", 200)), spine.Unsupported, words) })
	}
}

func TestDecodePath(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string]string{dir: "directory", pipe: "pipe", os.DevNull: "device"} {
		if _, err := Decode(path, DefaultLimits()); spine.CodeOf(err) != spine.Corrupt || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	if _, err := Decode(filepath.Join(dir, "nothing.jpg"), DefaultLimits()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	// Names mean nothing.
	path := filepath.Join(dir, "picture.dcm")
	if err := os.WriteFile(path, pngOf(t, gradient8(9, 7)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Decode(path, DefaultLimits())
	if err != nil || p.Facts.Format != "png" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := Decode(path, Limits{Bytes: 10, Pixels: 1000}); spine.CodeOf(err) != spine.Unsupported {
		t.Errorf("too many bytes: %v", err)
	}
	if _, err := Decode(path, Limits{Bytes: 10_000, Pixels: 62}); spine.CodeOf(err) != spine.Unsupported {
		t.Errorf("too many pixels: %v", err)
	}
}

// A picture whose decoding takes more memory than there is is refused by name,
// not by running out of it.
func TestMemoryLimit(t *testing.T) {
	for name, b := range map[string][]byte{
		"JPEG": jpegOf(t, gradient8(600, 500)), "PNG": pngOf(t, gradient16(600, 500)),
		"TIFF": tiffOf(t, gradient16(600, 500), tiff.Uncompressed),
	} {
		lim := DefaultLimits()
		lim.Memory = 96<<20 + 100_000
		if _, err := DecodeReader(bytes.NewReader(b), int64(len(b)), lim); spine.CodeOf(err) != spine.Unsupported || !strings.Contains(err.Error(), "MB to decode") {
			t.Errorf("%s: %v", name, err)
		}
		lim.Memory = 96<<20 + 2_000_000
		if _, err := DecodeReader(bytes.NewReader(b), int64(len(b)), lim); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
