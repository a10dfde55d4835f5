package phantom

import (
	"math"
	"testing"

	"spinebox/internal/spine"
)

// angle of an endplate in the picture, degrees.
func plateAngle(plate [2][2]float64) float64 {
	return degrees(math.Atan2(plate[1][1]-plate[0][1], plate[1][0]-plate[0][0]))
}

func vertebraOf(t *testing.T, p *Phantom, name string) Vertebra {
	t.Helper()
	for _, v := range p.Truth.Vertebrae {
		if v.Level == name {
			return v
		}
	}
	t.Fatalf("%s %d: the truth has no %s", p.Truth.Label, p.Truth.Index, name)
	return Vertebra{}
}

func TestCobbAngleIsThatOfTheEndplates(t *testing.T) {
	double := 0
	for i := range 40 {
		s := Spec{Label: spine.Scoliosis, View: AP, Seed: 5, Index: i, Width: 80, Height: 220,
			Cobb: Range{12 + float64(i), 13 + float64(i)}}
		p := drawn(t, s)
		c := p.Truth.Curves[0]
		if c.Cobb < s.Cobb.Min || c.Cobb > s.Cobb.Max {
			t.Errorf("%d: a Cobb angle of %.2f was asked to be %g to %g", i, c.Cobb, s.Cobb.Min, s.Cobb.Max)
		}
		if len(p.Truth.Curves) == 2 {
			double++
			if k := p.Truth.Curves[1]; k.Cobb < 0.4*c.Cobb || k.Convex == c.Convex {
				t.Errorf("%d: beside %+v the second curve is %+v", i, c, k)
			}
		}
		for _, c := range p.Truth.Curves {
			upper, lower := vertebraOf(t, p, c.Upper), vertebraOf(t, p, c.Lower)
			measured := math.Abs(plateAngle(upper.Upper) - plateAngle(lower.Lower))
			if math.Abs(measured-c.Cobb) > 0.1 {
				t.Errorf("%d: Cobb %.2f, endplates of %s and %s at %.2f", i, c.Cobb, c.Upper, c.Lower, measured)
			}
			// The lines meet on the hollow side, and an AP view shows the
			// patient's right on the left.
			if rightHigher := plateAngle(upper.Upper) < plateAngle(lower.Lower); rightHigher != (c.Convex == "left") {
				t.Errorf("%d: a curve convex to the %s leans the other way", i, c.Convex)
			}
		}
	}
	if double < 4 || double > 20 {
		t.Errorf("%d of 40 curves are double", double)
	}
}

// The endplates are found again in what was painted, not in the corners: the
// upper border of each end vertebra's body, fitted by a line.
func TestCobbAngleIsThatOfThePixels(t *testing.T) {
	for i := range 20 {
		s := Spec{Label: spine.Scoliosis, View: AP, Seed: 6, Index: i, Width: 300, Height: 800, Cobb: Range{15, 60}}
		c, a := s.frontalSpine(build{size: 1, bone: 1, girt: 1, disc: 1})
		cam := frontalCamera(newStream(6, i, "framing"), c, build{size: 1}, s.Width, s.Height)
		sc := &scene{painter: &painter{camera: cam}, build: build{size: 1, bone: 1, girt: 1, disc: 1}, column: c,
			soft: newPlane(s.Width, s.Height), bone: newPlane(s.Width, s.Height)}
		k := a.curves[0]
		measured := sc.fittedAngle(c.find(k.upper), true) - sc.fittedAngle(c.find(k.lower), false)
		if math.Abs(math.Abs(measured)-k.angle) > 1 {
			t.Errorf("%d: Cobb %.2f, %.2f in the pixels of %s and %s", i, k.angle, measured, k.upper, k.lower)
		}
	}
}

// fittedAngle paints one body alone and fits a line through its upper or lower
// border, in degrees.
func (s *scene) fittedAngle(v *vertebra, upper bool) float64 {
	clear(s.bone.v)
	s.fill(s.bone, v.body(0.08, 0.05), tissue{depth: 1, flat: 1})
	m := s.camera.pixel(v.centre())
	plate := v.lower
	if upper {
		plate = v.upper
	}
	middle := s.camera.pixel(between(plate[0], plate[1], 0.5)).X
	half := 0.32 * plate[1].sub(plate[0]).length() * s.camera.scale
	var n, sx, sy, sxx, sxy float64
	for x := int(middle - half); x <= int(middle+half); x++ {
		// Coverage summed over the column of pixels is where the border lies,
		// to a fraction of a pixel.
		border := 0.0
		if upper {
			for y := range int(m.Y) {
				border -= float64(s.bone.v[y*s.bone.width+x])
			}
		} else {
			for y := int(m.Y); y < s.bone.height; y++ {
				border += float64(s.bone.v[y*s.bone.width+x])
			}
		}
		n, sx, sy = n+1, sx+float64(x), sy+border
		sxx, sxy = sxx+float64(x)*float64(x), sxy+float64(x)*border
	}
	return degrees(math.Atan((n*sxy - sx*sy) / (n*sxx - sx*sx)))
}

