package phantom

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"strconv"
)

// The storage classes that a phantom is filed under, and how its bytes are laid
// out (DICOM PS3.4 annex B.5 and PS3.5 annex A.2).
const (
	digitalXRay        = "1.2.840.10008.5.1.4.1.1.1.1"
	computedRadiograph = "1.2.840.10008.5.1.4.1.1.1"
	explicitLittle     = "1.2.840.10008.1.2.1"
)

// element is one attribute of a data set in explicit VR little endian.
type element struct {
	group, number uint16
	vr            string
	value         []byte
}

func text(group, number uint16, vr, value string) element {
	pad := byte(' ')
	if vr == "UI" {
		pad = 0
	}
	b := []byte(value)
	if len(b)%2 == 1 {
		b = append(b, pad)
	}
	return element{group, number, vr, b}
}

func short(group, number uint16, value int) element {
	return element{group, number, "US", binary.LittleEndian.AppendUint16(nil, uint16(value))}
}

func (e element) appendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, e.group)
	b = binary.LittleEndian.AppendUint16(b, e.number)
	b = append(b, e.vr...)
	if e.vr == "OB" || e.vr == "OW" {
		b = append(b, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e.value)))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(e.value)))
	}
	return append(b, e.value...)
}

func encodeElements(all []element) []byte {
	var b []byte
	for _, e := range all {
		b = e.appendTo(b)
	}
	return b
}

// uid makes a unique identifier under 2.25 (PS3.5 annex B.2), the same for the
// same phantom and role. An instance's role names its pixels, since one
// identifier for two pictures is what the box reports as a conflict.
func (p *Phantom) uid(role string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "spinebox phantom uid %d %d %s", p.Truth.Seed, p.Truth.Index, role))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // an RFC 9562 identifier of version 8
	return "2.25." + new(big.Int).SetBytes(id).String()
}

// encodeDICOM writes a DICOM file: by hand rather than with a library, so that
// the library that reads them in tests is a second opinion.
func (p *Phantom) encodeDICOM(w io.Writer, inverted bool) error {
	class := digitalXRay
	if p.computed {
		class = computedRadiograph
	}
	pixels := p.stored(p.bits, inverted)
	instance := p.uid(fmt.Sprintf("instance %x", sha256.Sum256(pixels)))
	meta := encodeElements([]element{
		{2, 0x0001, "OB", []byte{0, 1}},
		text(2, 0x0002, "UI", class),
		text(2, 0x0003, "UI", instance),
		text(2, 0x0010, "UI", explicitLittle),
		text(2, 0x0012, "UI", "2.25.313160361410834116349374803398112087841"),
		text(2, 0x0013, "SH", "SPINEBOX-PHANTOM"),
	})
	var head bytes.Buffer
	head.Write(make([]byte, 128))
	head.WriteString("DICM")
	head.Write(element{2, 0, "UL", binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))}.appendTo(nil))
	return writeAll(w, head.Bytes(), meta, encodeElements(p.dataset(class, instance, pixels, inverted)))
}

// dataset lists the attributes in ascending order of their tags, as the
// standard wants them.
func (p *Phantom) dataset(class, instance string, pixels []byte, inverted bool) []element {
	modality, photometric, lut := "DX", "MONOCHROME2", "IDENTITY"
	if p.computed {
		modality = "CR"
	}
	if inverted {
		photometric, lut = "MONOCHROME1", "INVERSE"
	}
	view, orientation := "AP", `L\F`
	if p.Truth.View == Lateral {
		view, orientation = "LL", `P\F`
		if p.Truth.FacesRight {
			view, orientation = "RL", `A\F`
		}
	}
	spacing := strconv.FormatFloat(p.Truth.MMPerPixel, 'f', 5, 64)
	window := 1 << p.bits
	return []element{
		text(0x0008, 0x0005, "CS", "ISO_IR 192"),
		text(0x0008, 0x0008, "CS", `ORIGINAL\PRIMARY`),
		text(0x0008, 0x0016, "UI", class),
		text(0x0008, 0x0018, "UI", instance),
		text(0x0008, 0x0020, "DA", ""),
		text(0x0008, 0x0030, "TM", ""),
		text(0x0008, 0x0050, "SH", ""),
		text(0x0008, 0x0060, "CS", modality),
		text(0x0008, 0x0068, "CS", "FOR PRESENTATION"),
		text(0x0008, 0x0070, "LO", "spinebox phantom"),
		text(0x0008, 0x0090, "PN", ""),
		text(0x0010, 0x0010, "PN", "PHANTOM"),
		text(0x0010, 0x0020, "LO", fmt.Sprintf("PHANTOM-%d-%d", p.Truth.Seed, p.Truth.Index)),
		text(0x0010, 0x0030, "DA", ""),
		text(0x0010, 0x0040, "CS", ""),
		text(0x0018, 0x0015, "CS", "SPINE"),
		text(0x0018, 0x1164, "DS", spacing+`\`+spacing),
		text(0x0018, 0x5101, "CS", view),
		text(0x0020, 0x000d, "UI", p.uid("study")),
		text(0x0020, 0x000e, "UI", p.uid("series")),
		text(0x0020, 0x0010, "SH", ""),
		text(0x0020, 0x0011, "IS", "1"),
		text(0x0020, 0x0013, "IS", strconv.Itoa(p.Truth.Index+1)),
		text(0x0020, 0x0020, "CS", orientation),
		text(0x0020, 0x0062, "CS", "U"),
		text(0x0020, 0x4000, "LT", notice),
		short(0x0028, 0x0002, 1),
		text(0x0028, 0x0004, "CS", photometric),
		short(0x0028, 0x0010, p.Picture.Height),
		short(0x0028, 0x0011, p.Picture.Width),
		short(0x0028, 0x0100, 16),
		short(0x0028, 0x0101, p.bits),
		short(0x0028, 0x0102, p.bits-1),
		short(0x0028, 0x0103, 0),
		text(0x0028, 0x0300, "CS", "YES"), // a quality control or phantom image
		text(0x0028, 0x0301, "CS", "NO"),
		text(0x0028, 0x1050, "DS", strconv.Itoa(window/2)),
		text(0x0028, 0x1051, "DS", strconv.Itoa(window)),
		text(0x0028, 0x1052, "DS", "0"),
		text(0x0028, 0x1053, "DS", "1"),
		text(0x0028, 0x1054, "LO", "US"),
		text(0x2050, 0x0020, "CS", lut),
		{0x7fe0, 0x0010, "OW", pixels},
	}
}
