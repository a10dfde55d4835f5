package audit

import (
	"cmp"
	"image"
	"math"
	"slices"

	"spinebox/internal/spine"
	"spinebox/runtime/xray"
)

// textSide is the longer side, in pixels, that letters are looked for at.
const textSide = 1000

// burnedIn reports whether letters or a scale seem to be burned into a picture:
// three or more small bright signs of like height in a row, each clearly
// brighter than what is around it. Side markers of lead, which stand alone, are
// not found.
func burnedIn(p *spine.Picture) bool {
	small := xray.Preview(p, textSide)
	signs := signsIn(small)
	slices.SortFunc(signs, func(a, b image.Rectangle) int { return cmp.Compare(a.Min.X, b.Min.X) })
	for i, first := range signs {
		n, last := 1, first
		for _, next := range signs[i+1:] {
			if follows(last, next) {
				n, last = n+1, next
			}
		}
		if n >= 4 {
			return true
		}
	}
	return false
}

// follows reports whether a sign stands beside another on one line.
func follows(a, b image.Rectangle) bool {
	h := float64(max(a.Dy(), b.Dy()))
	gap := float64(b.Min.X - a.Max.X)
	return float64(min(a.Dy(), b.Dy())) > 0.65*h && math.Abs(float64(a.Max.Y-b.Max.Y)) <= 0.25*h && gap >= -1 && gap < 1.2*h
}

// signsIn returns the boxes of what may be letters.
func signsIn(g *image.Gray) []image.Rectangle {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	bright := contrast(g)
	var signs []image.Rectangle
	var stack []int
	for start := range bright {
		if !bright[start] {
			continue
		}
		bright[start] = false
		stack = append(stack[:0], start)
		box, n := image.Rectangle{Min: image.Pt(w, h)}, 0
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			x, y := i%w, i/w
			box.Min.X, box.Min.Y = min(box.Min.X, x), min(box.Min.Y, y)
			box.Max.X, box.Max.Y = max(box.Max.X, x+1), max(box.Max.Y, y+1)
			n++
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					if x+dx >= 0 && x+dx < w && y+dy >= 0 && y+dy < h && bright[i+dy*w+dx] {
						bright[i+dy*w+dx] = false
						stack = append(stack, i+dy*w+dx)
					}
				}
			}
		}
		tall, wide := float64(box.Dy()), float64(box.Dx())
		fill := float64(n) / (tall * wide)
		if tall >= 5 && tall <= 32 && wide >= 2 && wide <= 1.3*tall && fill > 0.2 && fill < 0.9 {
			signs = append(signs, box)
		}
	}
	return signs
}

// contrast marks the pixels that are much brighter than the mean around them.
func contrast(g *image.Gray) []bool {
	const reach, step = 12, 60
	w, h := g.Rect.Dx(), g.Rect.Dy()
	sums := make([]int, (w+1)*(h+1))
	for y := range h {
		row := 0
		for x := range w {
			row += int(g.Pix[y*g.Stride+x])
			sums[(y+1)*(w+1)+x+1] = sums[y*(w+1)+x+1] + row
		}
	}
	marked := make([]bool, w*h)
	for y := range h {
		y0, y1 := max(y-reach, 0), min(y+reach+1, h)
		for x := range w {
			x0, x1 := max(x-reach, 0), min(x+reach+1, w)
			sum := sums[y1*(w+1)+x1] - sums[y0*(w+1)+x1] - sums[y1*(w+1)+x0] + sums[y0*(w+1)+x0]
			marked[y*w+x] = int(g.Pix[y*g.Stride+x]) > sum/((x1-x0)*(y1-y0))+step
		}
	}
	return marked
}
