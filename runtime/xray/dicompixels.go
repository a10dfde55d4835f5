package xray

import (
	"fmt"
	"io"

	"spinebox/internal/spine"
)

// layout is how a DICOM picture's pixels lie in the file (PS3.3 C.7.6.3).
type layout struct {
	width, height int
	samples       int // of a pixel: 1 or 3
	bytes         int // of a sample: 1 or 2
	bits          int // of a sample that are used: 8 to 16
	signed        bool
	planes        bool // the samples of each colour lie together
	photometric   string

	pixels element
	memory io.ReaderAt // where the pixels lie when not in the file
}

// readLayout reads the layout and refuses by name all that samples does not
// read.
func (d dataset) readLayout() (layout, error) {
	var l layout
	pixels, ok := d.elements[tagPixels]
	if !ok {
		return l, d.withoutPixels()
	}
	l.pixels = pixels
	var allocated, high, signed, planar int
	for _, f := range []struct {
		tag  uint32
		name string
		into *int
		must bool
	}{
		{tagRows, "rows", &l.height, true},
		{tagColumns, "columns", &l.width, true},
		{tagSamples, "samples per pixel", &l.samples, true},
		{tagBitsAllocated, "bits allocated", &allocated, true},
		{tagBitsStored, "bits stored", &l.bits, true},
		{tagSigned, "pixel representation", &signed, true},
		{tagHighBit, "high bit", &high, false},
		{tagPlanarOrder, "planar configuration", &planar, false},
	} {
		v, ok, err := d.number(f.tag)
		switch {
		case err != nil:
			return l, err
		case !ok && f.must:
			return l, spine.Faultf(spine.Corrupt, "a DICOM picture that does not say its %s", f.name)
		case !ok && f.tag == tagHighBit:
			v = l.bits - 1
		}
		*f.into = v
	}
	var err error
	if l.photometric, err = d.code(tagPhotometric); err != nil {
		return l, err
	}
	frames, _, err := d.decimal(tagFrames)
	if err != nil {
		return l, err
	}
	l.bytes, l.signed, l.planes = allocated/8, signed == 1, planar == 1
	switch {
	case frames > 1:
		return l, spine.Faultf(spine.Unsupported, "a DICOM file of several frames")
	case allocated != 8 && allocated != 16:
		return l, spine.Faultf(spine.Unsupported, "DICOM pixels of %d bits", allocated)
	case l.bits < 8:
		return l, spine.Faultf(spine.Unsupported, "DICOM pixels of which %d bits are used", l.bits)
	case l.bits > allocated || signed > 1 || planar > 1:
		return l, spine.Faultf(spine.Corrupt, "a DICOM pixel description that contradicts itself")
	case high != l.bits-1:
		return l, spine.Faultf(spine.Unsupported, "DICOM pixels whose %d bits end at bit %d", l.bits, high)
	}
	return l, nil
}

// withoutPixels says why a data set without pixel data is none for the box.
func (d dataset) withoutPixels() error {
	for _, tag := range []uint32{tagFloatPixels, tagDoubleFloatPixels} {
		if _, ok := d.elements[tag]; ok {
			return spine.Faultf(spine.Unsupported, "DICOM pixels in floating point")
		}
	}
	for tag := range d.elements {
		if tag>>16 == 0x0028 { // the group that describes pixels
			return spine.Faultf(spine.Corrupt, "a DICOM picture without its pixel data")
		}
	}
	if d.empty {
		return spine.Faultf(spine.Corrupt, "a DICOM file without a data set")
	}
	return spine.Faultf(spine.Unsupported, "a DICOM file that holds no picture")
}

// complete makes sure that native pixels are all there.
func (l layout) complete() error {
	need := int64(l.width) * int64(l.height) * l.perPixel()
	if l.pixels.length == undefined || l.pixels.length < need {
		return spine.Faultf(spine.Corrupt, "%d bytes of pixel data where %d by %d pixels need %d", max(l.pixels.length, 0), l.width, l.height, need)
	}
	return nil
}

// perPixel returns the bytes of a pixel, averaged.
func (l layout) perPixel() int64 {
	if l.photometric == "YBR_FULL_422" { // two pixels share their colour
		return 2
	}
	return int64(l.samples * l.bytes)
}

// chunkSamples is how many samples are read at once; even, so that pairs of
// bytes stay together.
const chunkSamples = 3 * (16 << 10)

// sampleReader reads a picture's samples, in the order of the file.
type sampleReader struct {
	layout
	r   io.ReaderAt
	raw []byte
}

func (l layout) reader(file io.ReaderAt) sampleReader {
	if l.memory != nil {
		file = l.memory
	}
	return sampleReader{layout: l, r: file}
}

// read fills dst, at most chunkSamples, with the samples from the first one on:
// their used bits, without regard to sign.
func (r *sampleReader) read(dst []uint16, first int) error {
	if r.raw == nil {
		r.raw = make([]byte, 2*chunkSamples+2)
	}
	off, n := int64(first)*int64(r.bytes), len(dst)*r.bytes
	// Single bytes written as big-endian words (VR OW) lie the other way round
	// in each pair.
	swapped := int64(0)
	if r.bytes == 1 && r.pixels.vr == "OW" && r.pixels.coding.order.String() == "BigEndian" {
		swapped = 1
	}
	begin := off &^ swapped
	end := min((off+int64(n)+swapped)&^swapped, r.pixels.length)
	raw := r.raw[:end-begin]
	if _, err := r.r.ReadAt(raw, r.pixels.at+begin); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read pixels: %w", err)
	}
	mask := uint16(1<<r.bits - 1)
	if r.bytes == 2 {
		order := r.pixels.coding.order
		for i := range dst {
			dst[i] = order.Uint16(raw[2*i:]) & mask
		}
		return nil
	}
	for i := range dst {
		dst[i] = uint16(raw[(off+int64(i)-begin)^swapped]) & mask
	}
	return nil
}

// each calls visit with the picture's pixels, chunk by chunk: the index of the
// first pixel and all samples of the chunk's pixels, plane after plane or side
// by side as they lie in the file.
func (l layout) each(file io.ReaderAt, visit func(first int, samples []uint16)) error {
	in := l.reader(file)
	buf := make([]uint16, chunkSamples)
	pixels, perChunk := l.width*l.height, chunkSamples/3
	for first := 0; first < pixels; first += perChunk {
		n := min(perChunk, pixels-first)
		switch {
		case l.planes && l.samples == 3:
			for c := range 3 {
				if err := in.read(buf[c*n:(c+1)*n], c*pixels+first); err != nil {
					return err
				}
			}
			visit(first, buf[:3*n])
		default:
			k := int(l.perPixel()) / l.bytes
			if err := in.read(buf[:k*n], k*first); err != nil {
				return err
			}
			visit(first, buf[:k*n])
		}
	}
	return nil
}

// codes returns the pixels of a grey picture: their used bits, without regard
// to sign.
func (l layout) codes(file io.ReaderAt) ([]uint16, error) {
	codes := make([]uint16, l.width*l.height)
	in := l.reader(file)
	for first := 0; first < len(codes); first += chunkSamples {
		if err := in.read(codes[first:min(first+chunkSamples, len(codes))], first); err != nil {
			return nil, err
		}
	}
	return codes, nil
}
