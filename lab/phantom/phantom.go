package phantom

import (
	"fmt"
	"image"

	"spinebox/internal/spine"
)

// View is the projection of a spine radiograph.
type View string

const (
	AP      View = "AP"
	Lateral View = "lateral"
)

// Range is a closed interval that values are drawn from evenly.
type Range struct{ Min, Max float64 }

// The ranges that trust.md's phantom covers; a narrower one makes the task
// easier.
func AnyCobb() Range { return Range{12, 60} } // degrees
func AnySlip() Range { return Range{10, 60} } // per cent of the endplate's depth

// Spec says what to draw. Two equal specs give equal phantoms, byte for byte,
// on one architecture.
type Spec struct {
	Label spine.Label
	View  View // scoliosis is drawn in AP, spondylolisthesis in a lateral view, normal in both
	Seed  uint64
	Index int // the phantom's number under its seed

	Width, Height int // pixels

	Cobb Range // degrees, within 8 to 70; only scoliosis
	Slip Range // per cent, within 5 to 80; only spondylolisthesis

	Shortcut Shortcut
	Strength float64 // 0 to 1: the share of pictures that carry the shortcut
}

// Validate reports what is wrong with the spec.
func (s Spec) Validate() error {
	ratio := float64(s.Height) / float64(max(s.Width, 1))
	switch {
	case s.Width < 64 || s.Height < 96 || s.Width > 6000 || s.Height > 6000:
		return fmt.Errorf("phantom of %dx%d (height x width): choose 96 to 6000 by 64 to 6000 pixels", s.Height, s.Width)
	case ratio < 0.8 || ratio > 6.5:
		return fmt.Errorf("phantom of %dx%d (height x width): a spine needs a height of 0.8 to 6.5 times the width", s.Height, s.Width)
	case s.View != AP && s.View != Lateral:
		return fmt.Errorf("unknown view %q: it is %s or %s", s.View, AP, Lateral)
	case s.Label == spine.Scoliosis && s.View != AP:
		return fmt.Errorf("scoliosis is drawn in the %s view only", AP)
	case s.Label == spine.Spondylolisthesis && s.View != Lateral:
		return fmt.Errorf("spondylolisthesis is drawn in the %s view only", Lateral)
	case s.Label == spine.Scoliosis && !s.Cobb.within(8, 70):
		return fmt.Errorf("Cobb angles of %g to %g degrees: choose a range within 8 to 70", s.Cobb.Min, s.Cobb.Max)
	case s.Label == spine.Spondylolisthesis && !s.Slip.within(5, 80):
		return fmt.Errorf("slips of %g to %g per cent: choose a range within 5 to 80", s.Slip.Min, s.Slip.Max)
	}
	if s.Label != spine.Normal && s.Label != spine.Scoliosis && s.Label != spine.Spondylolisthesis {
		return fmt.Errorf("unknown label %q", s.Label)
	}
	return s.validateShortcut()
}

func (r Range) within(lo, hi float64) bool { return r.Min >= lo && r.Max <= hi && r.Min <= r.Max }

// Phantom is one made-up X-ray with its truth.
type Phantom struct {
	Picture spine.Picture
	// Column covers vertebral bodies and discs, 255 inside. Abnormal covers
	// the apex levels of the curves or the slipped segment; nil when normal.
	Column, Abnormal *image.Gray
	Truth            Truth

	// How the files are made, drawn with the phantom and alike for all classes.
	quality  int  // of a JPEG
	bits     int  // stored for each grey value of a DICOM file, 12 to 16
	computed bool // a DICOM file of modality CR instead of DX
}

// Region is where a network ought to look: the abnormal levels, or the whole
// column of a normal spine.
func (p *Phantom) Region() *image.Gray {
	if p.Abnormal != nil {
		return p.Abnormal
	}
	return p.Column
}

// Draw draws the phantom that spec describes.
func Draw(spec Spec) (*Phantom, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	patient := newStream(spec.Seed, spec.Index, "patient")
	b := build{
		size: patient.between(0.92, 1.08), bone: patient.between(0.8, 1.25),
		girt: patient.between(0.85, 1.15), disc: patient.between(0.85, 1.1),
	}
	var c column
	var a ailment
	var cam camera
	framing := newStream(spec.Seed, spec.Index, "framing")
	if spec.View == AP {
		c, a = spec.frontalSpine(b)
		cam = frontalCamera(framing, c, b, spec.Width, spec.Height)
	} else {
		c, a = spec.lateralSpine(b)
		cam = lateralCamera(framing, c, spec.Width, spec.Height)
	}
	s := &scene{
		painter: &painter{camera: cam}, build: b, column: c, chance: patient,
		soft: newPlane(spec.Width, spec.Height), bone: newPlane(spec.Width, spec.Height),
	}
	if spec.View == AP {
		s.frontal()
	} else {
		s.lateral()
	}
	t := s.technique(newStream(spec.Seed, spec.Index, "technique"), spec.View)
	pix := s.expose(t, newStream(spec.Seed, spec.Index, "grain"))

	p := &Phantom{Picture: spine.Picture{Width: spec.Width, Height: spec.Height, Pix: pix}}
	p.Picture.Facts.View = string(spec.View)
	file := newStream(spec.Seed, spec.Index, "file")
	p.bits, p.computed = 12+2*file.IntN(3), file.chance(0.5)
	p.quality = spec.quality()
	p.Truth = spec.truth(s, a)
	p.Column, p.Abnormal = s.masks(a)
	s.shutter(newStream(spec.Seed, spec.Index, "shutter"), p)
	p.Truth.Marker = spec.mark(p)
	p.Truth.ColumnBox, p.Truth.AbnormalBox = boxOf(p.Column), boxOf(p.Abnormal)
	if p.Truth.ColumnBox == nil || (p.Abnormal != nil && p.Truth.AbnormalBox == nil) {
		return nil, fmt.Errorf("draw phantom %d of seed %d: the spine lies outside the picture", spec.Index, spec.Seed)
	}
	return p, nil
}

