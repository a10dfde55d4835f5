package gate

import (
	"math"

	"spinebox/models/input"
)

// The views' names.
const (
	Grey     = "grey"     // 16×8 mean greys of the picture
	Edges    = "edges"    // how strong the edges of eight directions are, on 8×4 places
	Texture  = "texture"  // fineness, extremes, symmetry
	Shape    = "shape"    // the logarithm of height ÷ width: spines are tall
	Features = "features" // the network's, after global average pooling, scaled to length 1
)

// Seen is a picture as the views see it.
type Seen struct{ Grey, Edges, Texture, Shape, Features []float32 }

// Of returns what the view of that name sees; nil for none.
func (s Seen) Of(name string) []float32 {
	switch name {
	case Grey:
		return s.Grey
	case Edges:
		return s.Edges
	case Texture:
		return s.Texture
	case Shape:
		return s.Shape
	case Features:
		return s.Features
	}
	return nil
}

// Names returns the views' names, in the order of a gate's file.
func Names() []string { return []string{Grey, Edges, Texture, Shape, Features} }

// The picture, stretched over rows×columns.
const rows, columns = 64, 32

// See looks at a picture: the plane that input.Spec.Plane made of it, where it
// lies there, its height ÷ width, and the network's features (nil: none).
func See(plane []float32, f input.Frame, shape float64, features []float32) Seen {
	p := stretch(plane, f)
	return Seen{
		Grey:     shrink(p, rows, columns, 4, 1.0/64),
		Edges:    edges(p),
		Texture:  append(texture(p), fine(plane, f)-variance(p)),
		Shape:    []float32{float32(math.Log(shape))},
		Features: unit(features),
	}
}

// stretch returns the picture in the plane as rows×columns means.
func stretch(plane []float32, f input.Frame) []float32 {
	content := make([]float32, f.W*f.H)
	for y := range f.H {
		copy(content[y*f.W:(y+1)*f.W], plane[(f.Y+y)*f.Width+f.X:])
	}
	return input.Resample(content, f.W, f.H, columns, rows)
}

// shrink returns the means of k×k blocks, times scale.
func shrink(v []float32, h, w, k int, scale float32) []float32 {
	out := make([]float32, h/k*(w/k))
	for y := range h {
		for x := range w {
			out[y/k*(w/k)+x/k] += v[y*w+x]
		}
	}
	for i := range out {
		out[i] *= scale / float32(k*k)
	}
	return out
}

// edges is a histogram of gradient directions (Dalal and Triggs 2005) on places
// of 8×8 cells. Each direction takes the gradients near it by a power of the
// doubled angle's cosine, so that no angle is ever computed.
// A place's histogram is scaled by its own strength and half the picture's.
func edges(p []float32) []float32 {
	const directions, cell = 8, 8
	const high, wide = rows / cell, columns / cell
	var cosine, sine [directions]float32
	for b := range directions {
		s, c := math.Sincos(2 * math.Pi * float64(b) / directions)
		cosine[b], sine[b] = float32(c), float32(s)
	}
	out := make([]float32, high*wide*directions)
	for y := range rows {
		up, down := max(y-1, 0), min(y+1, rows-1)
		for x := range columns {
			left, right := max(x-1, 0), min(x+1, columns-1)
			gx := (p[y*columns+right] - p[y*columns+left]) / float32(right-left)
			gy := (p[down*columns+x] - p[up*columns+x]) / float32(down-up)
			square := gx*gx + gy*gy
			if square == 0 {
				continue
			}
			strength := float32(math.Sqrt(float64(square)))
			c, s := (gx*gx-gy*gy)/square, 2*gx*gy/square
			place := out[((y/cell)*wide+x/cell)*directions:][:directions]
			for b := range place {
				if like := c*cosine[b] + s*sine[b]; like > 0 {
					like *= like
					like *= like
					place[b] += strength * like * like // the eighth power: half of it within 12 degrees
				}
			}
		}
	}
	var strengths [high * wide]float32
	var mean float32
	for i := range strengths {
		strengths[i] = length(out[i*directions : (i+1)*directions])
		mean += strengths[i] / (high * wide)
	}
	for i, s := range strengths {
		place := out[i*directions : (i+1)*directions]
		for b := range place {
			place[b] /= s + 0.5*mean + 1e-6
		}
	}
	return out
}

// texture tells at which scales the picture varies, how much of it is black or
// white, how bright and how symmetric it is.
func texture(p []float32) []float32 {
	half := shrink(p, rows, columns, 2, 1)
	quarter := shrink(half, rows/2, columns/2, 2, 1)
	all := variance(p)
	var black, white, mean, mirrored float32
	for i, v := range p {
		if v < 10 {
			black++
		}
		if v > 245 {
			white++
		}
		mean += v
		mirrored += v * p[i-i%columns+columns-1-i%columns]
	}
	n := float32(len(p))
	mean /= n
	deviation := float32(math.Sqrt(math.Exp(float64(all)) - 1))
	symmetry := (mirrored/n - mean*mean) / (deviation*deviation + 1)
	return []float32{
		variance(detail(p, half, rows, columns)) - all,
		variance(detail(half, quarter, rows/2, columns/2)) - all,
		variance(quarter) - all,
		5 * black / n, 5 * white / n, mean / 32, deviation / 16, 2 * symmetry,
	}
}

// detail is what v has and its halved form has not.
func detail(v, half []float32, h, w int) []float32 {
	out := make([]float32, len(v))
	for y := range h {
		for x := range w {
			out[y*w+x] = v[y*w+x] - half[y/2*(w/2)+x/2]
		}
	}
	return out
}

// fine is the logarithm of how much neighbouring rows of the network's input
// differ: noise and letters do, an X-ray at this size hardly.
func fine(plane []float32, f input.Frame) float32 {
	var sum, squares float64
	n := 0
	for y := f.Y; y+1 < f.Y+f.H; y += 2 {
		upper, lower := plane[y*f.Width+f.X:][:f.W], plane[(y+1)*f.Width+f.X:][:f.W]
		for x, v := range upper {
			d := float64(v - lower[x])
			sum += d
			squares += d * d
			n++
		}
	}
	mean := sum / float64(max(n, 1))
	return float32(math.Log(squares/float64(max(n, 1)) - mean*mean + 1))
}

// variance is the logarithm of the variance and 1.
func variance(v []float32) float32 {
	var sum, squares float64
	for _, x := range v {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	n := float64(len(v))
	return float32(math.Log(max(squares/n-sum/n*sum/n, 0) + 1))
}

func length(v []float32) float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return float32(math.Sqrt(sum))
}

// unit scales to length 1: the features' direction says what is seen, their
// length mostly how much contrast there is.
func unit(v []float32) []float32 {
	if len(v) == 0 {
		return nil
	}
	out := make([]float32, len(v))
	scale := 1 / max(length(v), 1e-12)
	for i, x := range v {
		out[i] = x * scale
	}
	return out
}
