package explain

import (
	"errors"
	"fmt"
	"math"

	"spinebox/internal/spine"
)

// epsilon keeps the display scaling from dividing by zero on an even map.
const epsilon = 1e-7

// OnPicture brings the map onto a picture of width×height pixels and returns
// one value for each pixel, row by row, 0 (the least) to 1 (the most).
//
// The map covers the whole network input, padding included; the picture covers
// Heatmap.Content of it. Every pixel centre is looked up where it lies in the
// input, with the half-pixel bilinear interpolation of TensorFlow's
// ResizeBilinear (half_pixel_centers, the default of tf.image.resize): the same
// as enlarging the map to the input and cutting the padding away, without
// rounding the cut to whole cells or whole pixels. A map that is stretched over
// the picture uncut sits beside the anatomy, by as much as the padding.
//
// Scaling is (v−lo)/(hi−lo+1e-7), lo and hi being the extremes of the
// interpolated map over the picture alone: whatever the network made of the
// padding cannot dim what it saw in the X-ray. How much it made of it is what
// Outside tells. An even map has no extremes and comes out as zeros.
//
// The error is ErrEmpty for an empty map, and another for one that is damaged.
func OnPicture(h *spine.Heatmap, width, height int) ([]float32, error) {
	s, err := newSurface(h, width, height)
	if err != nil {
		return nil, err
	}
	values := make([]float32, width*height)
	for y := range height {
		s.row(values[y*width:(y+1)*width], y)
	}
	return values, nil
}

// Raw brings the map onto a picture of width×height pixels as OnPicture does,
// but leaves the values as they are: what is measured on a map must not depend
// on how it is shown. An empty map comes out as zeros; the error is that of a
// damaged map or an impossible size.
func Raw(h *spine.Heatmap, width, height int) ([]float32, error) {
	values := make([]float32, max(width, 0)*max(height, 0))
	s, err := newSurface(h, width, height)
	if errors.Is(err, ErrEmpty) {
		return values, nil
	}
	if err != nil {
		return nil, err
	}
	for y := range height {
		s.cells(s.rows[y])
		for x, at := range s.columns {
			v := s.blend[at.first]
			values[y*width+x] = v + (s.blend[at.second]-v)*at.part
		}
	}
	return values, nil
}

// Outside returns the share of the map, 0 to 1, that lies outside the picture:
// in the padding, where there is nothing to see. A cell that the picture's
// border cuts counts by its parts. It is 0 for an empty map.
func Outside(h *spine.Heatmap) float64 {
	if h.Empty() {
		return 0
	}
	var inside, all float64
	for y := range h.Height {
		rows := overlap(y, h.Height, h.Content.Y0, h.Content.Y1)
		for x := range h.Width {
			v := float64(h.Values[y*h.Width+x])
			all += v
			inside += v * rows * overlap(x, h.Width, h.Content.X0, h.Content.X1)
		}
	}
	return min(max(1-inside/all, 0), 1)
}

// overlap returns how much of cell i of n lies between lo and hi, 0 to 1.
func overlap(i, n int, lo, hi float64) float64 {
	return max(0, min(float64(i+1), hi*float64(n))-max(float64(i), lo*float64(n)))
}

// surface is a map, interpolated between its cells' centres, scaled for
// display and cut to the picture. It hands out one row of pixels at a time, so
// that an overlay of 15 megapixels needs no second plane of that size.
type surface struct {
	heatmap *spine.Heatmap
	columns []place // of each pixel column, in the map
	rows    []place
	lo, hi  float32
	blend   []float32 // one row of the map between two rows of cells
}

// place is a position between two cells' centres, the outermost centres'
// values reaching to the edge.
type place struct {
	first, second int
	part          float32 // of the second, 0 to 1
}

func newSurface(h *spine.Heatmap, width, height int) (*surface, error) {
	if h == nil {
		return nil, ErrEmpty
	}
	if err := checkHeatmap(h); err != nil {
		return nil, err // before asking whether it is empty, which a NaN would seem to be
	}
	if h.Empty() {
		return nil, ErrEmpty
	}
	if width < 1 || height < 1 {
		return nil, fmt.Errorf("no picture has %dx%d pixels", width, height)
	}
	s := &surface{
		heatmap: h,
		columns: places(width, h.Width, h.Content.X0, h.Content.X1),
		rows:    places(height, h.Height, h.Content.Y0, h.Content.Y1),
		blend:   make([]float32, h.Width),
	}
	s.lo, s.hi = s.extremes()
	return s, nil
}

func checkHeatmap(h *spine.Heatmap) error {
	if h.Width < 1 || h.Height < 1 || len(h.Values) != h.Width*h.Height {
		return fmt.Errorf("a heatmap of %dx%d cells holds %d values", h.Width, h.Height, len(h.Values))
	}
	for i, v := range h.Values {
		if !(v >= 0) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("a heatmap holds %v at row %d, column %d", v, i/h.Width, i%h.Width)
		}
	}
	return checkContent(h.Content)
}

// places returns where the centres of n pixels lie that share the stretch from
// lo to hi of an axis of cells.
func places(n, cells int, lo, hi float64) []place {
	all := make([]place, n)
	for i := range all {
		all[i] = placeAt(lo+(float64(i)+0.5)/float64(n)*(hi-lo), cells)
	}
	return all
}

func placeAt(fraction float64, cells int) place {
	at := min(max(fraction*float64(cells)-0.5, 0), float64(cells-1))
	first := int(at)
	return place{first: first, second: min(first+1, cells-1), part: float32(at - float64(first))}
}

// extremes returns the least and greatest value of the interpolated map over
// the picture, whatever the picture's size. Between four cell centres the
// surface is bilinear, so it has its extremes at the corners of the patches:
// the cell centres in the picture, and where their lines meet its border.
func (s *surface) extremes() (lo, hi float32) {
	h := s.heatmap
	columns := patches(h.Width, h.Content.X0, h.Content.X1)
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, y := range patches(h.Height, h.Content.Y0, h.Content.Y1) {
		s.cells(y)
		for _, x := range columns {
			v := s.blend[x.first] + (s.blend[x.second]-s.blend[x.first])*x.part
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	return lo, hi
}

func patches(cells int, lo, hi float64) []place {
	all := []place{placeAt(lo, cells)}
	for i := range cells {
		if centre := (float64(i) + 0.5) / float64(cells); lo < centre && centre < hi {
			all = append(all, place{first: i, second: i})
		}
	}
	return append(all, placeAt(hi, cells))
}

// even reports whether nothing stands out in the picture: the constant in the
// scaling is then larger than the differences that it scales.
func (s *surface) even() bool { return s.hi-s.lo < epsilon }

// cells sets blend to the map's row at y.
func (s *surface) cells(y place) {
	w := s.heatmap.Width
	top, bottom := s.heatmap.Values[y.first*w:][:w], s.heatmap.Values[y.second*w:][:w]
	for i, v := range top {
		s.blend[i] = v + (bottom[i]-v)*y.part
	}
}

// row writes pixel row y, scaled to 0 to 1, into dst.
func (s *surface) row(dst []float32, y int) {
	s.cells(s.rows[y])
	scale := 1 / (s.hi - s.lo + epsilon)
	for i, v := range s.blend {
		s.blend[i] = (v - s.lo) * scale
	}
	for x, at := range s.columns[:len(dst)] {
		v := s.blend[at.first]
		dst[x] = min(max(v+(s.blend[at.second]-v)*at.part, 0), 1)
	}
}
