package xray

import (
	"slices"

	"spinebox/internal/spine"
)

func (d Decoder) decodeDICOM(s *source) (*Grey, error) {
	t, off, err := openDICOM(s)
	if err != nil {
		return nil, err
	}
	if t.packed {
		if s, err = inflate(s, off); err != nil {
			return nil, err
		}
		off = 0
	}
	ds, err := readDataset(s, off, t.coding)
	if err != nil {
		return nil, err
	}
	l, err := ds.readLayout()
	if err != nil {
		return nil, err
	}
	if t.codec == unreadable {
		return nil, spine.Faultf(spine.Unsupported, "a DICOM picture in %s", t.name)
	}
	if err := l.checkColours(t.codec != native); err != nil {
		return nil, err
	}
	facts, err := ds.facts()
	if err != nil {
		return nil, err
	}
	g, err := d.dicomGrey(s, ds, t, l)
	if err != nil {
		return nil, err
	}
	facts.Hues, facts.Bits = g.Facts.Hues, g.Facts.Bits
	g.Facts = facts
	return g, nil
}

// dicomGrey reads the picture; of its facts only Hues and Bits.
func (d Decoder) dicomGrey(s *source, ds dataset, t transferSyntax, l layout) (*Grey, error) {
	if t.codec != native {
		b, err := d.coded(s, t, l)
		if err != nil {
			return nil, err
		}
		if t.codec == jpeg8 {
			if g, err := d.jpegGrey(ds, b, l); g != nil || err != nil {
				return g, err
			}
		}
		if l, err = d.unpack(b, t, l); err != nil {
			return nil, err
		}
	} else if err := d.Limits.check(l.width, l.height, s.size, 1); err != nil {
		return nil, err
	}
	if err := l.complete(); err != nil {
		return nil, err
	}
	g := &Grey{Width: l.width, Height: l.height}
	g.Facts.Bits = l.bits // those of the codestream, where it has its own
	var err error
	if l.samples == 3 {
		g.Values = make([]float32, l.width*l.height)
		g.Facts.Hues, err = l.colours(s.r, g.Values)
		return g, err
	}
	if g.Codes16, err = l.codes(s.r); err != nil {
		return nil, err
	}
	if l.photometric == "PALETTE COLOR" {
		return g, ds.palette(g, l)
	}
	scale, err := ds.greyScale(l)
	if err != nil {
		return nil, err
	}
	g.Table = scale.table(g.Codes16)
	return g, nil
}

// jpegGrey reads a picture in JPEG of 8 bits; nil for one of another kind, which
// is the converter's.
func (d Decoder) jpegGrey(ds dataset, b []byte, l layout) (*Grey, error) {
	img, err := jpegFrame(b, l)
	if img == nil || err != nil {
		return nil, err
	}
	g := fromImage(img, upright)
	if l.samples == 3 {
		return g, nil
	}
	scale, err := ds.greyScale(l)
	if err != nil {
		return nil, err
	}
	codes := make([]uint16, len(g.Codes8))
	for i, code := range g.Codes8 {
		codes[i] = uint16(code)
	}
	g.Codes8, g.Codes16, g.Table = nil, codes, scale.table(codes)
	return g, nil
}

// checkColours refuses the photometric interpretations (PS3.3 C.7.6.3.1.2) that
// grey does not read.
func (l layout) checkColours(compressed bool) error {
	samples := 3
	switch l.photometric {
	case "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR":
		samples = 1
	case "RGB", "YBR_FULL":
	case "YBR_FULL_422":
		if !compressed && (l.bytes != 1 || l.width%2 != 0 || l.planes) {
			return spine.Faultf(spine.Unsupported, "a DICOM picture in YBR_FULL_422 of odd shape")
		}
	case "YBR_ICT", "YBR_RCT":
		if !compressed {
			return spine.Faultf(spine.Unsupported, "a DICOM picture in %s without the compression that it belongs to", l.photometric)
		}
	case "":
		return spine.Faultf(spine.Corrupt, "a DICOM picture that does not say what its values mean")
	case "YBR_PARTIAL_420", "YBR_PARTIAL_422", "XYB", "HSV", "ARGB", "CMYK":
		return spine.Faultf(spine.Unsupported, "a DICOM picture in %s", l.photometric)
	default:
		return spine.Faultf(spine.Unsupported, "a DICOM picture in colours that the standard does not know")
	}
	if l.samples != samples {
		return spine.Faultf(spine.Corrupt, "a DICOM picture in %s with %d samples per pixel", l.photometric, l.samples)
	}
	if l.signed && (samples == 3 || l.photometric == "PALETTE COLOR") {
		return spine.Faultf(spine.Unsupported, "a DICOM picture with signed colours")
	}
	return nil
}

// facts reads what is worth knowing beside the pixels. Each value is one of a
// list: whatever else stands in the file stays there.
func (d dataset) facts() (f spine.Facts, err error) {
	for _, fact := range []struct {
		tag  uint32
		into *string
		list []string
	}{
		{tagModality, &f.Modality, modalities()}, {tagBodyPart, &f.BodyPart, bodyParts()},
		{tagView, &f.View, views()}, {tagDetectorType, &f.Detector, detectors()},
		{tagLaterality, &f.Laterality, lateralities()}, {tagImageLaterality, &f.Laterality, lateralities()},
	} {
		code, err := d.code(fact.tag)
		if err != nil {
			return f, err
		}
		if slices.Contains(fact.list, code) {
			*fact.into = code
		}
	}
	name, err := d.text(tagManufacturer)
	if err != nil {
		return f, err
	}
	f.Manufacturer = manufacturer(name)
	uid, err := d.text(tagSOPInstance)
	if isUID(uid) {
		f.SOPInstanceUID = uid
	}
	return f, err
}
