package phantom

// lateral draws a lumbosacral side view that faces left.
func (s *scene) lateral() {
	s.lateralBody()
	s.lateralLungs()
	s.bowel(s.height(float64(l1)), s.height(float64(s1))+40, -95, 55)
	s.lateralRibs()
	s.lateralPelvis()
	s.sacrum()
	for i := range s.column {
		if v := &s.column[i]; v.level >= t1 && v.level < s1 {
			s.lateralVertebra(v)
			s.lateralArch(v)
		}
	}
}

// lateralBody lays down the body from side to side; behind the back there is
// only air.
func (s *scene) lateralBody() {
	g := s.build.girt
	back := s.chance.between(78, 98) // from the bodies' middle to the skin, millimetres
	at := func(l level, up, behind, depth float64) stop {
		return stop{s.height(float64(l)) + up, [3]float64{150 * g, depth * g, back + behind - 150*g}}
	}
	table := []stop{
		at(t1, 0, -10, 250), at(t1+6, 0, -6, 260), at(t12, 0, 0, 262), at(l1+2, 0, -6, 250),
		at(l4, 0, -2, 268), at(s1, 0, 16, 288), at(s1, 60, 34, 298), at(s1, 130, 36, 295),
	}
	lean := s.column.find(l1 + 2).centre().X
	s.thickness(table, func(y float64) float64 { return lean + interpolate(table, y)[2] })
}

// lateralLungs takes the air out above the diaphragm, before and behind the
// column.
func (s *scene) lateralLungs() {
	air := -s.chance.between(55, 90) * s.build.girt
	y := s.height(float64(t12)) + s.chance.between(-26, 4)
	x := s.column.find(t12).centre().X
	outline := closed([]point{{x - 170, y - 55}, {x - 105, y - 62}, {x - 50, y - 44}, {x - 10, y - 10},
		{x + 28, y + 12}, {x + 48, y - 6}, {x + 50, y - 80}, {x + 30, y - 400}, {x - 170, y - 400}}, 6)
	s.fill(s.soft, outline, tissue{depth: air, flat: 0.6, round: 16})
}

func (s *scene) lateralRibs() {
	z, d := s.build.size, s.build.bone
	for l := t1 + 5; l <= t12; l++ {
		v := s.column.find(l)
		for _, shift := range []float64{0, s.chance.between(4, 9)} { // right and left do not quite meet
			root := v.at(1.25, 0.3).add(point{shift, shift * 0.6})
			length := 1.0
			if l == t12 {
				length = 0.5
			}
			line := curve([]point{root, root.add(point{16 * z, 14 * z}),
				root.add(point{14 * z * length, 44 * z * length}),
				root.add(point{-28 * z * length, 84 * z * length}),
				root.add(point{-90 * z * length, 118 * z * length})}, 6)
			s.fill(s.bone, band(line, 7*z, 9*z), tissue{depth: 1.1 * d, flat: 0.6, round: 3, rim: 1.3 * d})
		}
	}
}

// lateralPelvis draws the iliac wings, one over the other, and the hip joints.
func (s *scene) lateralPelvis() {
	z, d := s.build.size, s.build.bone
	y := s.height(float64(l5)) - s.chance.between(6, 20)
	for _, shift := range []point{{0, 0}, {s.chance.between(-10, 10), s.chance.between(4, 12)}} {
		at := func(x, dy float64) point { return point{x*z + shift.X, y + dy*z + shift.Y} }
		wing := closed([]point{at(-74, 52), at(-58, 14), at(-22, -2), at(22, 4), at(54, 30), at(66, 62),
			at(44, 92), at(20, 118), at(-16, 134), at(-48, 124), at(-70, 92)}, 5)
		s.fill(s.bone, wing, tissue{depth: 1.2 * d, flat: 0.8, round: 8, rim: 2.1 * d})
		s.fill(s.bone, ellipse(at(-34, 142), 24*z, 24*z, 0), tissue{depth: 5 * d, flat: 0.4, round: 10, rim: 2 * d})
	}
}

