package hdf5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Strings returns an attribute that is a list of strings, or one of them; false when the object has none of that name.
func (o *Object) Strings(attribute string) ([]string, bool, error) {
	all, ok, err := o.strings(attribute)
	if err != nil {
		err = fmt.Errorf("attribute %s of %s: %w", attribute, o, err)
	}
	return all, ok, err
}

func (o *Object) strings(attribute string) ([]string, bool, error) {
	elsewhere := false
	for _, m := range o.messages {
		elsewhere = elsewhere || m.kind == kindAttributes
		if m.kind != kindAttribute {
			continue
		}
		a, err := readAttribute(m)
		if err != nil {
			return nil, false, err
		}
		if a.name == attribute {
			all, err := a.strings(o.file)
			return all, true, err
		}
	}
	if elsewhere {
		return nil, false, errors.New("attributes are stored in a newer way than in Keras' legacy files")
	}
	return nil, false, nil
}

// attribute is a message of kind 0x0C (section IV.A.2.m).
type attribute struct {
	name            string
	shared          bool // its datatype or dataspace lies elsewhere
	datatype, space *cursor
	data            []byte
}

func readAttribute(m message) (*attribute, error) {
	c := &cursor{rest: m.body}
	version, flags := c.number(1), c.number(1)
	padded := func(n uint64) []byte { return c.take(n) }
	if version == 1 {
		flags = 0 // reserved
		padded = func(n uint64) []byte {
			b := c.take((n + 7) &^ 7)
			return b[:min(n, uint64(len(b)))]
		}
	}
	nameLength, typeLength, spaceLength := c.number(2), c.number(2), c.number(2)
	if version == 3 {
		c.take(1) // the name's character set
	}
	if version < 1 || version > 3 || m.flags&flagShared != 0 {
		return nil, errors.New("an attribute is stored in a way that is not read")
	}
	a := &attribute{shared: flags != 0, name: strings.TrimRight(string(padded(nameLength)), "\x00")}
	a.datatype, a.space = &cursor{rest: padded(typeLength)}, &cursor{rest: padded(spaceLength)}
	a.data = c.rest
	return a, c.err("an attribute")
}

func (a *attribute) strings(f *File) ([]string, error) {
	if a.shared {
		return nil, errors.New("its datatype lies elsewhere, which is not read")
	}
	shape, err := dataspace(a.space)
	if err != nil {
		return nil, err
	}
	count, ok := product(1, shape, maxBlock)
	if !ok {
		return nil, errors.New("it claims more strings than can be")
	}
	if count == 0 { // h5py writes an empty list as one of numbers
		return nil, nil
	}
	class := a.datatype.number(1) & 0x0f
	kind := a.datatype.number(3) & 0x0f
	length := a.datatype.number(4)
	if err := a.datatype.err("its datatype"); err != nil {
		return nil, err
	}
	variable := class == classVariable && kind == kindString && length == 16
	if class != classString && !variable {
		return nil, errors.New("it is not of strings")
	}
	all := make([]string, 0, min(count, uint64(len(a.data))))
	c := &cursor{rest: a.data}
	for ; count > 0; count-- {
		raw := c.take(length)
		if c.short || length == 0 {
			return nil, errors.New("it is damaged: it ends too early")
		}
		if variable {
			if raw, err = f.pointed(raw); err != nil {
				return nil, err
			}
		}
		if err := f.spend(uint64(len(raw))); err != nil {
			return nil, err
		}
		text, _, _ := strings.Cut(string(raw), "\x00")
		all = append(all, strings.TrimRight(text, " "))
	}
	return all, nil
}

// Classes of datatypes are the low half of their first byte (section IV.A.2.d).
const (
	classString   = 3 // of fixed length, as older h5py writes lists of names
	classVariable = 9 // of any length, as h5py does from version 3 on
	kindString    = 1 // of those of any length, the ones that are strings
)

// float32LE is a datatype message: class 1, IEEE 754 binary32, little-endian.
// Byte 1 says that the first digit of the mantissa is implied, byte 2 where the
// sign is; then size, offset, precision, and where exponent and mantissa lie.
const float32LE = "\x11\x20\x1f\x00\x04\x00\x00\x00\x00\x00\x20\x00\x17\x08\x00\x17\x7f\x00\x00\x00"

