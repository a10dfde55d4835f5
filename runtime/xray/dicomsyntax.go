package xray

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"spinebox/internal/spine"
)

// codec is how a transfer syntax compresses pixels.
type codec int

const (
	native     codec = iota
	rle              // PS3.5 annex G; read here
	jpeg8            // JPEG of 8 bits: image/jpeg; of 12 bits: the converter
	convert          // the converter
	unreadable       // by nobody here
)

// transferSyntax is how a file's data set is written.
type transferSyntax struct {
	uid    string
	coding coding
	codec  codec
	packed bool   // the whole data set is deflated
	name   string // in plain words, of what compresses
}

// syntaxOf returns the syntax for a UID (PS3.6 annex A.4). What it says of one
// that it does not know holds none of the UID, which may be anything.
func syntaxOf(uid string) transferSyntax {
	explicit := func(c codec, name string) transferSyntax {
		return transferSyntax{uid: uid, coding: explicitLittle(), codec: c, name: name}
	}
	switch uid {
	case "1.2.840.10008.1.2":
		return transferSyntax{uid: uid, coding: implicitLittle()}
	case "1.2.840.10008.1.2.1":
		return explicit(native, "")
	case "1.2.840.10008.1.2.2":
		return transferSyntax{uid: uid, coding: coding{order: binary.BigEndian}}
	case "1.2.840.10008.1.2.1.99":
		t := explicit(native, "")
		t.packed = true
		return t
	case "1.2.840.10008.1.2.5":
		return explicit(rle, "RLE Lossless")
	case "1.2.840.10008.1.2.4.50":
		return explicit(jpeg8, "JPEG Baseline")
	case "1.2.840.10008.1.2.4.51":
		return explicit(jpeg8, "JPEG Extended")
	case "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70":
		return explicit(convert, "JPEG Lossless")
	case "1.2.840.10008.1.2.4.80":
		return explicit(convert, "JPEG-LS Lossless")
	case "1.2.840.10008.1.2.4.81":
		return explicit(convert, "JPEG-LS Near-Lossless")
	case "1.2.840.10008.1.2.4.90":
		return explicit(convert, "JPEG 2000 Lossless")
	case "1.2.840.10008.1.2.4.91":
		return explicit(convert, "JPEG 2000")
	case "1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93":
		return explicit(unreadable, "JPEG 2000 for several components")
	case "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203":
		return explicit(unreadable, "High-Throughput JPEG 2000")
	case "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112":
		return explicit(unreadable, "JPEG XL")
	case "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.103",
		"1.2.840.10008.1.2.4.104", "1.2.840.10008.1.2.4.105", "1.2.840.10008.1.2.4.106":
		return explicit(unreadable, "MPEG video")
	}
	return explicit(unreadable, "a transfer syntax that the box does not know")
}

// maxInflated bounds a deflated data set, in bytes: 40 megapixels of 16 bits
// and as much again.
const maxInflated = 160 << 20

// inflate returns the data set that lies deflated from off on. It is unpacked
// twice, first only to learn its size: a bomb costs time, and no memory.
func inflate(s *source, off int64) (*source, error) {
	size, err := inflatedSize(s, off)
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(flate.NewReader(io.NewSectionReader(s.r, off, s.size-off)), b); err != nil {
		return nil, err
	}
	return newSource(bytes.NewReader(b), size), nil
}

func inflatedSize(s *source, off int64) (int64, error) {
	n, err := io.Copy(io.Discard, io.LimitReader(flate.NewReader(io.NewSectionReader(s.r, off, s.size-off)), maxInflated+1))
	switch {
	case n > maxInflated:
		return 0, spine.Faultf(spine.Unsupported, "a deflated DICOM file of more than %d MB when it is unpacked", maxInflated>>20)
	case err != nil && s.r.failed == nil:
		if _, damaged := errors.AsType[flate.CorruptInputError](err); damaged {
			return 0, spine.Faultf(spine.Corrupt, "a deflated DICOM file that cannot be unpacked")
		}
	}
	return n, err
}
