package hdf5

import "errors"

// chunks reads a dataset that lies in chunks: boxes of one shape, each stored
// whole even where it reaches beyond the dataset's edge (section III.A.1, node
// type 1).
func (d *dataset) chunks(f *File) ([]float32, error) {
	size, ok := product(4, d.chunk, f.size)
	if !ok || size == 0 {
		return nil, errors.New("its chunks are larger than the file")
	}
	values := make([]float32, d.bytes/4)
	missing, read := uint64(len(values)), uint64(0)
	seen := map[uint64]bool{}
	rank := len(d.shape)
	err := f.walk(d.address, chunkTree, uint64(8+8*(rank+1)), func(key []byte, address uint64) error {
		c := &cursor{rest: key}
		stored, mask := c.number(4), c.number(4)
		corner := make([]uint64, rank)
		for i := range corner {
			corner[i] = c.number(8)
			if corner[i] >= d.shape[i] || corner[i]%d.chunk[i] != 0 {
				return errors.New("a chunk lies outside")
			}
		}
		if stored != size || mask != 0 {
			return errors.New("a chunk is filtered or of another size")
		}
		at := d.offset(corner)
		if seen[at] {
			return errors.New("a chunk is there twice")
		}
		seen[at] = true
		if read += size; read > f.size {
			return errors.New("its chunks overlap")
		}
		raw, err := f.data(address, size)
		if err != nil {
			return err
		}
		missing -= d.put(values, raw, corner)
		return nil
	})
	if err == nil && missing > 0 {
		err = errors.New("not all of its values were written")
	}
	return values, err
}

// offset of a position among the dataset's values.
func (d *dataset) offset(at []uint64) uint64 {
	var n uint64
	for i, x := range at {
		n = n*d.shape[i] + x
	}
	return n
}

// put copies a chunk's values to where they belong, row by row, and returns
// how many lie inside the dataset.
func (d *dataset) put(values []float32, raw []byte, corner []uint64) (copied uint64) {
	last := len(corner) - 1
	row := 4 * d.chunk[last]
	width := min(d.chunk[last], d.shape[last]-corner[last])
	within := make([]uint64, len(corner)) // position in the chunk, of a row's begin
	at := make([]uint64, len(corner))
	for ; len(raw) > 0; raw = raw[row:] {
		inside := true
		for i := range at {
			at[i] = corner[i] + within[i]
			inside = inside && at[i] < d.shape[i]
		}
		if inside {
			fill(values[d.offset(at):][:width], raw)
			copied += width
		}
		for i := last - 1; i >= 0; i-- {
			if within[i]++; within[i] < d.chunk[i] {
				break
			}
			within[i] = 0
		}
	}
	return copied
}