// dataspace returns the lengths of the dimensions (section IV.A.2.b); none is a
// single value.
func dataspace(c *cursor) ([]uint64, error) {
	version, rank, _ := c.number(1), c.number(1), c.number(1)
	switch version {
	case 1:
		c.take(5)
	case 2:
		if c.number(1) == 2 {
			return nil, errors.New("it holds nothing")
		}
	default:
		return nil, fmt.Errorf("its dataspace has version %d, which is not read", version)
	}
	shape := make([]uint64, 0, rank)
	for range rank {
		shape = append(shape, c.number(8))
	}
	return shape, c.err("its dataspace")
}

// Shape returns the dataset's shape without reading its values.
func (o *Object) Shape() ([]int64, error) {
	d, err := o.dataset()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	shape := make([]int64, len(d.shape))
	for i, n := range d.shape {
		shape[i] = int64(n)
	}
	return shape, nil
}

// Floats returns the values of the dataset in row-major order.
func (o *Object) Floats() ([]float32, error) {
	d, err := o.dataset()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	values, err := d.values(o.file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	return values, nil
}

// dataset is where the values of a dataset lie.
type dataset struct {
	shape   []uint64
	bytes   uint64 // of all values
	address uint64
	chunk   []uint64 // shape of each chunk; nil: the dataset is contiguous
}

func (o *Object) dataset() (*dataset, error) {
	space, isData, err := o.find(kindDataspace)
	if err != nil {
		return nil, err
	}
	datatype, typed, err := o.find(kindDatatype)
	if err != nil {
		return nil, err
	}
	layout, laid, err := o.find(kindLayout)
	if err != nil {
		return nil, err
	}
	if !isData || !typed || !laid {
		return nil, errors.New("it is no dataset")
	}
	if _, filtered, _ := o.find(kindFilter); filtered {
		return nil, errors.New("its values are compressed or otherwise filtered, which is not read")
	}
	if _, external, _ := o.find(kindExternal); external {
		return nil, errors.New("its values lie in another file, which is not read")
	}
	if string(datatype.take(uint64(len(float32LE)))) != float32LE {
		return nil, errors.New("its values are not little-endian float32")
	}
	d := new(dataset)
	if d.shape, err = dataspace(space); err != nil {
		return nil, err
	}
	var fits bool
	if d.bytes, fits = product(4, d.shape, o.file.size); !fits { // its values lie in the file
		return nil, errCut
	}
	return d, d.place(layout)
}

// place reads the layout (section IV.A.2.i).
func (d *dataset) place(c *cursor) error {
	const contiguous, chunked = 1, 2
	version, class := c.number(1), c.number(1)
	switch {
	case version != 3:
		return fmt.Errorf("its layout has version %d, and only 3 is read", version)
	case class == contiguous:
		d.address = c.number(8)
		if stored := c.number(8); stored != d.bytes {
			return fmt.Errorf("its values take %d bytes, and %d are stored", d.bytes, stored)
		}
	case class == chunked:
		rank := c.number(1)
		d.address = c.number(8)
		if rank != uint64(len(d.shape))+1 || len(d.shape) == 0 {
			return errors.New("its chunks have another number of dimensions than it has")
		}
		for range d.shape {
			d.chunk = append(d.chunk, c.number(4))
		}
		if size := c.number(4); size != 4 {
			return fmt.Errorf("its chunks are of values of %d bytes", size)
		}
	default:
		return errors.New("its values lie in its header, which is not read")
	}
	return c.err("its layout")
}

func (d *dataset) values(f *File) ([]float32, error) {
	if d.address == undefined {
		return nil, errors.New("its values were never written")
	}
	if d.chunk != nil {
		return d.chunks(f)
	}
	raw, err := f.data(d.address, d.bytes)
	if err != nil {
		return nil, err
	}
	values := make([]float32, d.bytes/4)
	fill(values, raw)
	return values, nil
}

// data reads n bytes of values.
func (f *File) data(address, n uint64) ([]byte, error) {
	if address > f.size || n > f.size-address {
		return nil, errCut
	}
	raw := make([]byte, n)
	if _, err := f.at.ReadAt(raw, int64(address)); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return raw, nil
}

// fill decodes as many values as dst holds; raw has at least those.
func fill(dst []float32, raw []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
}

// product multiplies n by the lengths; false when it would be above limit.
func product(n uint64, lengths []uint64, limit uint64) (uint64, bool) {
	for _, d := range lengths {
		if d > 0 && n > limit/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}
