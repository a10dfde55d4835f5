package regions

import (
	"errors"
	"fmt"
	"image"
)

// A mask is kept as COCO keeps it, uncompressed: the picture's pixels are read
// column by column from the upper left, and the runs are the lengths of those
// outside and inside in turn, beginning with outside (which may be 0). They add
// up to all pixels.

func (r Region) validateRuns() error {
	if r.Width == 0 {
		return errors.New("a mask needs the size of its picture")
	}
	sum := 0
	for i, n := range r.Runs {
		if n < 0 || n == 0 && i > 0 || n > r.Width*r.Height-sum {
			return errors.New("its mask's runs are not those of a picture of that size")
		}
		sum += n
	}
	if sum != r.Width*r.Height {
		return fmt.Errorf("its mask covers %d of %d pixels", sum, r.Width*r.Height)
	}
	if len(r.Runs) == 1 {
		return errors.New("its mask encloses nothing")
	}
	return nil
}

// eachRun calls f for each piece of a column that lies inside, from row top to,
// not including, row end.
func (r Region) eachRun(f func(column, top, end int)) {
	at := 0
	for i, n := range r.Runs {
		for n > 0 {
			column, top := at/r.Height, at%r.Height
			piece := min(n, r.Height-top)
			if i%2 == 1 {
				f(column, top, top+piece)
			}
			at, n = at+piece, n-piece
		}
	}
}

// runsOf returns the mask that in tells of a picture's pixels.
func runsOf(width, height int, in func(x, y int) bool) []int {
	runs, inside := []int{0}, false
	for x := range width {
		for y := range height {
			if in(x, y) != inside {
				inside = !inside
				runs = append(runs, 0)
			}
			runs[len(runs)-1]++
		}
	}
	return runs
}

// fromMask makes a region of a mask: what is brighter than half lies inside.
func fromMask(kind Kind, m image.Image) Region {
	b := m.Bounds()
	r := Region{Kind: kind, Width: b.Dx(), Height: b.Dy()}
	grey, ok := m.(*image.Gray)
	r.Runs = runsOf(b.Dx(), b.Dy(), func(x, y int) bool {
		if ok {
			return grey.GrayAt(b.Min.X+x, b.Min.Y+y).Y >= 128
		}
		red, green, blue, _ := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
		return max(red, green, blue) >= 0x8000
	})
	return r
}

// mask turns polygons into runs: the pixels that lie inside by half or more.
func (r Region) mask() Region {
	p := r.Plane(r.Width, r.Height)
	r.Runs = runsOf(r.Width, r.Height, func(x, y int) bool { return p.Values[y*r.Width+x] >= 0.5 })
	r.Polygons = nil
	return r
}

// union joins two regions of one picture: polygons stay polygons.
func union(a, b Region) Region {
	if len(a.Runs) == 0 && len(b.Runs) == 0 {
		a.Polygons = append(a.Polygons, b.Polygons...)
		return a
	}
	in := make([]bool, a.Width*a.Height)
	for _, r := range []Region{a, b} {
		if len(r.Runs) == 0 {
			r = r.mask()
		}
		r.eachRun(func(column, top, end int) {
			for y := top; y < end; y++ {
				in[y*a.Width+column] = true
			}
		})
	}
	a.Runs = runsOf(a.Width, a.Height, func(x, y int) bool { return in[y*a.Width+x] })
	a.Polygons = nil
	return a
}
