package phantom

import "math"

// scene is a patient in millimetres, with the planes that the rays' path
// lengths are added up in.
type scene struct {
	*painter
	build  build
	column column
	chance stream // for what differs from one patient to the next

	soft *plane // millimetres of water-like tissue, less the gas in it
	bone *plane // millimetres of compact bone
}

// height is where a level's middle lies on the patient.
func (s *scene) height(l float64) float64 {
	a := s.column.find(level(l)).centre().Y
	if f := l - math.Floor(l); f > 0 {
		return a + f*(s.column.find(level(l)+1).centre().Y-a)
	}
	return a
}

// middle is where the column lies at a height, across the picture.
func (s *scene) middle(y float64) float64 {
	for i := 1; i < len(s.column); i++ {
		a, b := s.column[i-1].centre(), s.column[i].centre()
		if y <= b.Y || i == len(s.column)-1 {
			f := min(max((y-a.Y)/(b.Y-a.Y), 0), 1)
			return a.X + f*(b.X-a.X)
		}
	}
	return 0
}

// frontal draws an AP view.
func (s *scene) frontal() {
	s.frontalBody()
	s.lungs()
	s.muscle()
	s.bowel(s.height(float64(l1)), s.height(float64(s1))+90, 0, 110)
	s.ribCage()
	s.pelvis()
	for i := range s.column {
		v := &s.column[i]
		if v.level < s1 {
			s.frontalVertebra(v)
		}
	}
}

// frontalBody lays down the body's thickness: an ellipse at every height.
func (s *scene) frontalBody() {
	g := s.build.girt
	at := func(l level, up, half, depth float64) stop {
		return stop{s.height(float64(l)) + up, [3]float64{half * (0.5 + 0.5*g), depth * g}}
	}
	table := []stop{
		at(c3, -60, 80, 165), at(c3, -25, 72, 140), at(c3, 10, 62, 118), at(c7, -8, 66, 120),
		at(t1, 0, 150, 140), at(t1+1, 0, 190, 165), at(t1+4, 0, 170, 205), at(t1+8, 0, 155, 212),
		at(t12, 0, 148, 205), at(l1+1, 0, 140, 196), at(l4, 0, 150, 200), at(s1, 0, 170, 206),
		at(s1, 90, 178, 200), at(s1, 160, 180, 185),
	}
	s.thickness(table, func(float64) float64 { return 0 })
}

// thickness fills the soft plane from a table of half widths and depths by
// height; axis is the middle of the body at a height.
func (s *scene) thickness(table []stop, axis func(y float64) float64) {
	const step = 2.0 // millimetres between the rows of the prepared table
	first := table[0].at - 200
	rows := make([][3]float32, int((table[len(table)-1].at+400-first)/step))
	for i := range rows {
		y := first + step*float64(i)
		v := interpolate(table, y)
		rows[i] = [3]float32{float32(axis(y)), float32(1 / v[0]), float32(v[1])}
	}
	across := s.camera.place(point{1, 0}).sub(s.camera.place(point{0, 0}))
	for y := range s.soft.height {
		p := s.camera.place(point{0.5, float64(y) + 0.5})
		out := s.soft.v[y*s.soft.width : (y+1)*s.soft.width]
		for x := range out {
			i := min(max(int((p.Y-first)/step), 0), len(rows)-1)
			r := (float32(p.X) - rows[i][0]) * rows[i][1]
			if q := 1 - r*r; q > 0 {
				out[x] += rows[i][2] * float32(math.Sqrt(float64(q)))
			}
			p = p.add(across)
		}
	}
}

// lungs takes the air out of the chest, beside a mediastinum that follows the
// column, and puts heart and trachea in.
func (s *scene) lungs() {
	air := -s.chance.between(62, 95) * s.build.girt
	for _, side := range []float64{-1, 1} {
		dome := s.height(float64(t1+9)) + s.chance.bell(9)
		if side > 0 {
			dome += 12 // the left dome stands lower; the picture's right
		}
		var outline []point
		for _, q := range []struct{ l, medial float64 }{{6, 24}, {8, 27}, {10, 30}, {12, 33}} {
			y := s.height(q.l)
			outline = append(outline, point{0.75*s.middle(y) + side*q.medial*s.build.size, y})
		}
		low := s.height(float64(l1))
		outline = append(outline,
			point{0.75*s.middle(dome) + side*46, dome + 7}, point{side * 84, dome - 4}, point{side * 112, dome + 20},
			point{side * 136, low - 12}, point{side * 142, low - 60},
			point{side * 136, s.height(10)}, point{side * 112, s.height(7.5)},
			point{side * 78, s.height(5.6)}, point{side * 45, s.height(5.2)})
		s.fill(s.soft, closed(outline, 5), tissue{depth: air, flat: 0.55, round: 26})
	}
	heart := point{s.middle(s.height(12))*0.7 + 38, s.height(12.8)}
	s.fill(s.soft, ellipse(heart, 44*s.build.size, 60*s.build.size, radians(-28)),
		tissue{depth: 36, flat: 0.35, round: 18})
	neck := []point{}
	for l := 0.0; l <= 9; l++ {
		y := s.height(l)
		neck = append(neck, point{0.6*s.middle(y) + 1.5, y})
	}
	s.fill(s.soft, band(neck, 15, 17), tissue{depth: -17, flat: 0.1, round: 5})
}

