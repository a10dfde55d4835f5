package relevance

// Floors are maps that know nothing of the picture: what a network's figures
// must beat to mean anything.

// Uniform is a map that marks everything alike.
func Uniform(width, height int) Plane {
	p := NewPlane(width, height)
	for i := range p.Values {
		p.Values[i] = 1
	}
	return p
}

// Centred is a Gaussian in the middle, a quarter of the picture's width and
// height in standard deviation.
func Centred(width, height int) Plane {
	p := NewPlane(width, height)
	at := func(i, n int) float64 { return ((float64(i)+0.5)/float64(n) - 0.5) / 0.25 }
	for y := range height {
		for x := range width {
			p.Values[y*width+x] = float32(gaussian(at(x, width)) * gaussian(at(y, height)))
		}
	}
	return p
}

// Average is the mean of regions: a map that has learned where the anatomy
// lies as a rule, and looks at no picture. Planes of another size than the
// first are an error.
func Average(regions []Plane) (Plane, error) {
	if len(regions) == 0 {
		return Plane{}, nil
	}
	mean := NewPlane(regions[0].Width, regions[0].Height)
	for _, r := range regions {
		if err := same(r, mean); err != nil {
			return Plane{}, err
		}
		for i, v := range r.Values {
			mean.Values[i] += v / float32(len(regions))
		}
	}
	return mean, nil
}
