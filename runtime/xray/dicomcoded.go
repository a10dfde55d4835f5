package xray

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"

	"spinebox/internal/spine"
)

// This file unpacks compressed pixels. RLE and JPEG of 8 bits are read here, all
// else by a real decoder that the box has from elsewhere.

// Converter unpacks a DICOM file of one compressed frame into one with native
// pixels. The file that it gets is written here: it holds the description of the
// pixels and their compressed bytes, and nothing else of the stranger's. A file
// that it cannot unpack MUST be a *[spine.Fault].
type Converter func(file []byte) ([]byte, error)

// How many pixels one byte of compressed data can stand for at the very most.
const (
	rlePixelsPerByte     = 64      // 2 bytes make 128 of 8 bits
	convertPixelsPerByte = 1 << 16 // an empty picture is next to nothing; memory is bounded elsewhere
)

// coded returns the compressed bytes of the picture.
func (d Decoder) coded(s *source, t transferSyntax, l layout) ([]byte, error) {
	if l.pixels.length != undefined {
		return nil, spine.Faultf(spine.Corrupt, "a DICOM picture in %s that is not packed in fragments", t.name)
	}
	perByte := map[codec]int64{rle: rlePixelsPerByte, jpeg8: jpegPixelsPerByte, convert: convertPixelsPerByte}
	if err := d.Limits.check(l.width, l.height, s.size, perByte[t.codec]); err != nil {
		return nil, err
	}
	return fragments(s, l.pixels)
}

// unpack returns the layout of the pixels that were compressed in b.
func (d Decoder) unpack(b []byte, t transferSyntax, l layout) (layout, error) {
	if t.codec != rle {
		return d.convert(b, t, l)
	}
	raw, err := unpackRLE(b, l)
	l.planes = l.samples > 1
	l.memory = bytes.NewReader(raw)
	l.pixels = element{length: int64(len(raw)), coding: explicitLittle()}
	return l, err
}

// fragments returns the bytes of a picture that lies in fragments (PS3.5 annex
// A.4) behind the table of their offsets, which one picture does not need.
func fragments(s *source, pixels element) ([]byte, error) {
	var b []byte
	first := true
	for off := pixels.at; ; {
		item, err := dicomElement(s, off, pixels.coding)
		if err != nil {
			return nil, err
		}
		if item.tag == tagSequenceEnd {
			return b, nil
		}
		if item.tag != tagItem || item.length == undefined {
			return nil, spine.Faultf(spine.Corrupt, "a DICOM picture in fragments of no known length")
		}
		if !first {
			at := len(b)
			b = append(b, make([]byte, item.length)...)
			if _, err := s.r.ReadAt(b[at:], item.at); err != nil {
				return nil, err
			}
		}
		first, off = false, item.at+item.length
	}
}

// convert hands the picture to the converter and reads what comes back.
func (d Decoder) convert(b []byte, t transferSyntax, l layout) (layout, error) {
	if d.Convert == nil {
		return l, spine.Faultf(spine.Unsupported, "a DICOM picture in %s, and the program that unpacks it is not installed (on Debian: apt-get install libgdcm-tools)", t.name)
	}
	if err := fitsCodestream(b, t, l); err != nil {
		return l, err
	}
	file, err := d.Convert(compressedDICOM(b, t, l))
	if err != nil {
		return l, err
	}
	s := newSource(bytes.NewReader(file), int64(len(file)))
	was := l
	if l, err = readConverted(s); err != nil {
		return l, spine.Faultf(spine.Corrupt, "a DICOM picture in %s that cannot be unpacked", t.name)
	}
	if l.width != was.width || l.height != was.height || l.samples != was.samples || l.signed != was.signed {
		return l, spine.Faultf(spine.Unsupported, "a DICOM picture in %s that contradicts its description", t.name)
	}
	if l.samples == 1 {
		l.photometric = was.photometric
	}
	l.memory = s.r
	return l, nil
}

func readConverted(s *source) (l layout, err error) {
	t, off, err := openDICOM(s)
	if err != nil {
		return l, err
	}
	if t.codec != native || t.packed {
		return l, errors.New("still compressed")
	}
	d, err := readDataset(s, off, t.coding)
	if err != nil {
		return l, err
	}
	if l, err = d.readLayout(); err != nil {
		return l, err
	}
	return l, errors.Join(l.checkColours(false), l.complete())
}

// fitsCodestream refuses a JPEG 2000 picture whose codestream has another sign
// than the description: decoders disagree about what it shows. (Another number
// of bits is common, and the codestream's is the one that counts.)
func fitsCodestream(b []byte, t transferSyntax, l layout) error {
	siz := bytes.Index(b, []byte{0xff, 0x4f, 0xff, 0x51}) // SOC, SIZ (ISO 15444-1 annex A)
	if siz < 0 || len(b) < siz+43 {
		return nil // no JPEG 2000, or the converter's to refuse
	}
	if signed := b[siz+42]&0x80 != 0; signed != l.signed {
		return spine.Faultf(spine.Unsupported, "a DICOM picture in %s that contradicts its description", t.name)
	}
	return nil
}