func TestSlipIsThatOfTheEndplates(t *testing.T) {
	at := map[string]int{}
	for i := range 40 {
		s := Spec{Label: spine.Spondylolisthesis, View: Lateral, Seed: 5, Index: i, Width: 80, Height: 220,
			Slip: Range{10 + float64(i), 11 + float64(i)}}
		p := drawn(t, s)
		slip := p.Truth.Slip
		at[slip.Level]++
		if slip.Percent < s.Slip.Min || slip.Percent > s.Slip.Max {
			t.Errorf("%d: a slip of %.2f was asked to be %g to %g", i, slip.Percent, s.Slip.Min, s.Slip.Max)
		}
		if want := int(slip.Percent/25) + 1; slip.Grade != want {
			t.Errorf("%d: a slip of %.1f is of grade %d, not %d", i, slip.Percent, want, slip.Grade)
		}
		if measured := slipOf(t, p, slip.Level); math.Abs(measured-slip.Percent) > 0.5 {
			t.Errorf("%d: slip %.2f, endplates of %s at %.2f", i, slip.Percent, slip.Level, measured)
		}
	}
	if len(at) != 2 || at["L4/L5"] < 10 || at["L5/S1"] < 10 {
		t.Errorf("slips lie at %v", at)
	}
}

// slipOf measures, in pixels, how far the back end of the upper vertebra's
// inferior endplate stands before that of the endplate below.
func slipOf(t *testing.T, p *Phantom, segment string) float64 {
	t.Helper()
	upper, lower := vertebraOf(t, p, segment[:2]), vertebraOf(t, p, segment[3:])
	front, back := lower.Upper[0], lower.Upper[1]
	dx, dy := front[0]-back[0], front[1]-back[1]
	along := (upper.Lower[1][0]-back[0])*dx + (upper.Lower[1][1]-back[1])*dy
	return 100 * along / (dx*dx + dy*dy)
}

func TestNormalIsNormalInBothViews(t *testing.T) {
	for i := range 20 {
		s := Spec{Label: spine.Normal, View: AP, Seed: 5, Index: i, Width: 80, Height: 210}
		front := drawn(t, s)
		if c := front.Truth.Curves; len(c) != 1 || c[0].Cobb >= 8 {
			t.Errorf("%d: a normal spine has the curves %+v", i, c)
		}
		s.View = Lateral
		side := drawn(t, s)
		if side.Truth.Slip != nil || side.Abnormal != nil || len(side.Truth.Abnormal) > 0 {
			t.Errorf("%d: a normal spine has the slip %+v", i, side.Truth.Slip)
		}
		for _, level := range []string{"L3/L4", "L4/L5", "L5/S1"} {
			if slip := slipOf(t, side, level); math.Abs(slip) > 5 {
				t.Errorf("%d: %s of a normal spine has slipped by %.1f per cent", i, level, slip)
			}
		}
	}
}

// The truth's corners must lie where the picture shows endplates: they are
// brighter than the disc between them.
func TestTruthLiesOnThePicture(t *testing.T) {
	found, all := 0, 0
	for _, s := range specs(3, func(s *Spec) { s.Width, s.Height = 240, 620 }) {
		p := drawn(t, s)
		for i := 1; i < len(p.Truth.Vertebrae); i++ {
			above, below := p.Truth.Vertebrae[i-1], p.Truth.Vertebrae[i]
			if above.Level < "L" || below.Level < "L" || above.Level[0] == 'T' {
				continue
			}
			plate := (p.grey(above.Lower) + p.grey(below.Upper)) / 2
			var disc [2][2]float64
			for k := range 2 {
				for axis := range 2 {
					disc[k][axis] = (above.Lower[k][axis] + below.Upper[k][axis]) / 2
				}
			}
			all++
			if plate > p.grey(disc) {
				found++
			}
		}
	}
	if all < 40 || found < all*19/20 {
		t.Errorf("%d of %d discs are darker than the endplates beside them", found, all)
	}
}

// grey is the mean along the middle of a line in the picture.
func (p *Phantom) grey(line [2][2]float64) float64 {
	const n = 40
	var sum float64
	for k := range n {
		f := 0.2 + 0.6*float64(k)/(n-1)
		x := line[0][0] + f*(line[1][0]-line[0][0])
		y := line[0][1] + f*(line[1][1]-line[0][1])
		x, y = min(max(x, 0), float64(p.Picture.Width-1)), min(max(y, 0), float64(p.Picture.Height-1))
		sum += float64(p.Picture.Pix[int(y)*p.Picture.Width+int(x)])
	}
	return sum / n
}
