package xray

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"
	"strings"

	"spinebox/internal/spine"
)

// Tags of what a picture needs (PS3.6).
const (
	tagTransferSyntax    = 0x0002_0010
	tagSOPInstance       = 0x0008_0018
	tagModality          = 0x0008_0060
	tagManufacturer      = 0x0008_0070
	tagBodyPart          = 0x0018_0015
	tagView              = 0x0018_5101
	tagDetectorType      = 0x0018_7004
	tagLaterality        = 0x0020_0060
	tagImageLaterality   = 0x0020_0062
	tagSamples           = 0x0028_0002
	tagPhotometric       = 0x0028_0004
	tagPlanarOrder       = 0x0028_0006
	tagFrames            = 0x0028_0008
	tagRows              = 0x0028_0010
	tagColumns           = 0x0028_0011
	tagBitsAllocated     = 0x0028_0100
	tagBitsStored        = 0x0028_0101
	tagHighBit           = 0x0028_0102
	tagSigned            = 0x0028_0103
	tagPadding           = 0x0028_0120
	tagPaddingLimit      = 0x0028_0121
	tagWindowCentre      = 0x0028_1050
	tagWindowWidth       = 0x0028_1051
	tagWindowFunction    = 0x0028_1056
	tagIntercept         = 0x0028_1052
	tagSlope             = 0x0028_1053
	tagRedDescriptor     = 0x0028_1101
	tagGreenDescriptor   = 0x0028_1102
	tagBlueDescriptor    = 0x0028_1103
	tagRedData           = 0x0028_1201
	tagGreenData         = 0x0028_1202
	tagBlueData          = 0x0028_1203
	tagSegmentedRed      = 0x0028_1221
	tagModalityLUT       = 0x0028_3000
	tagLUTDescriptor     = 0x0028_3002
	tagLUTData           = 0x0028_3006
	tagVOILUT            = 0x0028_3010
	tagFloatPixels       = 0x7fe0_0008
	tagDoubleFloatPixels = 0x7fe0_0009
	tagPixels            = 0x7fe0_0010
)

func wantedOfDataset(tag uint32) bool {
	switch tag {
	case tagSOPInstance, tagModality, tagManufacturer, tagBodyPart, tagView, tagDetectorType, tagLaterality, tagImageLaterality,
		tagSamples, tagPhotometric, tagPlanarOrder, tagFrames, tagRows, tagColumns,
		tagBitsAllocated, tagBitsStored, tagHighBit, tagSigned, tagPadding, tagPaddingLimit,
		tagWindowCentre, tagWindowWidth, tagWindowFunction, tagIntercept, tagSlope,
		tagRedDescriptor, tagGreenDescriptor, tagBlueDescriptor, tagRedData, tagGreenData, tagBlueData, tagSegmentedRed,
		tagModalityLUT, tagVOILUT, tagFloatPixels, tagDoubleFloatPixels, tagPixels:
		return true
	}
	return false
}

// dataset is the elements of interest of a DICOM file, not yet read.
type dataset struct {
	s        *source
	elements map[uint32]element
	empty    bool // not even elements of no interest
}

// isUID reports whether text is a UID by its characters (PS3.5 section 9.1). A
// loop, here and in isCode: compiling patterns would be the greater part of a
// confined process's start.
func isUID(text string) bool {
	return text != "" && len(text) <= 64 && strings.Trim(text, "0123456789.") == ""
}

// isCode reports whether text is a code string by its characters (VR CS).
func isCode(text string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ "
	return text != "" && len(text) <= 16 && strings.Trim(text, allowed) == ""
}

// openDICOM reads the file's meta information (PS3.10 section 7.1) and returns
// the transfer syntax and where the data set begins.
func openDICOM(s *source) (t transferSyntax, off int64, err error) {
	meta := dataset{s: s, elements: map[uint32]element{}}
	for off = 132; ; {
		group, err := s.uint16(off, binary.LittleEndian)
		if err != nil {
			return t, 0, err
		}
		if group != 0x0002 { // the group's own length is often wrong
			break
		}
		e, err := dicomElement(s, off, explicitLittle())
		if err != nil {
			return t, 0, err
		}
		if e.tag == tagTransferSyntax {
			meta.elements[e.tag] = e
		}
		if off, err = dicomSkip(s, e, 0); err != nil {
			return t, 0, err
		}
	}
	uid, err := meta.text(tagTransferSyntax)
	if err != nil {
		return t, 0, err
	}
	if !isUID(uid) {
		return t, 0, spine.Faultf(spine.Corrupt, "a DICOM file that does not name its transfer syntax")
	}
	return syntaxOf(uid), off, nil
}

// readDataset walks the data set at off up to its pixels.
func readDataset(s *source, off int64, c coding) (dataset, error) {
	d := dataset{s: s, elements: map[uint32]element{}, empty: off >= s.size}
	for off < s.size {
		e, err := dicomElement(s, off, c)
		if err != nil {
			return d, err
		}
		if wantedOfDataset(e.tag) {
			d.elements[e.tag] = e
		}
		if e.tag == tagPixels {
			return d, nil
		}
		if off, err = dicomSkip(s, e, 0); err != nil {
			return d, err
		}
	}
	return d, nil
}

// wholeDICOM returns nil when the file reaches to the end of its pixel data.
func wholeDICOM(s *source) error {
	t, off, err := openDICOM(s)
	if err != nil {
		return err
	}
	if t.packed { // where its pixels end shows only when unpacked
		_, err := inflatedSize(s, off)
		return err
	}
	d, err := readDataset(s, off, t.coding)
	if err != nil {
		return err
	}
	pixels, ok := d.elements[tagPixels]
	if !ok {
		return io.ErrUnexpectedEOF
	}
	_, err = dicomSkip(s, pixels, 0)
	return err
}

// text returns the value of a text element without its padding; "" when it is
// missing or unreasonably long.
func (d dataset) text(tag uint32) (string, error) {
	e, ok := d.elements[tag]
	if !ok || e.length == undefined || e.length > 1024 {
		return "", nil
	}
	b, err := d.s.bytes(e.at, int(e.length))
	return strings.Trim(string(b), " \x00"), err
}

// code returns the value of a code string (VR CS); "" when it is missing or is
// no code string. It may be anything that looks like a code: what leaves this
// package goes through a list.
func (d dataset) code(tag uint32) (string, error) {
	v, err := d.text(tag)
	if err != nil || !isCode(v) {
		return "", err
	}
	return v, nil
}

// number returns the first value of an unsigned short (VR US).
func (d dataset) number(tag uint32) (v int, ok bool, err error) {
	e, ok := d.elements[tag]
	if !ok || e.length < 2 {
		return 0, false, nil
	}
	u, err := d.s.uint16(e.at, e.coding.order)
	return int(u), err == nil, err
}

// decimal returns the first value of a decimal or integer string (VR DS, IS).
func (d dataset) decimal(tag uint32) (v float64, ok bool, err error) {
	text, err := d.text(tag)
	if err != nil {
		return 0, false, err
	}
	text, _, _ = strings.Cut(text, `\`)
	if text = strings.Trim(text, " \x00"); text == "" {
		return 0, false, nil
	}
	v, err = strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false, spine.Faultf(spine.Corrupt, "DICOM element (%04x,%04x) is no number", tag>>16, tag&0xffff)
	}
	return v, true, nil
}