// sacrum draws S1 and the fused vertebrae below it, curving backwards and
// down, then forwards again.
func (s *scene) sacrum() {
	d := s.build.bone
	v := *s.column.find(s1)
	s.fill(s.bone, v.body(0.05, 0.04), tissue{depth: 14 * d, flat: 0.85, round: 4, rim: 6.5 * d})
	s.fill(s.bone, band(v.endplate(0.97, 0.04), 2.2, 2.2), tissue{depth: 15 * d, flat: 1})
	crest := []point{v.at(1.9, 0.2)}
	for n := range 4 {
		v = below(v, 0.84-0.03*float64(n), radians(13+3*float64(n)))
		s.fill(s.bone, v.body(0.02, 0.03), tissue{depth: (9 - 1.5*float64(n)) * d, flat: 0.7, round: 4, rim: 3.4 * d})
		crest = append(crest, v.at(1.9, 0.2))
	}
	s.fill(s.bone, band(curve(crest, 4), 14*s.build.size, 6*s.build.size),
		tissue{depth: 3 * d, flat: 0.5, round: 4, rim: 1.5 * d})
}

// below returns a sacral segment fused to the one above, shrunk and turned.
func below(v vertebra, shrink, turn float64) vertebra {
	a := tiltOf(v.lower) + turn
	back := v.lower[1].sub(upward(a).mul(2.5))
	depth := v.lower[1].sub(v.lower[0]).length()
	foot := back.sub(upward(a + turn/2).mul(depth * 0.82))
	return vertebra{level: v.level,
		upper: [2]point{back.sub(along(a).mul(depth)), back},
		lower: [2]point{foot.sub(along(a + turn/2).mul(depth * shrink)), foot}}
}

func (s *scene) lateralVertebra(v *vertebra) {
	d := s.build.bone
	s.fill(s.bone, v.body(0.09, 0.06), tissue{depth: 9.5 * d, flat: 0.8, round: 4, rim: 5.5 * d})
	for _, t := range []float64{1, -1} {
		s.fill(s.bone, band(v.endplate(t*0.97, 0.04), 1.7, 1.7), tissue{depth: 11 * d, flat: 1})
		s.fill(s.bone, band(v.endplate(t*0.90, 0.10), 1.3, 1.3), tissue{depth: 3 * d, flat: 1})
	}
}

// lateralArch draws pedicle, articular processes, isthmus and spinous process.
// In a slip with a broken isthmus, what lies behind the break stays back.
func (s *scene) lateralArch(v *vertebra) {
	d, z := s.build.bone, s.build.size
	b := v.behind
	broken := b != point{}
	back := func(x, t float64) point { return v.at(x, t).add(b) }
	pedicle := []point{v.at(0.9, 0.72), v.at(1.42, 0.66), v.at(1.46, 0.12), v.at(0.9, 0.06)}
	s.fill(s.bone, closed(pedicle, 3), tissue{depth: 9 * d, flat: 0.6, round: 3, rim: 4 * d})
	s.fill(s.bone, ellipse(v.at(1.2, 0.36), 4*z, 4*z, 0), tissue{depth: 3 * d, flat: 0.4, round: 2, rim: 4 * d})
	horn := curve([]point{v.at(1.40, 0.35), v.at(1.56, 0.95), v.at(1.52, 1.35)}, 3)
	s.fill(s.bone, band(horn, 9*z, 5*z), tissue{depth: 8 * d, flat: 0.6, round: 3, rim: 3 * d})
	isthmus := []point{v.at(1.44, 0.25), back(1.66, -0.35), back(1.74, -0.95), back(1.66, -1.4)}
	if broken {
		isthmus[0] = back(1.60, -0.2)
	}
	s.fill(s.bone, band(curve(isthmus, 3), 8*z, 6*z), tissue{depth: 8 * d, flat: 0.6, round: 3, rim: 3 * d})
	drop, reach := 0.5, 2.9
	if v.level < l1 {
		drop, reach = 1.6, 2.7
	}
	if v.level == l5 {
		reach = 2.5
	}
	blade := []point{back(1.72, 0.0), back((1.7+reach)/2, -0.2-0.3*drop), back(reach, -drop),
		back(reach-0.1, -drop-0.75), back((1.7+reach)/2, -0.75-0.4*drop), back(1.75, -0.75)}
	s.fill(s.bone, closed(blade, 4), tissue{depth: 5 * d, flat: 0.6, round: 4, rim: 3 * d})
}
