package phantom

import "fmt"

// level names a vertebra, counted from the neck downwards.
type level int

const (
	c3  level = 0
	c7  level = 4
	t1  level = 5
	t12 level = 16
	l1  level = 17
	l4  level = 20
	l5  level = 21
	s1  level = 22
)

func (l level) String() string {
	switch {
	case l < t1:
		return fmt.Sprintf("C%d", l-c3+3)
	case l < l1:
		return fmt.Sprintf("T%d", l-t1+1)
	case l < s1:
		return fmt.Sprintf("L%d", l-l1+1)
	}
	return "S1"
}

// build is one made-up person's measures.
type build struct {
	size float64 // factor on every length
	bone float64 // factor on the bones' density
	girt float64 // factor on the soft tissue's thickness
	disc float64 // factor on the discs' height
}

// measures are a vertebra's own, in millimetres: the body's height and width,
// its depth from front to back, and the disc below it. Round figures of the
// usual morphometry of adults (for instance Panjabi and others 1991 and 1992
// for thoracic and lumbar vertebrae), good to a few millimetres.
type measures struct{ height, width, depth, disc float64 }

func (b build) measures(l level) measures {
	size := interpolate([]stop{
		{float64(c3), [3]float64{12, 21, 16}},
		{float64(c7), [3]float64{13, 26, 17}},
		{float64(t1), [3]float64{16, 28, 17}},
		{float64(t1 + 5), [3]float64{19, 29, 25}},
		{float64(t12), [3]float64{24, 39, 31}},
		{float64(l1), [3]float64{26, 42, 33}},
		{float64(l5), [3]float64{27, 51, 35}},
		{float64(s1), [3]float64{28, 50, 34}},
	}, float64(l))
	disc := interpolate([]stop{
		{float64(c3), [3]float64{4.5}},
		{float64(t1), [3]float64{3.8}},
		{float64(t12), [3]float64{6}},
		{float64(l4), [3]float64{10.5}},
		{float64(l5), [3]float64{9}},
	}, float64(l))[0]
	return measures{
		height: size[0] * b.size, width: size[1] * b.size,
		depth: size[2] * b.size, disc: disc * b.size * b.disc,
	}
}

// vertebra is one body as it is drawn. An endplate's two ends are the left and
// right of the picture in an AP view, front and back in a lateral one.
type vertebra struct {
	level level
	upper [2]point // the superior endplate
	lower [2]point // the inferior endplate
	// turn is the axial rotation, as the shift of the spinous process to the
	// right in half widths of the body (AP only).
	turn float64
	// behind is how far the arch stays behind its slipped body, in
	// millimetres (lateral only).
	behind point
}

// at maps a vertebra's own coordinates to millimetres: s runs from -1 to 1
// along the endplates, t from -1 at the inferior to 1 at the superior one.
func (v *vertebra) at(s, t float64) point {
	top := between(v.upper[0], v.upper[1], (s+1)/2)
	bottom := between(v.lower[0], v.lower[1], (s+1)/2)
	return between(bottom, top, (t+1)/2)
}

func (v *vertebra) centre() point { return v.at(0, 0) }

// body returns the outline of the vertebral body: waist is how far its sides
// draw in, dish how far its endplates do, both in fractions of half its size.
func (v *vertebra) body(waist, dish float64) []point {
	const n = 8
	outline := make([]point, 0, 4*n)
	side := func(s, f float64) { // f from -1 to 1
		outline = append(outline, v.at(s*(1-waist*(1-f*f)*(1-f*f)), s*f*0.999))
	}
	plate := func(t, f float64) {
		outline = append(outline, v.at(-t*f, t*(1-dish*(1-f*f))))
	}
	for k := range n {
		side(1, -1+2*float64(k)/n)
	}
	for k := range n {
		plate(1, -1+2*float64(k)/n)
	}
	for k := range n {
		side(-1, -1+2*float64(k)/n)
	}
	for k := range n {
		plate(-1, -1+2*float64(k)/n)
	}
	return outline
}

// endplate returns the line of the superior (t 1) or inferior (t -1) endplate.
func (v *vertebra) endplate(t, dish float64) []point {
	const n = 9
	line := make([]point, n)
	for k := range line {
		s := -1 + 2*float64(k)/(n-1)
		line[k] = v.at(s, t*(1-dish*(1-s*s)))
	}
	return line
}

// disc returns the outline of the space between v and the vertebra below it.
func (v *vertebra) disc(below *vertebra) []point {
	return []point{v.lower[0], v.lower[1], below.upper[1], below.upper[0]}
}