// compressedDICOM writes a DICOM file with the compressed picture b and what
// its decoder has to know.
func compressedDICOM(b []byte, t transferSyntax, l layout) []byte {
	le := binary.LittleEndian
	put := func(f []byte, tag uint32, vr string, value []byte) []byte {
		if len(value)%2 == 1 {
			value = append(value, 0)
		}
		f = le.AppendUint16(le.AppendUint16(f, uint16(tag>>16)), uint16(tag))
		f = append(f, vr...)
		if vr == "OB" {
			f = le.AppendUint32(append(f, 0, 0), uint32(len(value)))
		} else {
			f = le.AppendUint16(f, uint16(len(value)))
		}
		return append(f, value...)
	}
	number := func(f []byte, tag uint32, v int) []byte { return put(f, tag, "US", le.AppendUint16(nil, uint16(v))) }
	signed, planar := 0, 0
	if l.signed {
		signed = 1
	}
	if l.planes {
		planar = 1
	}

	const secondaryCapture, uid = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
	meta := put(nil, 0x0002_0001, "OB", []byte{0, 1})
	meta = put(meta, 0x0002_0002, "UI", []byte(secondaryCapture))
	meta = put(meta, 0x0002_0003, "UI", []byte(uid))
	meta = put(meta, tagTransferSyntax, "UI", []byte(t.uid))
	meta = put(meta, 0x0002_0012, "UI", []byte(uid))
	f := append(make([]byte, 128, len(b)+1024), "DICM"...)
	f = put(f, 0x0002_0000, "UL", le.AppendUint32(nil, uint32(len(meta))))
	f = append(f, meta...)
	f = put(f, 0x0008_0016, "UI", []byte(secondaryCapture))
	f = put(f, tagSOPInstance, "UI", []byte(uid))
	f = number(f, tagSamples, l.samples)
	f = put(f, tagPhotometric, "CS", append([]byte(l.photometric), " "[:len(l.photometric)%2]...))
	if l.samples > 1 {
		f = number(f, tagPlanarOrder, planar)
	}
	f = number(f, tagRows, l.height)
	f = number(f, tagColumns, l.width)
	f = number(f, tagBitsAllocated, 8*l.bytes)
	f = number(f, tagBitsStored, l.bits)
	f = number(f, tagHighBit, l.bits-1)
	f = number(f, tagSigned, signed)
	f = append(f, 0xe0, 0x7f, 0x10, 0x00, 'O', 'B', 0, 0, 0xff, 0xff, 0xff, 0xff)
	f = append(f, 0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0)
	f = le.AppendUint32(append(f, 0xfe, 0xff, 0x00, 0xe0), uint32(len(b)+len(b)%2))
	f = append(append(f, b...), make([]byte, len(b)%2)...)
	return append(f, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0)
}

// jpegFrame reads a picture in JPEG of 8 bits. It returns nil for one of another
// kind.
func jpegFrame(b []byte, l layout) (image.Image, error) {
	config, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if _, other := errors.AsType[jpeg.UnsupportedError](err); other {
		return nil, nil
	}
	if err != nil {
		return nil, unsupported(err)
	}
	samples := 3
	if config.ColorModel == color.GrayModel {
		samples = 1
	}
	if config.Width != l.width || config.Height != l.height || samples != l.samples || l.bits != 8 || l.signed {
		return nil, spine.Faultf(spine.Unsupported, "a DICOM picture in JPEG that contradicts its description")
	}
	o, err := outlineJPEG(newSource(bytes.NewReader(b), int64(len(b))))
	if err != nil {
		return nil, err
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, unsupported(err)
	}
	if planes, ok := img.(*image.YCbCr); ok && l.photometric == "RGB" && !o.jfif {
		img = asRGB(planes)
	}
	return img, nil
}

// asRGB takes the planes of a JPEG for red, green and blue, where the DICOM file
// says that they are and the JPEG is silent: image/jpeg takes such planes for
// luma and chroma.
func asRGB(planes *image.YCbCr) image.Image {
	out := image.NewRGBA(planes.Rect)
	for y := range planes.Rect.Dy() {
		for x := range planes.Rect.Dx() {
			c := planes.COffset(x, y)
			copy(out.Pix[out.PixOffset(x, y):], []byte{planes.Y[planes.YOffset(x, y)], planes.Cb[c], planes.Cr[c], 255})
		}
	}
	return out
}
