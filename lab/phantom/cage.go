package phantom

import "math"

// ribCage draws ribs and clavicles of an AP view. A rib is half an ellipse
// that leans forward and down, so that from the front it runs out from the
// spine, turns at the chest wall and comes back lower and fainter.
func (s *scene) ribCage() {
	z, d := s.build.size, s.build.bone
	droop := s.chance.between(0.34, 0.55)
	for l := t1; l <= t12; l++ {
		v := s.column.find(l)
		n := float64(l - t1)
		wall := interpolate([]stop{{0, [3]float64{58, 30}}, {1, [3]float64{84, 48}}, {3, [3]float64{112, 70}},
			{6, [3]float64{134, 90}}, {9, [3]float64{138, 92}}, {11, [3]float64{118, 80}}}, n)
		sweep := 150.0 // degrees along the hoop, from the spine forwards
		if n >= 10 {
			sweep = 100 - 30*(n-10) // the floating ribs end early
		}
		for _, side := range []float64{-1, 1} {
			s.rib(v.at(side*0.95, 0.55), side, wall[0]*z, wall[1]*z, droop, sweep, d)
		}
	}
	y := s.height(float64(t1) + 1.3)
	rise := s.chance.between(8, 30)
	for _, side := range []float64{-1, 1} {
		clavicle := curve([]point{{side * 16, y + 14}, {side * 60, y + 8}, {side * 105, y - 0.5*rise}, {side * 150, y - rise}}, 6)
		s.fill(s.bone, band(clavicle, 13*z, 11*z), tissue{depth: 3.2 * d, flat: 0.5, round: 3, rim: 3 * d})
	}
}

func (s *scene) rib(root point, side, wall, depth, droop, sweep, d float64) {
	const steps = 26
	line := make([]point, 0, steps+1)
	reach := math.Max(wall-math.Abs(root.X), 25)
	for k := range steps + 1 {
		w := radians(sweep * float64(k) / steps)
		p := point{root.X + side*reach*math.Sin(w), root.Y + droop*depth*(1-math.Cos(w))}
		p.Y -= 9 * s.build.size * math.Sin(math.Min(w*3, math.Pi)) // up over the transverse process
		line = append(line, p)
	}
	s.fill(s.bone, band(line, 7*s.build.size, 12*s.build.size), tissue{depth: 2.6 * d, flat: 0.5, round: 3, rim: 3.8 * d})
}

// pelvis draws sacrum, iliac wings, hip joints and the pubic ring of an AP
// view; 0, 0 is the middle of the sacrum's superior endplate.
func (s *scene) pelvis() {
	z, d := s.build.size, s.build.bone
	half := func(side float64, through ...point) []point {
		out := make([]point, len(through))
		for i, p := range through {
			out[i] = point{side * p.X * z, p.Y * z}
		}
		return out
	}
	whole := func(through ...point) []point {
		out := half(1, through...)
		for i := len(through) - 1; i >= 0; i-- {
			out = append(out, point{-through[i].X * z, through[i].Y * z})
		}
		return out
	}
	sacrum := whole(point{24, 0}, point{44, -4}, point{58, 6}, point{50, 34}, point{36, 62}, point{18, 92}, point{7, 112})
	s.fill(s.bone, closed(sacrum, 4), tissue{depth: 5.5 * d, flat: 0.6, round: 7, rim: 2.2 * d})
	s1 := s.column.find(s1)
	s.fill(s.bone, band(s1.endplate(1, 0.1), 1.8, 1.8), tissue{depth: 4.5 * d, flat: 1})
	for row := range 4 {
		y := (20 + 19*float64(row)) * z
		for _, side := range []float64{-1, 1} {
			hole := point{side * (22 - 2.2*float64(row)) * z, y}
			s.fill(s.bone, ellipse(hole, 6*z, 4.2*z, side*0.5), tissue{depth: -4.4 * d, flat: 0.5, round: 2.5, rim: 1.5 * d})
		}
		s.fill(s.bone, ellipse(point{0, y - 6*z}, 2.4*z, 6*z, 0), tissue{depth: 2.4 * d, flat: 0.5, round: 2, rim: 2 * d})
	}
	for _, side := range []float64{-1, 1} {
		wing := half(side, point{44, 4}, point{52, -22}, point{78, -44}, point{108, -42}, point{132, -20},
			point{142, 14}, point{133, 44}, point{118, 66}, point{120, 92}, point{100, 104}, point{76, 92},
			point{62, 72}, point{52, 56}, point{46, 32})
		s.fill(s.bone, closed(wing, 5), tissue{depth: 3.6 * d, flat: 0.75, round: 9, rim: 3.8 * d})
		brim := half(side, point{52, 56}, point{66, 76}, point{78, 96}, point{72, 118}, point{48, 134}, point{8, 142})
		s.fill(s.bone, band(curve(brim, 5), 7*z, 15*z), tissue{depth: 3.6 * d, flat: 0.6, round: 4, rim: 2.4 * d})
		seat := half(side, point{92, 116}, point{84, 150}, point{62, 172}, point{34, 164}, point{8, 148})
		s.fill(s.bone, band(curve(seat, 5), 20*z, 12*z), tissue{depth: 3.4 * d, flat: 0.6, round: 5, rim: 2 * d})
		s.fill(s.bone, ellipse(point{side * 100 * z, 116 * z}, 24*z, 24*z, 0),
			tissue{depth: 5.5 * d, flat: 0.4, round: 10, rim: 2 * d})
		femur := half(side, point{104, 120}, point{128, 136}, point{142, 168}, point{146, 240})
		s.fill(s.bone, band(curve(femur, 5), 28*z, 30*z), tissue{depth: 5 * d, flat: 0.5, round: 6, rim: 3 * d})
	}
	skull := s.height(float64(c3)) - 92*z
	s.fill(s.bone, ellipse(point{0, skull}, 72*z, 88*z, 0), tissue{depth: 5 * d, flat: 0.4, round: 20, rim: 5 * d})
}
