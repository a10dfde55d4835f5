package xray

import (
	"image"

	"spinebox/internal/spine"
)

// Preview returns the picture scaled down so that its longer side is at most
// longest pixels, each the mean of what it covers. A smaller picture keeps its
// size. It holds pixels and nothing else of the file.
func Preview(p *spine.Picture, longest int) *image.Gray {
	w, h := p.Width, p.Height
	if side := max(w, h); side > longest {
		w, h = max(w*longest/side, 1), max(h*longest/side, 1)
	}
	img := image.NewGray(image.Rect(0, 0, w, h))
	edges := make([]int, w+1) // the columns of the picture where each pixel begins
	for x := range edges {
		edges[x] = x * p.Width / w
	}
	sums := make([]float32, w)
	for y := range h {
		clear(sums)
		top, bottom := y*p.Height/h, (y+1)*p.Height/h
		for row := top; row < bottom; row++ {
			in := p.Pix[row*p.Width:][:p.Width]
			for x := range sums {
				var sum float32
				for _, v := range in[edges[x]:edges[x+1]] {
					sum += v
				}
				sums[x] += sum
			}
		}
		out := img.Pix[y*img.Stride:][:w]
		for x, sum := range sums {
			mean := sum / float32((bottom-top)*(edges[x+1]-edges[x]))
			out[x] = uint8(min(max(mean, 0), 1)*255 + 0.5)
		}
	}
	return img
}
