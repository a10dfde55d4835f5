// Package regions knows where in a picture a network ought to look: outlines
// and masks, by the SHA-256 of the picture's file.
//
// Most callers need two calls: Read, and Region.Plane, which lays a region on
// the grid that heatmaps are measured on. Import takes over what other programs
// drew.
//
// A region tells how far it can be trusted: truth, of made pictures; drawn, by
// a person; weak, by a program that only knows where the column should be.
package regions

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Kind is how a region came about.
type Kind string

const (
	Truth Kind = "truth" // known, since the picture was made
	Drawn Kind = "drawn" // by a person
	Weak  Kind = "weak"  // by a program, looked at by a person at most
)

// Polygon is a closed outline of at least three corners, each x and y.
type Polygon [][2]float64

// extent is how wide and high the polygon is.
func (p Polygon) extent() (width, height float64) {
	lo, hi := p[0], p[0]
	for _, c := range p {
		for k, v := range c {
			lo[k], hi[k] = math.Min(lo[k], v), math.Max(hi[k], v)
		}
	}
	return hi[0] - lo[0], hi[1] - lo[1]
}

// Region is a part of one picture: what its outlines enclose, or a mask. Both
// are given in the picture's pixels from its upper left corner, after the
// orientation that cameras note is applied.
type Region struct {
	Kind Kind

	// Width and Height are the picture's, in pixels. Both are 0 where the
	// outlines are fractions of the picture, from 0 to 1.
	Width, Height int

	Polygons []Polygon // together; where they overlap, once
	Runs     []int     // instead of Polygons: a mask, see the format
}

// Fits says in a sentence why the region cannot be of a picture of that size.
func (r Region) Fits(width, height int) error {
	if r.Width == 0 && r.Height == 0 || r.Width == width && r.Height == height {
		return nil
	}
	return fmt.Errorf("its region was drawn on %dx%d pixels (width x height) and the picture has %dx%d: make the region anew on the picture as it is, or give its corners as fractions",
		r.Width, r.Height, width, height)
}

// Area is the region's share of the picture, 0 to 1.
func (r Region) Area() float64 {
	const side = 256
	p := r.Plane(side, side)
	return p.Sum() / float64(len(p.Values))
}

// validate says what is wrong with the region.
func (r Region) validate() error {
	switch {
	case r.Kind != Truth && r.Kind != Drawn && r.Kind != Weak:
		return fmt.Errorf("its kind is none of %s, %s and %s", Truth, Drawn, Weak)
	case (r.Width == 0) != (r.Height == 0) || r.Width < 0 || r.Height < 0 || r.Width > maxSide || r.Height > maxSide:
		return fmt.Errorf("no picture has %dx%d pixels", r.Width, r.Height)
	case (len(r.Polygons) == 0) == (len(r.Runs) == 0):
		return fmt.Errorf("it needs either polygons or a mask")
	}
	if len(r.Runs) > 0 {
		return r.validateRuns()
	}
	right, bottom := r.scale()
	for i, p := range r.Polygons {
		if len(p) < 3 {
			return fmt.Errorf("polygon %d has too few corners: an outline needs three", i+1)
		}
		for _, c := range p {
			if !(c[0] >= 0 && c[0] <= right && c[1] >= 0 && c[1] <= bottom) {
				return fmt.Errorf("polygon %d leaves the picture of %gx%g", i+1, right, bottom)
			}
		}
		if w, h := p.extent(); w == 0 || h == 0 {
			return fmt.Errorf("polygon %d encloses nothing", i+1)
		}
	}
	return nil
}

// maxSide is more pixels than any picture is wide that the lab decodes.
const maxSide = 1 << 20

// scale is how far the region's coordinates go to the right and down.
func (r Region) scale() (right, bottom float64) {
	return float64(max(r.Width, 1)), float64(max(r.Height, 1))
}

// clip moves corners that lie beside the picture onto its edge: people draw
// over it.
func (r Region) clip() {
	right, bottom := r.scale()
	for _, p := range r.Polygons {
		for i, c := range p {
			p[i] = [2]float64{math.Min(math.Max(c[0], 0), right), math.Min(math.Max(c[1], 0), bottom)}
		}
	}
}

// Set is the regions of many pictures.
type Set struct {
	// Source says how they were made, in a sentence for whoever reads figures
	// that rest on them; it may be empty.
	Source string

	regions, markers map[string]Region
}

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{regions: map[string]Region{}, markers: map[string]Region{}}
}

// Of returns where to look in the picture of that SHA-256.
func (s *Set) Of(sha256 string) (Region, bool) {
	r, ok := s.regions[sha256]
	return r, ok
}

// Marker returns where letters were burned into the picture. Without any, or
// where nobody noted them, there is none.
func (s *Set) Marker(sha256 string) (Region, bool) {
	r, ok := s.markers[sha256]
	return r, ok
}

// Put keeps the region of a picture, in place of any it had.
func (s *Set) Put(sha256 string, r Region) { s.regions[sha256] = r }

// Pictures returns the digests of those that have a region, sorted.
func (s *Set) Pictures() []string {
	return slices.SortedFunc(maps.Keys(s.regions), cmp.Compare)
}
