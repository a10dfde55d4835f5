package phantom

import "math"

// column is the drawn spine from the head downwards; the last vertebra is S1,
// of which only the superior endplate is a joint.
type column []vertebra

func (c column) find(l level) *vertebra {
	for i := range c {
		if c[i].level == l {
			return &c[i]
		}
	}
	return nil
}

// tilt of the two ends of an endplate against the horizontal, in radians.
func tiltOf(plate [2]point) float64 {
	d := plate[1].sub(plate[0])
	return math.Atan2(d.Y, d.X)
}

// cobb is a lateral curve of the spine: the angle between the superior
// endplate of its upper end vertebra and the inferior endplate of its lower
// one (Cobb 1948).
type cobb struct {
	upper, lower, apex level
	angle              float64 // degrees, >= 0
	side               float64 // -1: convex to the picture's left, 1: to its right
}

// measure finds, among all pairs of end vertebrae, the greatest Cobb angle
// that is convex to the given side.
func (c column) measure(side float64) cobb {
	found := cobb{upper: t1, lower: t1, apex: t1, side: side}
	for i := range c {
		for j := i + 1; j < len(c); j++ {
			if c[i].level < t1 || c[j].level > l5 {
				continue
			}
			// The endplates' lines meet on the hollow side.
			a := degrees(side * (tiltOf(c[j].lower) - tiltOf(c[i].upper)))
			if a > found.angle {
				found.angle, found.upper, found.lower = a, c[i].level, c[j].level
			}
		}
	}
	found.apex = c.apex(found)
	return found
}

// apex returns the vertebra of a curve that lies farthest to its side from the
// line between its end vertebrae.
func (c column) apex(k cobb) level {
	a, b := c.find(k.upper).centre(), c.find(k.lower).centre()
	apex, most := k.upper, math.Inf(-1)
	for i := range c {
		if c[i].level < k.upper || c[i].level > k.lower {
			continue
		}
		p := c[i].centre()
		off := k.side * (p.X - a.X - (b.X-a.X)*(p.Y-a.Y)/math.Max(b.Y-a.Y, 1e-9))
		if off > most {
			apex, most = c[i].level, off
		}
	}
	return apex
}

// bend is one curve asked for: where its apex lies, in levels, how many levels
// lie from there to its end vertebrae, and its strength against the others,
// positive when convex to the right.
type bend struct{ apex, half, strength float64 }

// lean is the tilt at place s, in levels, of all bends together, up to a
// factor. One bend is a raised cosine in displacement, so its tilt is a sine
// whose extremes, the end vertebrae, lie at plus and minus half.
func lean(bends []bend, s float64) float64 {
	var sum float64
	for _, b := range bends {
		if f := (s - b.apex) / (2 * b.half); math.Abs(f) < 1 {
			sum += b.strength * math.Sin(math.Pi*f)
		}
	}
	// Neck and sacrum stay level, whatever the curves ask for.
	return sum * ease((s-float64(c7)+1)/3) * ease((float64(s1)-s)/2)
}

// ease goes smoothly from 0 to 1 while f does.
func ease(f float64) float64 {
	f = min(max(f, 0), 1)
	return f * f * (3 - 2*f)
}

// bodyShare is the half of a level's length that the body takes, the disc
// having the rest: both are wedged in a curve.
const bodyShare = 0.36

