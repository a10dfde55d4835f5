package phantom

import "math"

// extent returns how far the bodies of some levels reach across the picture
// when the patient is turned by tilt.
func (c column) extent(from, to level, tilt float64) (lo, hi float64) {
	turned := camera{scale: 1, tilt: tilt}
	lo, hi = math.Inf(1), math.Inf(-1)
	for i := range c {
		if c[i].level < from || c[i].level > to {
			continue
		}
		for _, p := range []point{c[i].upper[0], c[i].upper[1], c[i].lower[0], c[i].lower[1]} {
			x := turned.pixel(p).X
			lo, hi = math.Min(lo, x), math.Max(hi, x)
		}
	}
	return lo, hi
}

// frontalCamera frames neck or shoulders to pelvis, wide enough for the whole
// column, whatever the picture's shape.
func frontalCamera(c stream, spine column, b build, w, h int) camera {
	tilt := radians(c.bell(1.3))
	top := spine.find(t1).centre().Y - c.between(-5, 75)*b.size
	bottom := c.between(40, 130) * b.size
	margin := c.between(14, 24) * b.size
	offset := c.between(-1, 1)
	lo, hi := spine.extent(t1, s1, tilt)
	need := hi - lo + 2*margin
	tall := bottom - top
	if wide := tall * float64(w) / float64(h); wide < need {
		more := need*float64(h)/float64(w) - tall
		low := math.Min(0.45*more, math.Max(190*b.size-bottom, 0))
		bottom, top = bottom+low, top-(more-low)
		tall += more
	}
	slack := math.Min(tall*float64(w)/float64(h)-need, 50)
	turned := camera{scale: 1, tilt: tilt}
	middle := turned.pixel(point{0, (top + bottom) / 2})
	middle.X = (lo+hi)/2 + offset*slack*0.35
	return camera{scale: float64(h) / tall, tilt: tilt, centre: turned.place(middle), width: w, height: h}
}

// lateralCamera frames the lumbosacral spine: about seven levels high when the
// picture's shape allows it, as in the close-ups of the data set.
func lateralCamera(c stream, spine column, w, h int) camera {
	tilt := radians(c.bell(2))
	tall := c.between(212, 255)
	need := c.between(92, 104)
	below := c.between(44, 62)
	offset := c.between(-1, 1)
	mirrored := c.chance(0.25)
	if least := need * float64(h) / float64(w); least > tall {
		below += 0.3 * (least - tall)
		tall = least
	}
	turned := camera{scale: 1, tilt: tilt}
	lo, hi := spine.extent(l1, s1, tilt)
	arches := 7.0 // leave more room behind the bodies than before them
	slack := math.Max(tall*float64(w)/float64(h)-need, 0)
	sacrum := turned.pixel(spine.find(s1).upper[1])
	middle := turned.place(point{(lo+hi)/2 + arches + offset*(3+0.2*slack), sacrum.Y + below - tall/2})
	return camera{scale: float64(h) / tall, tilt: tilt, centre: middle, mirrored: mirrored, width: w, height: h}
}
