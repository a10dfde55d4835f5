package regions

import (
	"fmt"
	"image"
	"image/color"
	"runtime"

	"spinebox/explain"
	"spinebox/lab/dataset"
	"spinebox/runtime/xray"
)

// Sheet draws the pictures of a data set with the borders of their regions, as
// many in a row as columns, for a person to look at. done is called after each.
func (s *Set) Sheet(data *dataset.Set, columns int, done func()) (image.Image, error) {
	cells, err := dataset.Decode(data, runtime.NumCPU(), func(item dataset.Item) (explain.Cell, error) {
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return explain.Cell{}, err
		}
		small := xray.Preview(p, 400)
		r, ok := s.Of(item.SHA256)
		if !ok {
			return explain.NewCell(small, fmt.Sprintf("%s\nno region", item.SHA256[:12])), nil
		}
		if err := r.Fits(p.Width, p.Height); err != nil {
			return explain.Cell{}, err
		}
		return explain.NewCell(r.drawn(small), fmt.Sprintf("%s\n%s, %.0f %%", item.SHA256[:12], r.Kind, 100*r.Area())), nil
	}, done)
	if err != nil {
		return nil, err
	}
	return explain.Sheet(cells, columns)
}

// drawn is a small picture with the region's border on it.
func (r Region) drawn(small *image.Gray) image.Image {
	w, h := small.Rect.Dx(), small.Rect.Dy()
	p := r.Plane(w, h)
	in := func(x, y int) bool { return x >= 0 && y >= 0 && x < w && y < h && p.Values[y*w+x] >= 0.5 }
	out := image.NewNRGBA(small.Rect)
	for y := range h {
		for x := range w {
			g := small.GrayAt(x, y).Y
			c := color.NRGBA{g, g, g, 255}
			if in(x, y) && !(in(x-1, y) && in(x+1, y) && in(x, y-1) && in(x, y+1)) {
				c = color.NRGBA{255, 190, 0, 255}
			}
			out.SetNRGBA(x, y, c)
		}
	}
	return out
}