// frontalColumn builds the spine of an AP view. The bends are scaled so that
// the greatest Cobb angle, measured on the endplates as drawn, is angle
// degrees.
func frontalColumn(b build, bends []bend, angle float64) column {
	greatest := 0.0
	for i := t1; i <= l5; i++ {
		for j := i + 1; j <= l5; j++ {
			d := lean(bends, float64(i)-bodyShare) - lean(bends, float64(j)+bodyShare)
			greatest = math.Max(greatest, math.Abs(d))
		}
	}
	scale := 0.0
	if greatest > 0 {
		scale = radians(angle) / greatest
	}
	tilt := func(s float64) float64 { return scale * lean(bends, s) }

	c := make(column, s1+1)
	m := b.measures(s1)
	c[s1] = vertebra{level: s1,
		upper: [2]point{{-m.width / 2, 0}, {m.width / 2, 0}},
		lower: [2]point{{-m.width * 0.36, m.height}, {m.width * 0.36, m.height}}}
	joint := point{0, 0} // the middle of the superior endplate below
	for l := l5; l >= c3; l-- {
		m := b.measures(l)
		s := float64(l)
		foot := joint.add(upward(tilt(s + 0.5)).mul(m.disc))
		head := foot.add(upward(tilt(s)).mul(m.height))
		low, high := along(tilt(s+bodyShare)), along(tilt(s-bodyShare))
		half := m.width / 2
		c[l] = vertebra{level: l,
			upper: [2]point{head.sub(high.mul(half * 0.97)), head.add(high.mul(half * 0.97))},
			lower: [2]point{foot.sub(low.mul(half)), foot.add(low.mul(half))},
			// A bent spine turns: the spinous process goes to the hollow
			// side, as the tilt's change along the column says.
			turn: min(max(1.6*(tilt(s-1)-tilt(s+1)), -0.45), 0.45),
		}
		joint = head
	}
	return c
}

// slip is an anterior slip asked for: the vertebra that moves, and how far, as
// a fraction of the depth of the endplate below it (Taillard 1954).
type slip struct {
	level    level
	fraction float64
	lysis    bool // the arch is broken and stays behind
}

// lateralColumn builds the spine of a lateral view that faces left, from the
// sacrum upwards. The endplates' tilts come from stance, in degrees at levels.
func lateralColumn(b build, stance []stop, s slip) column {
	tilt := func(at float64) float64 { return radians(interpolate(stance, at)[0]) }
	c := make(column, s1+1)
	m := b.measures(s1)
	slope, foot := tilt(float64(s1)), tilt(float64(s1)+0.5)
	back := point{m.depth / 2, 0}
	front := back.sub(along(slope).mul(m.depth))
	lower := back.sub(upward((slope + foot) / 2).mul(m.height))
	c[s1] = vertebra{level: s1, upper: [2]point{front, back},
		lower: [2]point{lower.sub(along(foot).mul(m.depth * 0.72)), lower}}
	for l := l5; l >= c3; l-- {
		m := b.measures(l)
		below := &c[l+1]
		floor := tiltOf(below.upper)
		wedge := 0.16 // bodies take a third of the stance, discs the rest
		if l == l5 {
			wedge = 0.3
		}
		low, high := tilt(float64(l)+wedge), tilt(float64(l)-wedge)
		forward := 0.0
		if l == s.level {
			forward = s.fraction * below.upper[1].sub(below.upper[0]).length()
		}
		// The back ends of facing endplates stand over each other, but for
		// the slip: that is what the slip is measured on.
		backFoot := below.upper[1].add(upward(floor).mul(m.disc * 0.62)).sub(along(floor).mul(forward))
		backHead := backFoot.add(upward((low + high) / 2).mul(m.height * 0.96))
		v := vertebra{level: l,
			upper: [2]point{backHead.sub(along(high).mul(m.depth * 0.97)), backHead},
			lower: [2]point{backFoot.sub(along(low).mul(m.depth)), backFoot}}
		if l == s.level && s.lysis {
			v.behind = along(floor).mul(0.75 * forward)
		}
		c[l] = v
	}
	return c
}

// slipAt measures the slip of a vertebra over the one below, as drawn: how far
// the back end of its inferior endplate stands before the back end of the
// endplate below, along that endplate, as a fraction of its depth.
func (c column) slipAt(l level) float64 {
	v, below := c.find(l), c.find(l+1)
	plate := below.upper[0].sub(below.upper[1])
	depth := plate.length()
	return v.lower[1].sub(below.upper[1]).dot(plate) / (depth * depth)
}
