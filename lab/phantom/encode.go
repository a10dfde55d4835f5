package phantom

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
)

// Format is a kind of file that phantoms are written as.
type Format string

const (
	JPEG       Format = "jpeg"
	PNG        Format = "png"         // 8 bits
	TIFF       Format = "tiff"        // 16 bits
	DICOM      Format = "dicom"       // MONOCHROME2, 12 to 16 bits
	DICOMMono1 Format = "dicom-mono1" // the same, inverted
)

// Extension returns the ending of the format's file names, with its dot, or ""
// for a format that does not exist.
func (f Format) Extension() string {
	switch f {
	case JPEG:
		return ".jpg"
	case PNG:
		return ".png"
	case TIFF:
		return ".tif"
	case DICOM, DICOMMono1:
		return ".dcm"
	}
	return ""
}

// notice is what every file says of itself, in its format's own comment.
const notice = "PHANTOM: made data of spinebox, not a patient"

// Encode writes the phantom as a file of the given format, marked as a phantom
// in the format's own way.
func (p *Phantom) Encode(w io.Writer, f Format) error {
	switch f {
	case JPEG:
		return p.encodeJPEG(w)
	case PNG:
		return p.encodePNG(w)
	case TIFF:
		return p.encodeTIFF(w)
	case DICOM, DICOMMono1:
		return p.encodeDICOM(w, f == DICOMMono1)
	}
	return fmt.Errorf("unknown format %q: it is %s, %s, %s, %s or %s", f, JPEG, PNG, TIFF, DICOM, DICOMMono1)
}

// gray returns the picture with 8 bits.
func (p *Phantom) gray() *image.Gray {
	m := image.NewGray(image.Rect(0, 0, p.Picture.Width, p.Picture.Height))
	for i, v := range p.Picture.Pix {
		m.Pix[i] = uint8(v*255 + 0.5)
	}
	return m
}

// stored returns the picture as whole numbers from 0 to 2^bits - 1, two bytes
// each, the lower one first; inverted, white is 0.
func (p *Phantom) stored(bits int, inverted bool) []byte {
	most := float32(uint32(1)<<bits - 1)
	out := make([]byte, 2*len(p.Picture.Pix))
	for i, v := range p.Picture.Pix {
		n := uint16(v*most + 0.5)
		if inverted {
			n = uint16(most) - n
		}
		binary.LittleEndian.PutUint16(out[2*i:], n)
	}
	return out
}

// encodeJPEG puts the notice into a comment segment behind the start marker.
func (p *Phantom) encodeJPEG(w io.Writer) error {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, p.gray(), &jpeg.Options{Quality: p.quality}); err != nil {
		return fmt.Errorf("encode jpeg: %w", err)
	}
	comment := binary.BigEndian.AppendUint16([]byte{0xff, 0xfe}, uint16(len(notice)+2))
	return writeAll(w, b.Bytes()[:2], comment, []byte(notice), b.Bytes()[2:])
}

// encodePNG puts the notice into a text chunk behind the header chunk.
func (p *Phantom) encodePNG(w io.Writer) error {
	var b bytes.Buffer
	if err := png.Encode(&b, p.gray()); err != nil {
		return fmt.Errorf("encode png: %w", err)
	}
	const header = 8 + 25 // signature, IHDR
	text := []byte("tEXtComment\x00" + notice)
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(text)-4))
	chunk = append(chunk, text...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(text))
	return writeAll(w, b.Bytes()[:header], chunk, b.Bytes()[header:])
}

// encodeTIFF writes one uncompressed strip of 16-bit grey values (TIFF 6.0).
// x/image/tiff could, but has no room for the notice.
func (p *Phantom) encodeTIFF(w io.Writer) error {
	type tag struct {
		id, kind     uint16 // kinds: 2 text, 3 two bytes, 4 four bytes
		count, value uint32
	}
	const entries = 11
	text := append([]byte(notice), 0)
	if len(text)%2 == 1 {
		text = append(text, 0)
	}
	pixels := p.stored(16, false)
	textAt := uint32(8 + 2 + 12*entries + 4)
	pixelsAt := textAt + uint32(len(text))
	tags := [entries]tag{
		{256, 4, 1, uint32(p.Picture.Width)},
		{257, 4, 1, uint32(p.Picture.Height)},
		{258, 3, 1, 16}, // bits for each sample
		{259, 3, 1, 1},  // not compressed
		{262, 3, 1, 1},  // black is zero
		{270, 2, uint32(len(text)), textAt},
		{273, 4, 1, pixelsAt},
		{277, 3, 1, 1}, // samples for each pixel
		{278, 4, 1, uint32(p.Picture.Height)},
		{279, 4, 1, uint32(len(pixels))},
		{339, 3, 1, 1}, // unsigned
	}
	var head bytes.Buffer
	head.WriteString("II*\x00\x08\x00\x00\x00")
	head.Write(binary.LittleEndian.AppendUint16(nil, entries))
	for _, t := range tags {
		if err := binary.Write(&head, binary.LittleEndian, t); err != nil {
			return fmt.Errorf("encode tiff: %w", err)
		}
	}
	head.Write(make([]byte, 4)) // no second picture
	return writeAll(w, head.Bytes(), text, pixels)
}

func writeAll(w io.Writer, parts ...[]byte) error {
	for _, b := range parts {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write phantom: %w", err)
		}
	}
	return nil
}
