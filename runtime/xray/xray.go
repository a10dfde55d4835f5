// Package xray turns the bytes of one file into one grey picture.
//
// [Decode] reads JPEG, PNG, TIFF and uncompressed DICOM, told apart by their
// content and never by their name; [Whole] says whether a file that somebody
// else may still be writing is complete. Both are pure functions of the bytes,
// so that they can run in a confined process, and both expect those bytes to be
// hostile: what they allocate is bounded by the file's own size and by
// [Limits], and whatever a file holds, the answer is a picture or a
// *[spine.Fault] that says why not.
//
// A picture is never wrong in silence: what the package does not handle
// exactly it refuses by name.
package xray

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"spinebox/internal/spine"
)

// Limits bound what Decode takes on. They are checked before anything is
// decoded, because every decoder allocates by what a file's header claims.
type Limits struct {
	Bytes  int64 // of the file
	Pixels int   // width times height
	Memory int64 // that decoding may take, in bytes; 0 for no limit
}

// DefaultLimits returns 256 MiB and 40 megapixels. A whole spine stitched from
// three 43 cm detectors at 0.14 mm has 28 megapixels, 56 MB at 16 bits; the
// limits leave room above it. Memory is unlimited.
func DefaultLimits() Limits { return Limits{Bytes: 256 << 20, Pixels: 40_000_000} }

// Decode reads the picture in the file at path. Its values are 0 to 1 in the
// sense of MONOCHROME2 and keep the file's own precision, up to 16 bits.
//
//   - Colours become grey by Rec. 601 luma, which is the Y of a JPEG.
//   - Transparent pixels lie over black.
//   - The orientation that cameras note in JPEG and TIFF is applied.
//   - DICOM goes through the modality and VOI transformations; see
//     [dicomImage.table] for their order.
//
// A file that cannot be decoded gives a *[spine.Fault]: Unsupported when it is
// of a kind that the box does not read (or beyond lim), Corrupt when it is
// damaged, cut short or no picture at all. Other errors are those of opening
// and reading the file.
func Decode(path string, lim Limits) (*spine.Picture, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	// Opening a pipe would block until somebody writes to it.
	if !info.Mode().IsRegular() {
		return nil, spine.Faultf(spine.Corrupt, "not a regular file but a %s", kind(info.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	return DecodeReader(f, info.Size(), lim)
}

// DecodeReader is Decode for the size bytes of r.
func DecodeReader(r io.ReaderAt, size int64, lim Limits) (*spine.Picture, error) {
	g, err := Decoder{Limits: lim}.Decode(r, size)
	if err != nil {
		return nil, err
	}
	return g.Picture(), nil
}

// Grey is a decoded picture before its values are spelled out, a quarter or half
// as large: codes of 8 or 16 bits and a table with the grey of each. Where
// colours make more greys than there are codes, Values has them all and the
// others are nil.
type Grey struct {
	Width, Height int
	Facts         spine.Facts

	Codes8  []byte    // row by row, or
	Codes16 []uint16  // row by row
	Table   []float32 // by code; 0 to 1

	Values []float32 // row by row, 0 to 1
}

// Picture spells the values out.
func (g *Grey) Picture() *spine.Picture {
	p := &spine.Picture{Width: g.Width, Height: g.Height, Facts: g.Facts, Pix: g.Values}
	if p.Pix != nil {
		return p
	}
	p.Pix = make([]float32, g.Width*g.Height)
	if g.Codes8 != nil {
		spell(p.Pix, g.Codes8, g.Table)
	} else {
		spell(p.Pix, g.Codes16, g.Table)
	}
	return p
}

func spell[Code byte | uint16](dst []float32, codes []Code, table []float32) {
	for i, code := range codes {
		dst[i] = table[code]
	}
}

// Decoder is what Decode works with, for whoever confines it.
type Decoder struct {
	Limits Limits

	// Convert unpacks what this package cannot; nil where nothing does. Such
	// pictures are Unsupported then.
	Convert Converter
}

// Decode is [Decode] for the size bytes of r.
func (d Decoder) Decode(r io.ReaderAt, size int64) (g *Grey, err error) {
	// The decoders are other people's code on strangers' bytes; a panic in one
	// of them condemns the file, not the box.
	// What it says may hold some of the file.
	defer func() {
		if recover() != nil {
			g, err = nil, spine.Faultf(spine.Corrupt, "the decoder gave up on this file")
		}
	}()
	if size > d.Limits.Bytes {
		return nil, spine.Faultf(spine.Unsupported, "the file has %d bytes; the limit is %d", size, d.Limits.Bytes)
	}
	s := newSource(r, size)
	g, err = d.decode(s)
	if s.r.failed != nil {
		return nil, fmt.Errorf("decode picture: %w", s.r.failed)
	}
	if err != nil {
		return nil, verdict(err)
	}
	return g, nil
}

func (d Decoder) decode(s *source) (g *Grey, err error) {
	is, err := sniff(s)
	if err != nil {
		return nil, err
	}
	switch is {
	case formatJPEG:
		g, err = d.decodeJPEG(s)
	case formatPNG:
		g, err = d.decodePNG(s)
	case formatTIFF:
		g, err = d.decodeTIFF(s)
	case formatDICOM:
		g, err = d.decodeDICOM(s)
	case formatUnknown:
		return nil, spine.Faultf(spine.Corrupt, "neither JPEG, PNG, TIFF nor DICOM (%d bytes)", s.size)
	case formatText:
		return nil, &spine.Fault{Code: spine.Corrupt, Reason: "a text file", Foreign: is.foreign()}
	default:
		return nil, &spine.Fault{Code: spine.Unsupported, Reason: fmt.Sprintf("a %s file", is), Foreign: is.foreign()}
	}
	if err != nil {
		return nil, err
	}
	g.Facts.Format = string(is)
	return g, nil
}

// verdict gives an error about the file's content its code.
func verdict(err error) error {
	if _, ok := errors.AsType[*spine.Fault](err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return spine.Faultf(spine.Corrupt, "the file ends before its picture does")
	}
	return spine.Faultf(spine.Corrupt, "%v", err)
}

// check refuses a picture of w×h pixels that exceeds the limits or that
// size bytes cannot hold. perByte is how many pixels of the format one byte
// can stand for at the very most: without it a file of 300 bytes could ask for
// all that Limits.Pixels allows.
func (lim Limits) check(w, h int, size int64, perByte int64) error {
	switch {
	case w < 1 || h < 1:
		return spine.Faultf(spine.Corrupt, "a picture of %d by %d pixels", w, h)
	case w > lim.Pixels/h:
		return spine.Faultf(spine.Unsupported, "a picture of %d by %d pixels; the limit is %d pixels", w, h, lim.Pixels)
	case int64(w)*int64(h)/perByte > size:
		return spine.Faultf(spine.Corrupt, "%d bytes cannot hold the %d by %d pixels that they announce", size, w, h)
	}
	return nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}