// ailment is what is wrong with a spine, and where.
type ailment struct {
	curves []cobb   // of an AP view, the greatest first; a normal spine has one below 8 degrees
	slip   *slip    // of a lateral view with spondylolisthesis
	levels []level  // the abnormal levels, from the top down; discs between neighbours belong to them
	groups [][2]int // half-open runs of levels that belong together
}

// mark the levels from a to b as one abnormal run.
func (a *ailment) run(from, to level) {
	start := len(a.levels)
	for l := from; l <= to; l++ {
		a.levels = append(a.levels, l)
	}
	a.groups = append(a.groups, [2]int{start, len(a.levels)})
}

// frontalSpine builds the column of an AP view: scoliosis with the Cobb angle
// asked for, or a normal one whose lean stays below 7 degrees, since hardly a
// real spine is quite straight.
func (s Spec) frontalSpine(b build) (column, ailment) {
	chance := newStream(s.Seed, s.Index, "curve")
	bends, count := pattern(chance)
	angle := chance.between(s.Cobb.Min, s.Cobb.Max)
	if s.Label == spine.Normal {
		angle, count = chance.between(0, 7), 1
	}
	c := frontalColumn(b, bends, angle)
	for i := range c {
		c[i].turn += chance.bell(0.03)
	}
	one, other := c.measure(1), c.measure(-1)
	if other.angle > one.angle {
		one, other = other, one
	}
	a := ailment{curves: []cobb{one, other}[:count]}
	if s.Label == spine.Scoliosis {
		for _, k := range a.curves {
			a.run(max(k.apex-1, t1), min(k.apex+1, l5))
		}
	}
	return c, a
}

// pattern draws a kind of scoliosis and returns its bends and how many of them
// are curves in their own right. The mix follows the usual ones of adolescents
// (Lenke 2001): mostly thoracic, then double, thoracolumbar and lumbar.
func pattern(c stream) ([]bend, int) {
	side, kind := c.sign(), c.Float64()
	u, v, w := c.Float64(), c.Float64(), c.Float64()
	switch {
	case kind < 0.42: // thoracic, T7 to T10
		apex := float64(t1+6) + 3*u
		return []bend{{apex, 2.7 + 0.9*v*min(1, apex-11+0.3), side}}, 1
	case kind < 0.64: // thoracolumbar, T11 to L1
		return []bend{{float64(t1+10) + 2*u, 2.7 + 0.9*v, side}}, 1
	case kind < 0.74: // lumbar, about L2
		return []bend{{float64(l1) + 0.6 + 0.6*u, 2.2 + 0.5*v, side}}, 1
	}
	upper, lower := 2.4+0.6*u, 2.1+0.4*v
	apex := float64(t1+6) + 1.4*w
	return []bend{
		{apex, upper, side},
		{apex + upper + lower, lower, -side * (0.7 + 0.3*u)},
	}, 2
}

// lateralSpine builds the column of a lateral view.
func (s Spec) lateralSpine(b build) (column, ailment) {
	chance := newStream(s.Seed, s.Index, "curve")
	slope, top := chance.between(31, 41), chance.between(5, 14)
	fraction := chance.between(s.Slip.Min, s.Slip.Max) / 100
	want := slip{level: l5, lysis: chance.chance(0.65)}
	if chance.chance(0.45) {
		want.level = l4
	}
	step := chance.bell(0.012) // no back wall is quite flush
	at := func(l float64, tilt float64) stop { return stop{l, [3]float64{tilt}} }
	stance := []stop{
		at(float64(t1), top-34), at(float64(t1+6), top-14), at(float64(t1+9), top-2), at(float64(t12), top+1),
		at(float64(l1), top), at(float64(l1+1), 0.55*top), at(float64(l1+2), -0.5), at(float64(l4), -0.17*slope),
		at(float64(l5), -0.5*slope), at(float64(s1), -slope), at(float64(s1)+0.5, -slope+9),
	}
	var a ailment
	if s.Label == spine.Spondylolisthesis {
		want.fraction = fraction
		a.slip = &want
		a.run(want.level, want.level+1)
	} else {
		want.fraction, want.lysis = step, false
	}
	return lateralColumn(b, stance, want), a
}
