package xray

import (
	"encoding/binary"
	"io"

	"spinebox/internal/spine"
)

// unpackRLE unpacks one frame (PS3.5 annex G): a header of 64 bytes with the
// offsets of up to 15 segments, one for each byte of each sample, the high byte
// first, each packed by itself. What comes out has little-endian samples, plane
// after plane.
func unpackRLE(b []byte, l layout) ([]byte, error) {
	if len(b) < 64 {
		return nil, io.ErrUnexpectedEOF
	}
	segments, pixels := l.samples*l.bytes, l.width*l.height
	if n := binary.LittleEndian.Uint32(b); n != uint32(segments) {
		return nil, spine.Faultf(spine.Corrupt, "a DICOM picture in RLE with %d segments where there must be %d", n, segments)
	}
	out := make([]byte, segments*pixels)
	for i := range segments {
		begin, end := binary.LittleEndian.Uint32(b[4+4*i:]), uint32(len(b))
		if i+1 < segments {
			end = binary.LittleEndian.Uint32(b[8+4*i:])
		}
		if begin < 64 || begin > end || end > uint32(len(b)) {
			return nil, spine.Faultf(spine.Corrupt, "a DICOM picture in RLE whose segments lie nowhere")
		}
		sample, high := i/l.bytes, l.bytes-1-i%l.bytes
		if err := unpackBits(out[sample*pixels*l.bytes+high:], l.bytes, pixels, b[begin:end]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unpackBits unpacks n bytes of a segment into every step-th byte of dst.
func unpackBits(dst []byte, step, n int, src []byte) error {
	for at := 0; at < n; {
		if len(src) == 0 {
			return io.ErrUnexpectedEOF
		}
		head := int8(src[0])
		src = src[1:]
		switch {
		case head >= 0: // head+1 bytes as they are
			run := int(head) + 1
			if run > len(src) {
				return io.ErrUnexpectedEOF
			}
			for _, v := range src[:min(run, n-at)] {
				dst[at*step] = v
				at++
			}
			src = src[run:]
		case head != -128: // the next byte, 1-head times
			if len(src) == 0 {
				return io.ErrUnexpectedEOF
			}
			for range min(1-int(head), n-at) {
				dst[at*step] = src[0]
				at++
			}
			src = src[1:]
		}
	}
	return nil
}
