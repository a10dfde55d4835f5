package phantom

import (
	"image"
	"math"

	"golang.org/x/image/vector"
)

// tissue is what an outline is filled with: the length, in millimetres, that
// the rays travel through it.
type tissue struct {
	depth float64 // in the middle
	// flat is the share of depth that is there right from the edge: 1 is a
	// slab with a sharp border, 0 rounds off to nothing.
	flat float64
	// round is how far from the edge, in millimetres, the full depth begins.
	round float64
	// rim is added along the edge: the cortical shell, seen side-on.
	rim float64
}

// painter adds outlines to planes of path lengths. It holds the buffers that
// all shapes share; one painter draws one picture.
type painter struct {
	camera camera
	raster vector.Rasterizer
	cover  image.Alpha
	a, b   []float32
}

// plane is one value for each pixel, row by row.
type plane struct {
	width, height int
	v             []float32
}

func newPlane(w, h int) *plane { return &plane{w, h, make([]float32, w*h)} }

// fill adds the tissue inside an outline, given in millimetres, to dst. Where
// shapes overlap, their lengths add up, as they do for a ray.
func (p *painter) fill(dst *plane, outline []point, t tissue) {
	sigma := max(t.round*p.camera.scale/2, 0.5)
	box, ok := p.rasterise(outline, int(math.Ceil(3*sigma)))
	if !ok {
		return
	}
	w, h := box.Dx(), box.Dy()
	blurred := p.blurCover(w, h, sigma)
	depth, flat, rim := float32(t.depth), float32(t.flat), float32(4*t.rim)
	inside := box.Intersect(image.Rect(0, 0, dst.width, dst.height))
	for y := inside.Min.Y; y < inside.Max.Y; y++ {
		from := (y-box.Min.Y)*w + inside.Min.X - box.Min.X
		cover := p.cover.Pix[from : from+inside.Dx()]
		soft := blurred[from : from+inside.Dx()]
		out := dst.v[y*dst.width+inside.Min.X:]
		for x, m := range cover {
			if m == 0 {
				continue
			}
			b := soft[x]
			round := min(max(2*b-1, 0), 1)
			out[x] += float32(m) * (1.0 / 255) *
				(depth*(flat+(1-flat)*round) + rim*b*(1-b))
		}
	}
}

// rasterise leaves the coverage of an outline in p.cover and returns the box of
// the picture that it covers, widened by margin pixels. It reports false when
// nothing of the outline reaches the picture.
func (p *painter) rasterise(outline []point, margin int) (image.Rectangle, bool) {
	pixels := make([]point, len(outline))
	lo := point{math.Inf(1), math.Inf(1)}
	hi := point{math.Inf(-1), math.Inf(-1)}
	for i, o := range outline {
		q := p.camera.pixel(o)
		pixels[i] = q
		lo = point{math.Min(lo.X, q.X), math.Min(lo.Y, q.Y)}
		hi = point{math.Max(hi.X, q.X), math.Max(hi.Y, q.Y)}
	}
	// The box reaches over the picture's edge by the margin, so that a shape
	// cut by the picture does not seem to end there.
	box := image.Rect(int(math.Floor(lo.X)), int(math.Floor(lo.Y)),
		int(math.Ceil(hi.X)), int(math.Ceil(hi.Y)))
	picture := image.Rect(0, 0, p.camera.width, p.camera.height)
	if box.Intersect(picture).Empty() {
		return box, false
	}
	box = box.Inset(-margin).Intersect(picture.Inset(-margin))
	w, h := box.Dx(), box.Dy()
	p.raster.Reset(w, h)
	for i, q := range pixels {
		x, y := float32(q.X-float64(box.Min.X)), float32(q.Y-float64(box.Min.Y))
		if i == 0 {
			p.raster.MoveTo(x, y)
		} else {
			p.raster.LineTo(x, y)
		}
	}
	p.raster.ClosePath()
	if len(p.cover.Pix) < w*h {
		p.cover.Pix = make([]uint8, w*h)
		p.a, p.b = make([]float32, w*h), make([]float32, w*h)
	}
	alpha := image.Alpha{Pix: p.cover.Pix[:w*h], Stride: w, Rect: image.Rect(0, 0, w, h)}
	clear(alpha.Pix) // the rasteriser draws over what is there
	p.raster.Draw(&alpha, alpha.Rect, image.Opaque, image.Point{})
	return box, true
}

// blurCover returns the coverage, 0 to 1, blurred by sigma pixels.
func (p *painter) blurCover(w, h int, sigma float64) []float32 {
	a, b := p.a[:w*h], p.b[:w*h]
	for i, m := range p.cover.Pix[:w*h] {
		a[i] = float32(m) * (1.0 / 255)
	}
	blur(a, b, w, h, sigma)
	return a
}
