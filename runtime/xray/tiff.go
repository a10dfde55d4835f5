package xray

import (
	"encoding/binary"
	"io"

	"spinebox/internal/spine"
)

// TIFF tags (TIFF 6.0, appendix A) that decide whether a file is whole and
// whether golang.org/x/image/tiff reads it right.
const (
	tagNewSubfileType  = 254
	tagBitsPerSample   = 258
	tagFillOrder       = 266
	tagStripOffsets    = 273
	tagOrientation     = 274
	tagSamplesPerPixel = 277
	tagStripByteCounts = 279
	tagPlanar          = 284
	tagTileOffsets     = 324
	tagTileByteCounts  = 325
)

const (
	// maxDirectories and maxBlocks bound the walk. A hostile file may chain
	// its directories in a circle or let each of them point at one table.
	maxDirectories = 64
	maxBlocks      = 1 << 21
)

// tiffPage is what one directory says about its picture.
type tiffPage struct {
	orientation orientation
	part        bool  // a thumbnail or a mask of another page
	bits        int64 // of a sample
	samples     int64 // of a pixel
	planes      int64 // in which the samples lie apart; 1 when together
	fillOrder   int64
}

// tiffOutline is what a TIFF's directories say beside the pictures.
type tiffOutline struct {
	first tiffPage
	pages int // pictures at full size
}

// readable refuses what x/image/tiff would misread without a word, and what is
// more than one picture, of which it would take the first.
func (o tiffOutline) readable() error {
	switch {
	case o.first.part || o.pages != 1:
		return spine.Faultf(spine.Unsupported, "a TIFF of several pages")
	case o.first.bits < 8:
		return spine.Faultf(spine.Unsupported, "a TIFF with %d bits per sample", o.first.bits)
	case o.first.samples != 1 && o.first.planes != 1:
		return spine.Faultf(spine.Unsupported, "a TIFF whose colours lie in separate planes")
	case o.first.fillOrder != 1:
		return spine.Faultf(spine.Unsupported, "a TIFF with reversed bits")
	}
	return nil
}

// tiffWalk goes through a TIFF's directories.
type tiffWalk struct {
	s      *source
	order  binary.ByteOrder
	blocks int64 // strips and tiles seen
}

// tiffEntry is one field of a directory. Its values begin at offset at.
type tiffEntry struct {
	tag   uint16
	kind  uint16
	count int64
	at    int64
}

// outlineTIFF walks all directories and makes sure that they, the values that
// they point to, and all strips and tiles lie inside the file.
func outlineTIFF(s *source) (tiffOutline, error) {
	var o tiffOutline
	w, next, err := newTIFFWalk(s)
	if err != nil {
		return o, err
	}
	for n := 0; next != 0; n++ {
		if n == maxDirectories {
			return o, spine.Faultf(spine.Corrupt, "a TIFF of more than %d directories", maxDirectories)
		}
		var page tiffPage
		if page, next, err = w.directory(next); err != nil {
			return o, err
		}
		if n == 0 {
			o.first = page
		}
		if !page.part {
			o.pages++
		}
	}
	return o, nil
}

// newTIFFWalk reads the byte order and the offset of the first directory.
func newTIFFWalk(s *source) (w *tiffWalk, first int64, err error) {
	head, err := s.bytes(0, 8)
	if err != nil {
		return nil, 0, err
	}
	w = &tiffWalk{s: s, order: binary.LittleEndian}
	if head[0] == 'M' {
		w.order = binary.BigEndian
	}
	return w, int64(w.order.Uint32(head[4:])), nil
}

