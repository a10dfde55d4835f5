package strangers

import "math"

func noise(c *canvas) {
	middle, spread := c.between(0.3, 0.7), c.between(0.05, 0.3)
	c.paint(func(_, _, _ float64) float64 { return middle + spread*c.NormFloat64() })
}

// clouds is noise with as much of it at every scale.
func clouds(c *canvas) {
	type wave struct{ fx, fy, phase, strength float64 }
	var waves []wave
	for k := range 40 {
		f := math.Exp(c.between(math.Log(1), math.Log(60)))
		a := c.between(0, 2*math.Pi)
		waves = append(waves, wave{f * math.Cos(a), f * math.Sin(a), float64(k), c.between(0.1, 0.4) / math.Sqrt(f)})
	}
	c.paint(func(x, y, _ float64) float64 {
		g := 0.5
		for _, w := range waves {
			g += w.strength * math.Sin(2*math.Pi*(w.fx*x+w.fy*y)+w.phase)
		}
		return g
	})
}

// page is lines of dark words on white.
func page(c *canvas) {
	for i := range c.v {
		c.v[i] = 0.95
	}
	line := int(c.between(10, 22))
	for top := 2 * line; top < c.h-2*line; top += line {
		for left := c.w / 12; left < c.w-c.w/8; {
			word := int(c.between(2, 9) * float64(line) / 3)
			for y := top; y < top+line/2; y++ {
				for x := left; x < min(left+word, c.w-c.w/12); x++ {
					if c.IntN(2) == 0 {
						c.v[y*c.w+x] = 0.1
					}
				}
			}
			left += word + line/3
		}
	}
}

// room is a floor, a wall and things before it.
func room(c *canvas) {
	horizon, wall, floor := c.between(-0.1, 0.25), c.between(0.4, 0.9), c.between(0.1, 0.5)
	c.paint(func(x, y, _ float64) float64 {
		return wall + 0.2*x + (floor-wall)*step(y-horizon, 0.01) + 0.3*y
	})
	for range 4 + c.IntN(8) {
		cx, cy, a, b := c.between(-0.4, 0.4), c.between(-0.3, 0.4), c.between(0.02, 0.2), c.between(0.02, 0.2)
		grey, lit := c.between(0, 1), c.between(-2, 2)
		c.paint(func(x, y, g float64) float64 {
			in := step(a-math.Abs(x-cx), 0.004) * step(b-math.Abs(y-cy), 0.004)
			return g + in*(grey+lit*(x-cx)-g)
		})
	}
}

// section is a slice through head or trunk, as CT and MR give it.
func section(c *canvas) {
	a, b := c.between(0.28, 0.42), c.between(0.28, 0.42)
	c.ellipse(0, 0, a, b, c.between(-0.2, 0.2), c.between(0.2, 0.45), c.between(0.1, 0.6), c.between(0.008, 0.03))
	for range 5 + c.IntN(10) {
		r, t := 0.65*math.Sqrt(c.Float64()), c.between(0, 2*math.Pi)
		c.ellipse(r*a*math.Cos(t), r*b*math.Sin(t), c.between(0.02, 0.12), c.between(0.02, 0.12), c.between(0, 3),
			c.between(-0.3, 0.4), 0, 0.01)
	}
}

// fan is an ultrasound's sector of speckle.
func fan(c *canvas) {
	half, near, far := c.between(0.4, 0.8), c.between(0.05, 0.2), c.between(0.75, 0.95)
	top := -float64(c.h)/2/c.unit - near/2
	var blobs [6][4]float64
	for i := range blobs {
		blobs[i] = [4]float64{c.between(-0.3, 0.3), c.between(-0.3, 0.3), c.between(0.03, 0.15), c.between(-0.3, 0.4)}
	}
	c.paint(func(x, y, _ float64) float64 {
		r, angle := math.Hypot(x, y-top), math.Atan2(x, y-top)
		if r < near || r > far || math.Abs(angle) > half {
			return 0
		}
		g := 0.3
		for _, b := range blobs {
			g += b[3] * math.Exp(-((x-b[0])*(x-b[0])+(y-b[1])*(y-b[1]))/(b[2]*b[2]))
		}
		return max(g, 0.05) * math.Abs(c.NormFloat64())
	})
}

