// Package hdf5 reads the little of HDF5 that Keras' legacy weight files use:
// superblock version 0, groups of the old style (symbol tables), attributes
// that are lists of strings, and datasets of little-endian float32 that are
// contiguous or in chunks without a filter. Whatever else a file holds
// is refused by name when it is asked for, and nothing else is looked at.
//
// The format is the HDF Group's "HDF5 File Format Specification", version 3.0;
// section numbers in the comments are its own. No address or length of a file
// is believed: every read lies inside it, and what is read in all is bounded,
// so that no file can make a reader run for ever or out of memory.
//
// Most callers need Open, then Object.Strings and Object.Floats.
package hdf5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// File is an open file. It is not safe for concurrent use.
type File struct {
	at     io.ReaderAt
	size   uint64
	budget int // bytes of structure that may still be read
	root   uint64
	heaps  map[uint64]map[uint64][]byte // global heaps by address, their objects by number
}

// Is reports whether a file that begins with these bytes is one of HDF5.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(signature)) }

const (
	signature = "\x89HDF\r\n\x1a\n"
	// undefined is the address of what is not there.
	undefined = ^uint64(0)
	// maxStructure bounds headers, trees, names and strings together. Keras'
	// files have less than 2 MB of them, and each is read a few times at most.
	maxStructure = 16 << 20
	// maxBlock bounds each block of them.
	maxBlock = 1 << 20
)

// errCut says that something lies beyond the file's end.
var errCut = errors.New("the file is cut short or damaged: it points beyond its own end")

// Open reads the superblock (section II.A).
func Open(at io.ReaderAt, size int64) (*File, error) {
	f := &File{at: at, size: uint64(max(size, 0)), budget: maxStructure, heaps: map[uint64]map[uint64][]byte{}}
	head, err := f.block(0, uint64(min(f.size, 96)))
	if err != nil {
		return nil, err
	}
	if !Is(head) {
		return nil, errors.New("it is no HDF5 file")
	}
	if len(head) < 96 {
		return nil, errCut
	}
	le := binary.LittleEndian
	if v := head[8]; v != 0 {
		return nil, fmt.Errorf("its superblock has version %d, and only 0 is read: it was written with newer settings than Keras' (libver)", v)
	}
	if head[13] != 8 || head[14] != 8 {
		return nil, fmt.Errorf("its addresses have %d bytes and its lengths %d, and only 8 and 8 are read", head[13], head[14])
	}
	if le.Uint64(head[24:]) != 0 || le.Uint64(head[48:]) != undefined {
		return nil, errors.New("it is one of a family of files or lies behind another header, which is not read")
	}
	if end := le.Uint64(head[40:]); end > f.size {
		return nil, fmt.Errorf("the file is cut short: it has %d bytes of %d", f.size, end)
	}
	f.root = le.Uint64(head[64:])
	return f, nil
}

// Root returns the root group.
func (f *File) Root() (*Object, error) { return f.object("", f.root) }

// block reads n bytes of structure.
func (f *File) block(address, n uint64) ([]byte, error) {
	if address > f.size || n > f.size-address {
		return nil, errCut
	}
	if n > maxBlock {
		return nil, fmt.Errorf("a block of %d bytes is longer than any that is read", n)
	}
	if err := f.spend(n); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := f.at.ReadAt(b, int64(address)); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return b, nil
}

// spend counts bytes that are read or copied: many names may be one long text,
// each time from another letter on.
func (f *File) spend(n uint64) error {
	if f.budget -= int(n); f.budget < 0 {
		return errors.New("its structure is larger than any that is read, or runs in circles")
	}
	return nil
}

// pointed returns what a reference of 16 bytes points at: length, address of a
// global heap, number of an object in it (section III.E).
func (f *File) pointed(reference []byte) ([]byte, error) {
	c := &cursor{rest: reference}
	length, heap, number := c.number(4), c.number(8), c.number(4)
	if length == 0 {
		return nil, nil
	}
	objects, ok := f.heaps[heap]
	if !ok {
		var err error
		if objects, err = f.globalHeap(heap); err != nil {
			return nil, err
		}
		f.heaps[heap] = objects
	}
	if length > uint64(len(objects[number])) {
		return nil, errors.New("a string is damaged")
	}
	return objects[number][:length], nil
}

func (f *File) globalHeap(address uint64) (map[uint64][]byte, error) {
	const head = 16
	raw, err := f.block(address, head)
	if err != nil {
		return nil, err
	}
	c := &cursor{rest: raw}
	if string(c.take(4)) != "GCOL" || c.number(1) != 1 {
		return nil, errors.New("its strings are damaged")
	}
	c.take(3)
	size := c.number(8)
	if raw, err = f.block(address, max(size, head)); err != nil {
		return nil, err
	}
	objects := map[uint64][]byte{}
	for c = (&cursor{rest: raw[head:]}); len(c.rest) >= head; {
		number := c.number(2)
		c.take(6)
		length := c.number(8)
		if number == 0 { // the rest is free
			break
		}
		if length > uint64(len(c.rest)) {
			return nil, errors.New("its strings are damaged")
		}
		objects[number] = c.take(length)
		c.take(min((8-length%8)%8, uint64(len(c.rest))))
	}
	return objects, nil
}

// cursor takes fields off a block one after the other. Past its end it yields
// zeros and remembers that it did.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.short, c.rest = true, nil
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

// number takes a little-endian number of n bytes.
func (c *cursor) number(n int) uint64 {
	var wide [8]byte
	copy(wide[:], c.take(uint64(n)))
	return binary.LittleEndian.Uint64(wide[:])
}

// err returns why the fields cannot be believed, or nil.
func (c *cursor) err(what string) error {
	if c.short {
		return fmt.Errorf("%s is damaged: it ends too early", what)
	}
	return nil
}
