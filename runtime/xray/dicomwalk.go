package xray

import (
	"encoding/binary"
	"io"

	"spinebox/internal/spine"
)

// This file walks the elements of a DICOM file (PS3.5 section 7) without
// reading their values: only headers are looked at, each declared length is
// held against what is left of the file, and nothing is allocated by what the
// file claims.

// Item tags, which have no VR in any coding.
const (
	tagItem              = 0xfffe_e000
	tagItemEnd           = 0xfffe_e00d
	tagSequenceEnd       = 0xfffe_e0dd
	undefined      int64 = -1 // length: up to a delimiter
)

// maxDepth bounds nested sequences; real files stay below ten.
const maxDepth = 32

// coding is how the elements of a data set are written.
type coding struct {
	order    binary.ByteOrder
	implicit bool // without a VR
}

func implicitLittle() coding { return coding{binary.LittleEndian, true} }
func explicitLittle() coding { return coding{binary.LittleEndian, false} }

// element is one data element. Its value has length bytes (or undefined) at
// offset at.
type element struct {
	tag    uint32
	vr     string // "" when implicit
	at     int64
	length int64
	coding coding // of what is nested in it
}

// dicomElement reads the header of the element at off and makes sure that its
// value lies inside the file.
func dicomElement(s *source, off int64, c coding) (element, error) {
	b, err := s.bytes(off, 8)
	if err != nil {
		return element{}, err
	}
	e := element{
		tag:    uint32(c.order.Uint16(b))<<16 | uint32(c.order.Uint16(b[2:])),
		at:     off + 8,
		length: int64(c.order.Uint32(b[4:])),
		coding: c,
	}
	// Some writers fall back to implicit elements within an explicit file.
	capitals := b[4] >= 'A' && b[4] <= 'Z' && b[5] >= 'A' && b[5] <= 'Z'
	if !c.implicit && capitals && e.tag>>16 != 0xfffe {
		e.vr = string(b[4:6])
		switch e.vr {
		case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT",
			"PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US":
			e.length = int64(c.order.Uint16(b[6:]))
		case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
			length, err := s.uint32(off+8, c.order)
			if err != nil {
				return e, err
			}
			e.at, e.length = off+12, int64(length)
		default: // how long its length is, nobody can know
			return e, spine.Faultf(spine.Corrupt, "a DICOM element of unknown type at byte %d", off)
		}
	}
	if e.length == 0xffff_ffff {
		e.length = undefined
	}
	if e.vr == "UN" { // whoever wrote it had it from an implicit file (PS3.5 6.2.2)
		e.coding = implicitLittle()
	}
	if e.length > s.size-e.at {
		return e, io.ErrUnexpectedEOF
	}
	return e, nil
}

// dicomSkip returns the offset after the element's value.
func dicomSkip(s *source, e element, depth int) (int64, error) {
	if e.length != undefined {
		return e.at + e.length, nil
	}
	if depth > maxDepth {
		return 0, spine.Faultf(spine.Corrupt, "DICOM sequences nested deeper than %d", maxDepth)
	}
	// Items up to the delimiter: data sets, or fragments of a compressed
	// picture.
	for off := e.at; ; {
		item, err := dicomElement(s, off, e.coding)
		if err != nil {
			return 0, err
		}
		switch {
		case item.tag == tagSequenceEnd:
			return item.at, nil
		case item.tag != tagItem:
			return 0, spine.Faultf(spine.Corrupt, "a DICOM sequence without an item at byte %d", off)
		case item.length != undefined:
			off = item.at + item.length
			continue
		}
		for off = item.at; ; {
			inner, err := dicomElement(s, off, e.coding)
			if err != nil {
				return 0, err
			}
			if inner.tag == tagItemEnd {
				off = inner.at
				break
			}
			if off, err = dicomSkip(s, inner, depth+1); err != nil {
				return 0, err
			}
		}
	}
}

// firstItem returns the elements of interest in the sequence's first item; none
// when it has no item.
func firstItem(s *source, e element, wanted func(tag uint32) bool) (map[uint32]element, error) {
	if e.length == 0 {
		return nil, nil
	}
	item, err := dicomElement(s, e.at, e.coding)
	if err != nil {
		return nil, err
	}
	if item.tag != tagItem {
		return nil, nil
	}
	end := item.at + item.length
	if item.length == undefined {
		end = s.size
	}
	found := map[uint32]element{}
	for off := item.at; off < end; {
		inner, err := dicomElement(s, off, e.coding)
		if err != nil {
			return nil, err
		}
		if inner.tag == tagItemEnd {
			break
		}
		if wanted(inner.tag) {
			found[inner.tag] = inner
		}
		if off, err = dicomSkip(s, inner, 1); err != nil {
			return nil, err
		}
	}
	return found, nil
}