// rods are long bones: one or two side by side, in one piece or with a joint.
func rods(c *canvas) {
	lean, n := c.between(-0.08, 0.08), 1+c.IntN(2)
	flesh, bone := c.between(0.15, 0.3), c.between(0.25, 0.45)
	reach := 0.5 * float64(c.w) / c.unit
	c.rod(-lean, -0.7, lean, 0.7, reach*c.between(0.5, 0.9), flesh, 0)
	joint := c.between(-0.2, 0.2)
	for k := range n {
		x := (float64(k) - float64(n-1)/2) * reach * c.between(0.45, 0.6)
		radius := reach * c.between(0.12, 0.22)
		if c.IntN(2) == 0 {
			c.rod(x-lean, -0.7, x+lean, 0.7, radius, bone, 0.25)
			continue
		}
		c.rod(x-lean, -0.7, x, joint-0.02, radius, bone, 0.25)
		c.rod(x, joint+0.02, x+lean, 0.7, radius, bone, 0.25)
	}
}

func hand(c *canvas) {
	flesh, bone := c.between(0.1, 0.25), c.between(0.25, 0.45)
	reach := 0.5 * float64(c.w) / c.unit
	c.ellipse(0, 0.15, reach*0.55, 0.2, 0, flesh, 0, 0.01)
	for k := range 5 {
		angle := (float64(k)-2)*c.between(0.2, 0.3) - math.Pi/2
		x0, y0 := 0.35*reach*(float64(k)-2)/2, 0.2
		dx, dy := math.Cos(angle), math.Sin(angle)
		long := c.between(0.5, 0.6)
		c.rod(x0, y0, x0+dx*long, y0+dy*long, 0.1*reach, flesh, 0)
		for _, p := range [][2]float64{{0, 0.4}, {0.43, 0.66}, {0.69, 0.84}, {0.87, 0.98}} {
			c.rod(x0+dx*long*p[0], y0+dy*long*p[0], x0+dx*long*p[1], y0+dy*long*p[1], 0.05*reach, bone, 0.15)
		}
	}
}

// chest has two dark lungs behind ribs, the heart and a faint column.
func chest(c *canvas) {
	reach := 0.5 * float64(c.w) / c.unit
	c.paint(func(x, y, _ float64) float64 { return 0.6 * step(reach*1.02-math.Abs(x)-0.1*(0.3-y), 0.02) })
	for _, side := range []float64{-1, 1} {
		c.ellipse(side*reach*c.between(0.42, 0.5), c.between(-0.06, 0.02), reach*c.between(0.3, 0.38), c.between(0.3, 0.38), 0,
			-c.between(0.35, 0.5), 0, 0.02)
		for k := range 8 {
			y := -0.32 + 0.085*float64(k)
			c.rod(side*0.08, y, side*reach*0.85, y+c.between(0.04, 0.1), 0.012, 0.08, 0.05)
		}
	}
	c.ellipse(c.between(0.02, 0.08), 0.15, c.between(0.12, 0.18), c.between(0.12, 0.2), 0.5, c.between(0.1, 0.3), 0, 0.02)
	c.rod(0, -0.6, 0, 0.6, 0.05, c.between(0.05, 0.2), 0)
}

// skull is a head from the front or the side.
func skull(c *canvas) {
	reach := 0.5 * float64(c.w) / c.unit
	c.ellipse(0, -0.08, reach*c.between(0.75, 0.9), c.between(0.32, 0.4), 0, c.between(0.25, 0.4), c.between(0.2, 0.45), 0.02)
	for _, side := range []float64{-1, 1} {
		c.ellipse(side*reach*0.35, 0.05, reach*0.22, 0.07, 0, -0.2, 0.2, 0.01)
	}
	c.ellipse(0, 0.3, reach*0.45, 0.15, 0, 0.25, 0.1, 0.02)
	for k := range 8 {
		c.rod(reach*(float64(k)-3.5)*0.09, 0.28, reach*(float64(k)-3.5)*0.09, 0.33, 0.015, 0.2, 0.1)
	}
}
