// Package relevance puts into numbers where a network looked and whether its
// heatmap can be believed. A network can be right while it looks at the wrong
// place; accuracy does not see that, these figures do.
//
// All measures work on planes in the picture's own space: OnGrid cuts the
// padding away and brings maps of any network onto one grid, so that a map of
// H/32×W/32 cells and one of H/16×W/16 are compared fairly. Measures that need
// the network take a function from pictures to answers.
//
// Most callers need two calls: OnGrid, then Measure.
package relevance

import (
	"fmt"
	"math"

	"spinebox/explain"
	"spinebox/internal/spine"
)

// Plane is a map (>= 0, any scale) or a region (0 outside to 1 inside, a part
// where a border cuts the cell) on a grid that covers the picture.
type Plane struct {
	Width, Height int
	Values        []float32 // row by row
}

// NewPlane returns a plane of zeros.
func NewPlane(width, height int) Plane {
	return Plane{width, height, make([]float32, width*height)}
}

// OnGrid returns the map over the picture alone, unscaled, on a grid of
// width×height cells. An empty map gives zeros.
func OnGrid(h *spine.Heatmap, width, height int) (Plane, error) {
	values, err := explain.Raw(h, width, height)
	return Plane{width, height, values}, err
}

// Sum of all values.
func (p Plane) Sum() float64 {
	var sum float64
	for _, v := range p.Values {
		sum += float64(v)
	}
	return sum
}

func same(a, b Plane) error {
	if a.Width != b.Width || a.Height != b.Height {
		return fmt.Errorf("a map of %dx%d cells beside one of %dx%d", a.Width, a.Height, b.Width, b.Height)
	}
	return nil
}

// Localisation is how a map lies to the clinical region.
type Localisation struct {
	Energy float64 `json:"energy"` // share of the map inside the region, 0 to 1 (Wang et al. 2020, arXiv 1910.01279)
	Lift   float64 `json:"lift"`   // energy by the region's share of the picture; 1 is chance
	Hit    float64 `json:"hit"`    // 1 when the maximum lies in the region (Zhang et al. 2016, arXiv 1608.00507)
	IoU    float64 `json:"iou"`    // of the Otsu-thresholded map (Saporta et al. 2022, doi 10.1038/s42256-022-00536-x)
	AUPRC  float64 `json:"auprc"`  // the map as a pixel classifier (Arun et al. 2021, doi 10.1148/ryai.2021200267)
}

// Measure compares a map with the region where it ought to lie. A map that is
// zero everywhere lies nowhere: all its figures are 0. A region that is empty
// or covers the whole picture is an error: nothing can be measured with it.
func Measure(m, region Plane) (Localisation, error) {
	if err := same(m, region); err != nil {
		return Localisation{}, err
	}
	area := region.Sum() / float64(len(region.Values))
	if !(area > 0 && area < 1) {
		return Localisation{}, fmt.Errorf("a region of %.3g of the picture measures nothing", area)
	}
	all := m.Sum()
	if all <= 0 {
		return Localisation{}, nil
	}
	var inside float64
	for i, v := range m.Values {
		inside += float64(v) * float64(region.Values[i])
	}
	l := Localisation{Energy: inside / all, Hit: hit(m, region), IoU: iou(m, region), AUPRC: averagePrecision(m, region)}
	l.Lift = l.Energy / area
	return l, nil
}

// hit is the part of the map's greatest cells that lie in the region: one cell
// as a rule, several when they are equal.
func hit(m, region Plane) float64 {
	greatest := float32(math.Inf(-1))
	var cells, hits float64
	for i, v := range m.Values {
		if v > greatest {
			greatest, cells, hits = v, 0, 0
		}
		if v == greatest {
			cells++
			if in(region.Values[i]) {
				hits++
			}
		}
	}
	return hits / cells
}

// in says whether a cell that may be cut by the region's border counts as inside.
func in(part float32) bool { return part >= 0.5 }

// Border returns the share of the map, 0 to 1, in the outer tenth of the
// picture: in the frame that a tenth of its width and height leaves at each
// side. Cells that the frame's edge cuts count by their parts. Chance is 0.36.
func Border(m Plane) float64 {
	all := m.Sum()
	if all <= 0 {
		return 0
	}
	var inner float64
	for y := range m.Height {
		rows := cover(y, m.Height)
		for x := range m.Width {
			inner += float64(m.Values[y*m.Width+x]) * rows * cover(x, m.Width)
		}
	}
	return min(max(1-inner/all, 0), 1)
}

// cover is how much of cell i of n lies in the inner eight tenths.
func cover(i, n int) float64 {
	const lo, hi = 0.1, 0.9
	return max(0, min(float64(i+1), hi*float64(n))-max(float64(i), lo*float64(n)))
}

// Share returns the share of the map, 0 to 1, on a mask such as burned-in
// markers; 0 for an empty map.
func Share(m, mask Plane) (float64, error) {
	if err := same(m, mask); err != nil {
		return 0, err
	}
	all := m.Sum()
	if all <= 0 {
		return 0, nil
	}
	var on float64
	for i, v := range m.Values {
		on += float64(v) * float64(mask.Values[i])
	}
	return on / all, nil
}
