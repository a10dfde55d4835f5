package xray

import (
	"encoding/binary"
	"io"

	"spinebox/internal/spine"
)

// wholePNG returns nil when the PNG's chunks lead to its IEND chunk.
func wholePNG(s *source) error {
	_, err := outlinePNG(s)
	return err
}

// outlinePNG is wholePNG and returns the EXIF that a camera or a scanner's
// program has left in the file; nil without.
func outlinePNG(s *source) (exif *io.SectionReader, err error) {
	off := int64(8)
	for range maxSegments {
		b, err := s.bytes(off, 8)
		if err != nil {
			return nil, err
		}
		length, name := int64(binary.BigEndian.Uint32(b)), string(b[4:8])
		for _, c := range b[4:8] {
			if c|0x20 < 'a' || c|0x20 > 'z' {
				return nil, spine.Faultf(spine.Corrupt, "a PNG chunk without a name")
			}
		}
		off += 8 + length + 4 // header, data, check sum
		if off > s.size {
			return nil, io.ErrUnexpectedEOF
		}
		switch name {
		case "eXIf":
			exif = io.NewSectionReader(s.r, off-length-4, length)
		case "IEND":
			return exif, nil
		}
	}
	return nil, spine.Faultf(spine.Corrupt, "a PNG of more than %d chunks", maxSegments)
}
