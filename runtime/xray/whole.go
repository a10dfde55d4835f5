package xray

import (
	"bytes"
	"fmt"
	"io"
)

// Whole reports whether the size bytes of f are a complete file, for files on
// a share that somebody may still be writing.
//
//   - JPEG: to the end-of-image marker; bytes after it do no harm.
//   - PNG: to the IEND chunk.
//   - TIFF: all directories, their values, and all strips and tiles.
//   - DICOM: to the end of the pixel data. A data set that ends without any is
//     not whole: nobody can tell whether more is to come.
//   - Anything else: whole, for there is nothing to wait for. Decode refuses it.
//     Less than 132 bytes of what nobody knows are not whole, nor is a file that
//     begins with 132 zeros, as one does whose length was reserved before its
//     content came: they may become anything.
//
// It reads headers and skips what lies between, and of a JPEG that has no
// marker at its very end all bytes once. A file whose structure makes no sense
// is not whole either. The error is that of reading, never one about content.
//
// A writer that reserves a file's full length before it fills it may be taken
// for finished in TIFF and DICOM, whose pixels have no end mark: that the file
// has stopped changing must be known as well.
func Whole(f io.ReaderAt, size int64) (whole bool, err error) {
	defer func() {
		if recover() != nil {
			whole, err = false, nil
		}
	}()
	s := newSource(f, size)
	is, err := sniff(s)
	if err == nil {
		switch is {
		case formatUnknown:
			head, err := s.bytes(0, int(min(size, headBytes)))
			return err == nil && size >= headBytes && len(bytes.Trim(head, "\x00")) > 0, nil
		case formatJPEG:
			err = wholeJPEG(s)
		case formatPNG:
			err = wholePNG(s)
		case formatTIFF:
			_, err = outlineTIFF(s)
		case formatDICOM:
			err = wholeDICOM(s)
		}
	}
	if s.r.failed != nil {
		return false, fmt.Errorf("look whether the file is whole: %w", s.r.failed)
	}
	return err == nil, nil
}
