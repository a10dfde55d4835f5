package xray

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// source reads a file in small pieces, through a window that is filled ahead,
// so that walking a file's headers costs neither a call for each of them nor
// the reading of what lies between.
type source struct {
	r    *device
	size int64

	buf   []byte
	start int64 // offset of buf in the file
}

// device notes that reading itself failed, so that a share that went away is
// not mistaken for a damaged file, whatever a decoder makes of the error.
type device struct {
	io.ReaderAt
	failed error
}

func (d *device) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF {
		d.failed = err
	}
	return n, err
}

// windowBytes is at least what any caller of bytes asks for at once.
const windowBytes = 16 << 10

func newSource(r io.ReaderAt, size int64) *source {
	return &source{r: &device{ReaderAt: r}, size: size}
}

// section returns a reader of its own over the whole file.
func (s *source) section() *io.SectionReader { return io.NewSectionReader(s.r, 0, s.size) }

// bytes returns n bytes at off, at most windowBytes. They are valid until the
// next call. When the file ends before, the error is io.ErrUnexpectedEOF.
func (s *source) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || off > s.size || int64(n) > s.size-off {
		return nil, io.ErrUnexpectedEOF
	}
	if from := off - s.start; from >= 0 && from+int64(n) <= int64(len(s.buf)) {
		return s.buf[from : from+int64(n)], nil
	}
	if s.buf == nil {
		s.buf = make([]byte, windowBytes)
	}
	s.buf = s.buf[:min(int64(cap(s.buf)), s.size-off)]
	s.start = off
	got, err := s.r.ReadAt(s.buf, off)
	s.buf = s.buf[:got]
	if got < n {
		if err == io.EOF { // the file shrank
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read: %w", err)
	}
	return s.buf[:n], nil
}

// ahead returns what the window holds from off on, at least one byte.
func (s *source) ahead(off int64) ([]byte, error) {
	if _, err := s.bytes(off, 1); err != nil {
		return nil, err
	}
	return s.buf[off-s.start:], nil
}

func (s *source) uint16(off int64, order binary.ByteOrder) (uint16, error) {
	b, err := s.bytes(off, 2)
	if err != nil {
		return 0, err
	}
	return order.Uint16(b), nil
}

func (s *source) uint32(off int64, order binary.ByteOrder) (uint32, error) {
	b, err := s.bytes(off, 4)
	if err != nil {
		return 0, err
	}
	return order.Uint32(b), nil
}

// format is what a file is by its content: one of the constants, or in plain
// words what else it is known to be.
type format string

const (
	formatJPEG    format = "jpeg"
	formatPNG     format = "png"
	formatTIFF    format = "tiff"
	formatDICOM   format = "dicom"
	formatText    format = "text"
	formatPDF     format = "PDF"
	formatZIP     format = "ZIP"
	formatGzip    format = "gzip"
	formatUnknown format = ""
)

// foreign reports whether no X-ray comes in the format, so that nobody waits for
// an answer. Pictures that the box does not read are not foreign.
func (f format) foreign() bool {
	switch f {
	case formatText, formatPDF, formatZIP, formatGzip:
		return true
	}
	return false
}

// signature is where and how a format shows itself.
type signature struct {
	at    int64
	magic string
	is    format
}

// signatures lists what sniff knows. DICOM comes first: its preamble may
// itself look like a TIFF. Those after DICOM, JPEG, PNG and TIFF are there only
// to be refused under their own name.
func signatures() []signature {
	return []signature{
		{128, "DICM", formatDICOM},
		{0, "\xff\xd8\xff", formatJPEG},
		{0, "\x89PNG\r\n\x1a\n", formatPNG},
		{0, "II*\x00", formatTIFF},
		{0, "MM\x00*", formatTIFF},
		{0, "II+\x00", "BigTIFF"},
		{0, "MM\x00+", "BigTIFF"},
		{0, "\x00\x00\x00\x0cjP  ", "JPEG 2000"},
		{0, "\xff\x4f\xff\x51", "JPEG 2000"},
		{0, "\x00\x00\x00\x0cJXL ", "JPEG XL"},
		{4, "ftyp", "HEIF, AVIF or video"},
		{8, "WEBP", "WebP"},
		{0, "GIF8", "GIF"},
		{0, "%PDF-", formatPDF},
		{0, "PK\x03\x04", formatZIP},
		{0, "\x1f\x8b", formatGzip},
	}
}

// headBytes is how much of a file sniff looks at.
const headBytes = 132

func sniff(s *source) (format, error) {
	head, err := s.bytes(0, int(min(s.size, headBytes)))
	if err != nil {
		return formatUnknown, err
	}
	for _, g := range signatures() {
		if g.at <= int64(len(head)) && bytes.HasPrefix(head[g.at:], []byte(g.magic)) {
			return g.is, nil
		}
	}
	if isText(head) {
		return formatText, nil
	}
	return formatUnknown, nil
}

// isText reports whether a file that begins so is a text: in UTF-8 or mostly in
// ASCII, and of the control characters only those that a text has. Every
// picture's and every data set's begin has others within eight bytes; of fewer
// nobody can tell.
func isText(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true // UTF-16's byte order mark, which no picture begins with
	}
	ascii := 0
	for _, b := range head {
		if b < ' ' && !strings.ContainsRune("\t\n\r\f", rune(b)) || b == 0x7f {
			return false
		}
		if b < 0x7f {
			ascii++
		}
	}
	if 4*ascii >= 3*len(head) {
		return true
	}
	whole := head
	for cut := 1; cut < utf8.UTFMax && !utf8.Valid(whole); cut++ { // the last letter may be cut
		whole = head[:len(head)-cut]
	}
	return utf8.Valid(whole)
}