// muscle lays the muscles and vessels along the column.
func (s *scene) muscle() {
	var line []point
	for l := 4.0; l <= float64(s1); l++ {
		y := s.height(l)
		line = append(line, point{s.middle(y), y})
	}
	s.fill(s.soft, band(line, 50*s.build.size, 92*s.build.size), tissue{depth: 22, flat: 0.12, round: 22})
}

// bowel scatters gas: single bubbles and clusters of small ones.
func (s *scene) bowel(top, bottom, axis, reach float64) {
	for range 3 + s.chance.IntN(5) {
		c := point{axis + s.chance.sign()*s.chance.between(0.3, 1)*reach, s.chance.between(top, bottom)}
		if s.chance.chance(0.5) {
			s.bubble(c, s.chance.between(8, 22), -s.chance.between(20, 45))
			continue
		}
		for range 4 + s.chance.IntN(9) {
			at := c.add(point{s.chance.bell(16), s.chance.bell(16)})
			s.bubble(at, s.chance.between(3, 8), -s.chance.between(8, 22))
		}
	}
}

func (s *scene) bubble(c point, radius, gas float64) {
	outline := make([]point, 7)
	for i := range outline {
		w := 2 * math.Pi * float64(i) / float64(len(outline))
		r := radius * s.chance.between(0.7, 1.25)
		outline[i] = c.add(point{r * math.Cos(w) * 1.15, r * math.Sin(w)})
	}
	s.fill(s.soft, closed(outline, 4), tissue{depth: gas, flat: 0.3, round: radius * 0.5})
}

// frontalVertebra draws one vertebra from the front: body with endplates,
// pedicles, laminae, spinous and transverse processes.
func (s *scene) frontalVertebra(v *vertebra) {
	d := s.build.bone
	wide := v.upper[1].sub(v.upper[0]).length()
	tall := between(v.upper[0], v.upper[1], 0.5).sub(between(v.lower[0], v.lower[1], 0.5)).length()
	lumbar, neck := v.level >= l1, v.level < t1
	waist := 0.07
	if lumbar {
		waist = 0.12
	}
	s.fill(s.bone, v.body(waist, 0.05), tissue{depth: 5 * d, flat: 0.55, round: 5, rim: 3.8 * d})
	for _, t := range []float64{1, -1} {
		s.fill(s.bone, band(v.endplate(t*0.97, 0.03), 1.5, 1.5), tissue{depth: 6.5 * d, flat: 1})
		s.fill(s.bone, band(v.endplate(t*0.84, 0.14), 1.3, 1.3), tissue{depth: 3 * d, flat: 1})
	}
	tilt := tiltOf(v.upper)
	for _, side := range []float64{-1, 1} {
		// Turned, one pedicle slides towards the middle, the other to the rim.
		eye := v.at(side*0.60+0.5*v.turn, 0.26)
		s.fill(s.bone, ellipse(eye, wide*0.105, tall*0.25, tilt),
			tissue{depth: 2.5 * d, flat: 0.6, round: 2.4, rim: 6.5 * d})
		lamina := []point{v.at(side*0.52+0.6*v.turn, 0.1), v.at(side*0.28+0.8*v.turn, -0.5), v.at(v.turn, -0.75)}
		s.fill(s.bone, band(lamina, 6*s.build.size, 4*s.build.size), tissue{depth: 3.4 * d, flat: 0.6, round: 3, rim: 0.8 * d})
		if neck {
			continue
		}
		s.transverse(v, side, lumbar)
	}
	length := 0.55
	if lumbar {
		length = 0.75
	}
	process := []point{v.at(v.turn-0.06, 0.1), v.at(v.turn+0.06, 0.1), v.at(v.turn+0.12, -length),
		v.at(v.turn, -length-0.25), v.at(v.turn-0.12, -length)}
	s.fill(s.bone, closed(process, 4), tissue{depth: 5 * d, flat: 0.7, round: 2, rim: 6.5 * d})
}

// transverse draws a transverse process and, in the lumbar spine, the facet
// joint that bridges the disc below.
func (s *scene) transverse(v *vertebra, side float64, lumbar bool) {
	d, z := s.build.bone, s.build.size
	reach, rise := 1.45, 0.55
	if lumbar {
		reach, rise = 1.75, 0.25
	}
	line := curve([]point{v.at(side*0.75, 0.2), v.at(side*(0.5*reach+0.5), 0.15+0.3*rise), v.at(side*reach, rise)}, 3)
	s.fill(s.bone, band(line, 7*z, 5*z), tissue{depth: 3 * d, flat: 0.6, round: 2.5, rim: 2 * d})
	if lumbar {
		s.fill(s.bone, ellipse(v.at(side*0.55, -1.05), 5*z, 9*z, side*0.2),
			tissue{depth: 4.5 * d, flat: 0.6, round: 3, rim: 2 * d})
	}
}