// directory walks the directory at off and returns where the next one is; 0
// after the last.
func (w *tiffWalk) directory(off int64) (page tiffPage, next int64, err error) {
	n, err := w.s.uint16(off, w.order)
	if err != nil {
		return page, 0, err
	}
	if n == 0 { // also what a file shows that is not written yet
		return page, 0, spine.Faultf(spine.Corrupt, "an empty TIFF directory")
	}
	page = tiffPage{orientation: upright, bits: 1, samples: 1, planes: 1, fillOrder: 1}
	var offsets, counts tiffEntry
	for i := range int64(n) {
		e, err := w.entry(off + 2 + 12*i)
		if err != nil {
			return page, 0, err
		}
		if length := e.count * e.size(); length > w.s.size-e.at {
			return page, 0, io.ErrUnexpectedEOF
		}
		switch e.tag {
		case tagStripOffsets, tagTileOffsets:
			offsets = e
		case tagStripByteCounts, tagTileByteCounts:
			counts = e
		default:
			if err := w.note(&page, e); err != nil {
				return page, 0, err
			}
		}
	}
	if err := w.inside(offsets, counts); err != nil {
		return page, 0, err
	}
	v, err := w.s.uint32(off+2+12*int64(n), w.order)
	return page, int64(v), err
}

// note keeps what the field says about the page, if it is one that matters.
func (w *tiffWalk) note(page *tiffPage, e tiffEntry) error {
	switch e.tag {
	case tagNewSubfileType, tagBitsPerSample, tagFillOrder, tagOrientation, tagSamplesPerPixel, tagPlanar:
	default:
		return nil
	}
	v, err := w.value(e, 0)
	if err != nil {
		return err
	}
	switch e.tag {
	case tagNewSubfileType:
		page.part = v&(1|4) != 0
	case tagBitsPerSample:
		page.bits = v
	case tagFillOrder:
		page.fillOrder = v
	case tagOrientation:
		page.orientation = orientation(v)
	case tagSamplesPerPixel:
		page.samples = v
	case tagPlanar:
		page.planes = v
	}
	return nil
}

// entry reads the field at off. Where its values lie is not checked.
func (w *tiffWalk) entry(off int64) (tiffEntry, error) {
	b, err := w.s.bytes(off, 12)
	if err != nil {
		return tiffEntry{}, err
	}
	e := tiffEntry{
		tag:   w.order.Uint16(b),
		kind:  w.order.Uint16(b[2:]),
		count: int64(w.order.Uint32(b[4:])),
		at:    off + 8,
	}
	if e.count*e.size() > 4 {
		e.at = int64(w.order.Uint32(b[8:]))
	}
	return e, nil
}

// size returns the bytes of one of the field's values; 0 for a type unknown.
func (e tiffEntry) size() int64 {
	switch e.kind {
	case 1, 2, 6, 7:
		return 1
	case 3, 8:
		return 2
	case 4, 9, 11, 13:
		return 4
	case 5, 10, 12:
		return 8
	}
	return 0
}

// value returns the field's i-th value, which must be an unsigned integer.
func (w *tiffWalk) value(e tiffEntry, i int64) (int64, error) {
	if i >= e.count {
		return 0, spine.Faultf(spine.Corrupt, "TIFF field %d has too few values", e.tag)
	}
	switch at := e.at + i*e.size(); e.kind {
	case 1:
		b, err := w.s.bytes(at, 1)
		if err != nil {
			return 0, err
		}
		return int64(b[0]), nil
	case 3:
		v, err := w.s.uint16(at, w.order)
		return int64(v), err
	case 4:
		v, err := w.s.uint32(at, w.order)
		return int64(v), err
	}
	return 0, spine.Faultf(spine.Corrupt, "TIFF field %d is no integer", e.tag)
}

// inside makes sure that all strips or tiles lie inside the file. Offsets and
// counts are read in two passes, so that each goes through the window in order.
func (w *tiffWalk) inside(offsets, counts tiffEntry) error {
	if offsets.count != counts.count {
		return spine.Faultf(spine.Corrupt, "a TIFF with %d strips and %d lengths", offsets.count, counts.count)
	}
	if w.blocks += offsets.count; w.blocks > maxBlocks {
		return spine.Faultf(spine.Corrupt, "a TIFF of more than %d strips", maxBlocks)
	}
	ends := make([]int64, 0, min(offsets.count, 4096))
	for i := range offsets.count {
		v, err := w.value(offsets, i)
		if err != nil {
			return err
		}
		ends = append(ends, v)
	}
	for i := range counts.count {
		v, err := w.value(counts, i)
		if err != nil {
			return err
		}
		if ends[i]+v > w.s.size {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}
