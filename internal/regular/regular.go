// Package regular reads files that somebody names in a configuration or on a
// command line, and nothing that is no file.
package regular

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxSmall is far more than any file that Read is for: a configuration, a board
// file, a password, a certificate.
const maxSmall = 1 << 20 // bytes

// Open opens a regular file to read. Anything else is refused at once: a FIFO
// would keep the program waiting for its writer, a device has no end.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file; give one", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read returns the content of a regular file of at most 1 MiB.
func Read(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(content) > maxSmall {
		err = fmt.Errorf("%s is larger than 1 MiB; this cannot be the right file", path)
	}
	return content, err
}
