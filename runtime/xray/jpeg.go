package xray

import (
	"bytes"
	"encoding/binary"
	"io"

	"spinebox/internal/spine"
)

// JPEG markers (ITU-T T.81, table B.1): the byte after 0xff.
const (
	markerStuffed = 0x00 // not a marker: a 0xff within coded data
	markerTEM     = 0x01
	markerRST0    = 0xd0
	markerRST7    = 0xd7
	markerSOF2    = 0xc2 // progressive
	markerSOI     = 0xd8
	markerEOI     = 0xd9
	markerSOS     = 0xda
	markerAPP0    = 0xe0
	markerAPP1    = 0xe1
)

// maxSegments bounds the walk over a JPEG's headers and a PNG's chunks. Real
// files have some thousand at the very most.
const maxSegments = 1 << 17

// jpegOutline is what the header segments of a JPEG say beside the picture.
type jpegOutline struct {
	coded int64             // where the first coded data begin
	exif  *io.SectionReader // EXIF's own TIFF structure; nil without
	jfif  bool              // it says that its colours are luma and chroma

	progressive bool // its coefficients are all kept until the end
}

// outlineJPEG walks the segments up to the first scan. Bytes between segments
// are skipped, as image/jpeg and libjpeg do.
func outlineJPEG(s *source) (jpegOutline, error) {
	var o jpegOutline
	off := int64(2)
	for range maxSegments {
		b, err := s.bytes(off, 2)
		if err != nil {
			return o, err
		}
		marker := b[1]
		switch {
		case b[0] != 0xff || marker == 0xff:
			off++
			continue
		case marker == markerStuffed, marker == markerTEM, marker == markerSOI,
			marker >= markerRST0 && marker <= markerRST7:
			off += 2
			continue
		case marker == markerEOI:
			return o, spine.Faultf(spine.Corrupt, "a JPEG without a picture")
		}
		length, err := s.uint16(off+2, binary.BigEndian)
		if err != nil {
			return o, err
		}
		next := off + 2 + int64(length)
		if length < 2 {
			return o, spine.Faultf(spine.Corrupt, "a JPEG segment of %d bytes", length)
		}
		if next > s.size {
			return o, io.ErrUnexpectedEOF
		}
		if marker == markerSOS {
			o.coded = next
			return o, nil
		}
		if marker == markerAPP1 && length >= 2+6 && o.exif == nil {
			if b, err := s.bytes(off+4, 6); err == nil && string(b) == "Exif\x00\x00" {
				o.exif = io.NewSectionReader(s.r, off+10, int64(length)-8)
			}
		}
		if marker == markerSOF2 {
			o.progressive = true
		}
		if marker == markerAPP0 && length >= 2+5 {
			if b, err := s.bytes(off+4, 5); err == nil && string(b) == "JFIF\x00" {
				o.jfif = true
			}
		}
		off = next
	}
	return o, spine.Faultf(spine.Corrupt, "a JPEG of more than %d segments", maxSegments)
}

// orientationIn returns how the camera was held by its EXIF, which may be nil;
// upright when nothing valid says otherwise. EXIF damaged elsewhere is common and
// no reason to refuse a picture.
func orientationIn(exif *io.SectionReader) orientation {
	if exif == nil {
		return upright
	}
	w, first, err := newTIFFWalk(newSource(exif, exif.Size()))
	if err != nil {
		return upright
	}
	n, err := w.s.uint16(first, w.order)
	if err != nil {
		return upright
	}
	for i := range int64(n) {
		e, err := w.entry(first + 2 + 12*i)
		if err != nil {
			return upright
		}
		if e.tag == tagOrientation {
			v, err := w.value(e, 0)
			if err != nil {
				return upright
			}
			return orientation(v)
		}
	}
	return upright
}

// wholeJPEG returns nil when the JPEG's end-of-image marker is there. Bytes
// after it, which some devices append, do no harm.
func wholeJPEG(s *source) error {
	o, err := outlineJPEG(s)
	if err != nil {
		return err
	}
	if s.size-o.coded < 2 {
		return io.ErrUnexpectedEOF
	}
	// Coded data cannot hold this pair, so at the very end it is the marker.
	if b, err := s.bytes(s.size-2, 2); err != nil {
		return err
	} else if b[0] == 0xff && b[1] == markerEOI {
		return nil
	}
	return findEOI(s, o.coded)
}

// findEOI reads on from off, within coded data, to the end-of-image marker.
func findEOI(s *source, off int64) error {
	for {
		ahead, err := s.ahead(off)
		if err != nil {
			return err
		}
		i := bytes.IndexByte(ahead, 0xff)
		if i < 0 {
			off += int64(len(ahead))
			continue
		}
		off += int64(i)
		b, err := s.bytes(off, 2)
		if err != nil {
			return err
		}
		switch marker := b[1]; {
		case marker == markerEOI:
			return nil
		case marker == 0xff:
			off++
		case marker == markerStuffed, marker >= markerRST0 && marker <= markerRST7:
			off += 2
		default: // a table or another scan's header between the scans
			length, err := s.uint16(off+2, binary.BigEndian)
			if err != nil {
				return err
			}
			off += 2 + max(int64(length), 2)
		}
	}
}
