package xray

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
	"testing"

	"golang.org/x/image/tiff"

	"spinebox/internal/spine"
)

// This file makes files by hand, so that the tests know every byte of them.

func decodeBytes(b []byte) (*spine.Picture, error) {
	return DecodeReader(bytes.NewReader(b), int64(len(b)), DefaultLimits())
}

func mustDecode(t *testing.T, b []byte) *spine.Picture {
	t.Helper()
	p, err := decodeBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refuses makes sure that b ends in a fault with the code and a reason that
// contains the words.
func refuses(t *testing.T, b []byte, code spine.Code, words string) *spine.Fault {
	t.Helper()
	p, err := decodeBytes(b)
	if err == nil {
		t.Fatalf("decoded to %dx%d", p.Width, p.Height)
	}
	if spine.CodeOf(err) != code || !bytes.Contains([]byte(err.Error()), []byte(words)) {
		t.Fatalf("%v; want %s with %q", err, code, words)
	}
	fault, _ := errors.AsType[*spine.Fault](err)
	return fault
}

// gradient16 is a 16-bit picture whose neighbours differ in their low bits.
func gradient16(w, h int) *image.Gray16 {
	img := image.NewGray16(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetGray16(x, y, color.Gray16{Y: uint16(x*811 + y*3907)})
		}
	}
	return img
}

func gradient8(w, h int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetGray(x, y, color.Gray{Y: uint8(x*3 + y*5)})
		}
	}
	return img
}

func pngOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tiffOf(t testing.TB, img image.Image, c tiff.CompressionType) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tiff.Encode(&b, img, &tiff.Options{Compression: c}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pngWithEXIF puts a chunk with the orientation behind the PNG's header.
func pngWithEXIF(b []byte, o orientation) []byte {
	chunk := append([]byte("eXIf"), makeTIFF(binary.BigEndian, [][]byte{{0}}, []tiffField{{tagOrientation, []uint32{uint32(o)}}})...)
	const header = 8 + 25
	out := binary.BigEndian.AppendUint32(bytes.Clone(b[:header]), uint32(len(chunk)-4))
	out = binary.BigEndian.AppendUint32(append(out, chunk...), crc32.ChecksumIEEE(chunk))
	return append(out, b[header:]...)
}

// tiffField is one field of a hand-made directory: SHORT values, or LONG where
// one of them needs it.
type tiffField struct {
	tag    uint16
	values []uint32
}

// makeTIFF writes a TIFF with the strips first and one directory for each list
// of fields. A directory without strip fields gets those of all strips.
func makeTIFF(order binary.AppendByteOrder, strips [][]byte, pages ...[]tiffField) []byte {
	b := []byte("II*\x00\x00\x00\x00\x00")
	if order.AppendUint16(nil, 1)[0] == 0 {
		b = []byte("MM\x00*\x00\x00\x00\x00")
	}
	var offsets, counts []uint32
	for _, s := range strips {
		offsets, counts = append(offsets, uint32(len(b))), append(counts, uint32(len(s)))
		b = append(b, s...)
	}
	link := 4 // where the offset of the next directory goes
	for _, fields := range pages {
		fields = append(slices.Clone(fields), tiffField{tagStripOffsets, offsets}, tiffField{tagStripByteCounts, counts})
		slices.SortFunc(fields, func(a, b tiffField) int { return int(a.tag) - int(b.tag) })
		var entries [][]byte
		for _, f := range fields {
			kind, values := uint16(3), []byte(nil)
			if slices.Max(f.values) > math.MaxUint16 || f.tag == tagStripOffsets {
				kind = 4
			}
			for _, v := range f.values {
				if kind == 3 {
					values = order.AppendUint16(values, uint16(v))
				} else {
					values = order.AppendUint32(values, v)
				}
			}
			e := order.AppendUint16(nil, f.tag)
			e = order.AppendUint16(e, kind)
			e = order.AppendUint32(e, uint32(len(f.values)))
			if len(values) <= 4 {
				e = append(e, append(values, 0, 0, 0, 0)[:4]...)
			} else {
				e = order.AppendUint32(e, uint32(len(b)))
				b = append(b, values...)
			}
			entries = append(entries, e)
		}
		copy(b[link:], order.AppendUint32(nil, uint32(len(b))))
		b = order.AppendUint16(b, uint16(len(entries)))
		b = append(b, slices.Concat(entries...)...)
		link = len(b)
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

// greyTIFF16 is a big-endian 16-bit TIFF of one strip for each row, plus
// whatever fields are given.
func greyTIFF16(img *image.Gray16, photometric uint32, more ...tiffField) []byte {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	var strips [][]byte
	for y := range h {
		strips = append(strips, img.Pix[y*img.Stride:][:2*w])
	}
	fields := append([]tiffField{
		{256, []uint32{uint32(w)}}, {257, []uint32{uint32(h)}}, {tagBitsPerSample, []uint32{16}},
		{259, []uint32{1}}, {262, []uint32{photometric}}, {278, []uint32{1}},
	}, more...)
	return makeTIFF(binary.BigEndian, strips, fields)
}

// value is the value of one DICOM element, encoded when the file is written.
type value any

type raw []byte      // OB, OW and UN as they are
type item []dcm      // a sequence of one item with defined lengths
type openItem []dcm  // the same with undefined lengths
type fragment []byte // compressed pixels: an empty offset table and one fragment

// dcm is one element of a hand-made DICOM file.
type dcm struct {
	tag uint32
	vr  string
	v   value
}

// dicomSyntax is how makeDICOM writes a data set.
type dicomSyntax struct {
	uid      string
	order    binary.AppendByteOrder
	implicit bool
}

var (
	explicitLE = dicomSyntax{"1.2.840.10008.1.2.1", binary.LittleEndian, false}
	implicitLE = dicomSyntax{"1.2.840.10008.1.2", binary.LittleEndian, true}
	explicitBE = dicomSyntax{"1.2.840.10008.1.2.2", binary.BigEndian, false}
)

func (s dicomSyntax) element(b []byte, e dcm) []byte {
	var v []byte
	length := uint32(0)
	switch x := e.v.(type) {
	case string:
		v = []byte(x)
		if len(v)%2 == 1 {
			v = append(v, ' ')
		}
	case int:
		v = s.order.AppendUint16(nil, uint16(x))
	case []int:
		for _, n := range x {
			v = s.order.AppendUint16(v, uint16(n))
		}
	case raw:
		v = x
	case item:
		inner := s.elements(nil, x)
		v = s.tag(nil, tagItem)
		v = s.order.AppendUint32(v, uint32(len(inner)))
		v = append(v, inner...)
	case openItem:
		length = 0xffff_ffff
		v = s.order.AppendUint32(s.tag(nil, tagItem), 0xffff_ffff)
		v = s.elements(v, x)
		v = append(s.tag(v, tagItemEnd), 0, 0, 0, 0)
		v = append(s.tag(v, tagSequenceEnd), 0, 0, 0, 0)
	case fragment:
		length = 0xffff_ffff
		v = append(s.tag(nil, tagItem), 0, 0, 0, 0)
		v = s.order.AppendUint32(s.tag(v, tagItem), uint32(len(x)))
		v = append(v, x...)
		v = append(s.tag(v, tagSequenceEnd), 0, 0, 0, 0)
	}
	if length == 0 {
		length = uint32(len(v))
	}
	b = s.tag(b, e.tag)
	switch {
	case s.implicit:
		b = s.order.AppendUint32(b, length)
	case slices.Contains([]string{"OB", "OW", "SQ", "UN"}, e.vr):
		b = append(b, e.vr...)
		b = s.order.AppendUint32(append(b, 0, 0), length)
	default:
		b = append(b, e.vr...)
		b = s.order.AppendUint16(b, uint16(length))
	}
	return append(b, v...)
}

func (s dicomSyntax) tag(b []byte, tag uint32) []byte {
	return s.order.AppendUint16(s.order.AppendUint16(b, uint16(tag>>16)), uint16(tag))
}

func (s dicomSyntax) elements(b []byte, all []dcm) []byte {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b dcm) int { return int(int64(a.tag) - int64(b.tag)) })
	for _, e := range all {
		b = s.element(b, e)
	}
	return b
}

func makeDICOM(s dicomSyntax, elements ...dcm) []byte {
	b := append(make([]byte, 128), "DICM"...)
	uid := s.uid
	if len(uid)%2 == 1 {
		uid += "\x00"
	}
	b = explicitLE.element(b, dcm{tagTransferSyntax, "UI", uid})
	return s.elements(b, elements)
}

// greyDICOM returns the elements of a grey picture of the given bits, whose
// codes are stored as they are, overridden and completed by more.
func greyDICOM(s dicomSyntax, w, h, bits int, codes []int, more ...dcm) []dcm {
	allocated, vr := 16, "OW"
	var pixels raw
	for _, c := range codes {
		if bits <= 8 {
			pixels = append(pixels, byte(c))
		} else {
			pixels = s.order.AppendUint16(pixels, uint16(c))
		}
	}
	if bits <= 8 {
		allocated, vr = 8, "OB"
		if len(pixels)%2 == 1 {
			pixels = append(pixels, 0)
		}
	}
	all := []dcm{
		{tagSamples, "US", 1}, {tagPhotometric, "CS", "MONOCHROME2"},
		{tagRows, "US", h}, {tagColumns, "US", w},
		{tagBitsAllocated, "US", allocated}, {tagBitsStored, "US", bits}, {tagHighBit, "US", bits - 1},
		{tagSigned, "US", 0}, {tagPixels, vr, pixels},
	}
	for _, m := range more {
		all = slices.DeleteFunc(all, func(e dcm) bool { return e.tag == m.tag })
		all = append(all, m)
	}
	return all
}
