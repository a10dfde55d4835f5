package regions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"math"
)

// labelMe is the part of LabelMe's JSON (wkentaro/labelme, version 4 and 5)
// that is read; the picture that it may carry is not.
type labelMe struct {
	ImagePath   string `json:"imagePath"`
	ImageWidth  int    `json:"imageWidth"`
	ImageHeight int    `json:"imageHeight"`
	Shapes      []struct {
		Label  string       `json:"label"`
		Type   string       `json:"shape_type"`
		Points [][2]float64 `json:"points"`
		Mask   []byte       `json:"mask"` // a PNG, for the type mask
	} `json:"shapes"`
}

func parseLabelMe(raw []byte) (drawing, error) {
	var l labelMe
	if err := json.Unmarshal(raw, &l); err != nil {
		return drawing{}, fmt.Errorf("as LabelMe's JSON: %w", err)
	}
	if l.ImagePath == "" {
		return drawing{}, errors.New("imagePath is empty: LabelMe names its picture there")
	}
	d := drawing{name: l.ImagePath, width: l.ImageWidth, height: l.ImageHeight}
	for i, s := range l.Shapes {
		var r Region
		var err error
		switch {
		case s.Type == "polygon" || s.Type == "":
			r.Polygons = []Polygon{s.Points}
		case s.Type == "rectangle" && len(s.Points) == 2:
			r.Polygons = []Polygon{rectangle(s.Points[0], s.Points[1])}
		case s.Type == "circle" && len(s.Points) == 2:
			r.Polygons = []Polygon{circle(s.Points[0], s.Points[1])}
		case s.Type == "mask" && len(s.Points) == 2:
			r, err = patch(s.Mask, s.Points[0], l.ImageWidth, l.ImageHeight)
		default:
			err = errors.New("only polygons, rectangles, circles and masks enclose something")
		}
		if err != nil {
			return drawing{}, fmt.Errorf("shape %d: %w", i+1, err)
		}
		d.shapes = append(d.shapes, shape{s.Label, r})
	}
	return d, nil
}

func rectangle(a, b [2]float64) Polygon {
	return Polygon{a, {b[0], a[1]}, b, {a[0], b[1]}}
}

// circle about a middle, through a point on it.
func circle(middle, on [2]float64) Polygon {
	const corners = 48
	r := math.Hypot(on[0]-middle[0], on[1]-middle[1])
	p := make(Polygon, corners)
	for i := range p {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		p[i] = [2]float64{middle[0] + r*cos, middle[1] + r*sin}
	}
	return p
}

// patch is a mask that covers a part of the picture, from a corner on.
func patch(raw []byte, corner [2]float64, width, height int) (Region, error) {
	if width < 1 || height < 1 || width > maxSide || height > maxSide {
		return Region{}, errors.New("a mask needs imageWidth and imageHeight")
	}
	head, err := png.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return Region{}, fmt.Errorf("its mask is no PNG: %w", err)
	}
	if head.Width > width || head.Height > height {
		return Region{}, errors.New("its mask is larger than the picture")
	}
	m, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return Region{}, fmt.Errorf("its mask is no PNG: %w", err)
	}
	x0, y0, b := int(corner[0]), int(corner[1]), m.Bounds()
	return Region{Runs: runsOf(width, height, func(x, y int) bool {
		x, y = x-x0, y-y0
		if x < 0 || y < 0 || x >= b.Dx() || y >= b.Dy() {
			return false
		}
		red, green, blue, _ := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
		return max(red, green, blue) > 0 // bool masks are written as 0 and 1 or 255
	})}, nil
}
