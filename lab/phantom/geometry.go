package phantom

import "math"

// point is a place in millimetres: X to the right of the picture, Y downwards.
type point struct{ X, Y float64 }

func (p point) add(q point) point         { return point{p.X + q.X, p.Y + q.Y} }
func (p point) sub(q point) point         { return point{p.X - q.X, p.Y - q.Y} }
func (p point) mul(f float64) point       { return point{p.X * f, p.Y * f} }
func (p point) dot(q point) float64       { return p.X*q.X + p.Y*q.Y }
func (p point) length() float64           { return math.Hypot(p.X, p.Y) }
func between(p, q point, f float64) point { return p.add(q.sub(p).mul(f)) }

// along is the direction of an endplate tilted by a radians, from its first
// end to its second; clockwise on the screen is positive.
func along(a float64) point { return point{math.Cos(a), math.Sin(a)} }

// upward is at right angles to along, towards the head.
func upward(a float64) point { return point{math.Sin(a), -math.Cos(a)} }

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
func degrees(radians float64) float64 { return radians * 180 / math.Pi }

// ellipse returns the outline of an ellipse with half axes a and b, turned by
// tilt radians.
func ellipse(c point, a, b, tilt float64) []point {
	const n = 20
	e, u := along(tilt), upward(tilt)
	outline := make([]point, n)
	for i := range outline {
		w := 2 * math.Pi * float64(i) / n
		outline[i] = c.add(e.mul(a * math.Cos(w))).add(u.mul(b * math.Sin(w)))
	}
	return outline
}

// closed returns a smooth closed outline through the given points
// (Catmull-Rom), steps points for each of them.
func closed(through []point, steps int) []point {
	n := len(through)
	outline := make([]point, 0, n*steps)
	for i := range n {
		a, b := through[(i+n-1)%n], through[i]
		c, d := through[(i+1)%n], through[(i+2)%n]
		for k := range steps {
			outline = append(outline, catmullRom(a, b, c, d, float64(k)/float64(steps)))
		}
	}
	return outline
}

// curve returns a smooth open line through the given points.
func curve(through []point, steps int) []point {
	n := len(through)
	line := make([]point, 0, n*steps)
	for i := range n - 1 {
		a, b := through[max(i-1, 0)], through[i]
		c, d := through[i+1], through[min(i+2, n-1)]
		for k := range steps {
			line = append(line, catmullRom(a, b, c, d, float64(k)/float64(steps)))
		}
	}
	return append(line, through[n-1])
}

func catmullRom(a, b, c, d point, f float64) point {
	axis := func(a, b, c, d float64) float64 {
		return 0.5 * (2*b + (c-a)*f + (2*a-5*b+4*c-d)*f*f + (3*b-a-3*c+d)*f*f*f)
	}
	return point{axis(a.X, b.X, c.X, d.X), axis(a.Y, b.Y, c.Y, d.Y)}
}

// band returns the outline of a line drawn with a pen whose width, in
// millimetres, goes from first to last along it.
func band(line []point, first, last float64) []point {
	n := len(line)
	outline := make([]point, 2*n)
	for i, p := range line {
		ahead := line[min(i+1, n-1)].sub(line[max(i-1, 0)])
		l := math.Max(ahead.length(), 1e-9)
		half := 0.5 * (first + (last-first)*float64(i)/float64(n-1))
		side := point{-ahead.Y / l * half, ahead.X / l * half}
		outline[i] = p.add(side)
		outline[2*n-1-i] = p.sub(side)
	}
	return outline
}

// stop is one place of a table that is read by linear interpolation.
type stop struct {
	at     float64
	values [3]float64
}

// interpolate reads a table whose stops ascend; beyond its ends the table
// stays at its first or last stop.
func interpolate(table []stop, at float64) [3]float64 {
	if at <= table[0].at {
		return table[0].values
	}
	for i := 1; i < len(table); i++ {
		a, b := table[i-1], table[i]
		if at > b.at {
			continue
		}
		f := (at - a.at) / (b.at - a.at)
		var v [3]float64
		for k := range v {
			v[k] = a.values[k] + f*(b.values[k]-a.values[k])
		}
		return v
	}
	return table[len(table)-1].values
}

// camera brings millimetres onto the picture and back.
type camera struct {
	scale    float64 // pixels for one millimetre
	tilt     float64 // radians by which the patient is turned on the picture
	centre   point   // the place in millimetres that lies in the picture's middle
	mirrored bool    // a lateral view that faces right
	width    int     // pixels
	height   int
}

// pixel returns where p lies in the picture; the first pixel's middle is at
// 0.5, 0.5.
func (c camera) pixel(p point) point {
	d := p.sub(c.centre).mul(c.scale)
	q := along(c.tilt).mul(d.X).add(upward(c.tilt).mul(-d.Y))
	if c.mirrored {
		q.X = -q.X
	}
	return point{float64(c.width)/2 + q.X, float64(c.height)/2 + q.Y}
}

// place is the inverse of pixel.
func (c camera) place(q point) point {
	d := point{q.X - float64(c.width)/2, q.Y - float64(c.height)/2}
	if c.mirrored {
		d.X = -d.X
	}
	p := point{d.dot(along(c.tilt)), -d.dot(upward(c.tilt))}
	return p.mul(1 / c.scale).add(c.centre)
}
