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
	if w == p.Width && h == p.Height { // most are: nothing to average
		for i, v := range p.Pix {
			img.Pix[i] = eight(v)
		}
		return img
	}
	edges := make([]int, w+1) // the columns of the picture where each pixel begins
	for x := range edges {
		edges[x] = x * p.Width / w
	}
	columns := make([]float32, p.Width) // the sums of the rows that a pixel covers
	for y := range h {
		top, bottom := y*p.Height/h, (y+1)*p.Height/h
		copy(columns, p.Pix[top*p.Width:])
		for row := top + 1; row < bottom; row++ {
			in := p.Pix[row*p.Width:][:len(columns)]
			for x, v := range in {
				columns[x] += v
			}
		}
		out := img.Pix[y*img.Stride:][:w]
		from := 0
		for x := range out {
			to := edges[x+1]
			var sum float32
			for _, v := range columns[from:to] {
				sum += v
			}
			out[x] = eight(sum / float32((bottom-top)*(to-from)))
			from = to
		}
	}
	return img
}

// eight is a grey from 0 to 1 in eight bits.
func eight(v float32) uint8 { return uint8(min(max(int32(v*255+0.5), 0), 255)) }
