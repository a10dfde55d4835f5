package trial

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
)

// photograph makes a colour picture of no X-ray: a meadow with a house.
func photograph() ([]byte, error) {
	const width, height = 640, 480
	random := rand.New(rand.NewPCG(3, 1))
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := scene(float64(x)/width, float64(y)/height)
			noise := 8 * random.NormFloat64()
			at := func(v float64) uint8 { return uint8(min(max(255*v+noise, 0), 255)) }
			m.SetRGBA(x, y, color.RGBA{at(c[0]), at(c[1]), at(c[2]), 255})
		}
	}
	var out bytes.Buffer
	err := jpeg.Encode(&out, m, &jpeg.Options{Quality: 90})
	return out.Bytes(), err
}

// scene returns red, green and blue, 0 to 1, at a place of the picture.
func scene(x, y float64) [3]float64 {
	roof := y > 0.35 && y < 0.55 && math.Abs(x-0.3) < y-0.35
	switch {
	case math.Hypot(x-0.8, (y-0.15)*0.75) < 0.06:
		return [3]float64{1, 0.9, 0.3} // the sun
	case roof:
		return [3]float64{0.7, 0.2, 0.15}
	case y > 0.55 && y < 0.8 && math.Abs(x-0.3) < 0.17:
		return [3]float64{0.95, 0.85, 0.6} // the wall
	case y > 0.6+0.05*math.Sin(9*x):
		return [3]float64{0.2, 0.45 + 0.2*math.Sin(40*x)*math.Sin(30*y), 0.1} // the meadow
	}
	return [3]float64{0.35 + 0.3*y, 0.55 + 0.3*y, 0.95} // the sky
}
