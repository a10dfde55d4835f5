// Package outline finds the column in X-rays without having learned anything:
// weak regions, so that a heatmap can be measured on pictures that nobody drew
// on. It knows brightness, and that a spine runs from top to bottom; it knows no
// vertebrae, and a person has to look at what it finds.
//
// Most callers need one call: All, for a data set; Of outlines one picture.
package outline

import (
	"context"
	"errors"
	"math"
	"slices"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/regions"
	"spinebox/runtime/xray"
)

// Options of All.
type Options struct {
	Corrections string // a file of what to do with some outlines; may be empty
	Cores       int
	Done        func(done int) // called after each picture; may be nil
}

// Found is what All found.
type Found struct {
	*regions.Set
	Faint                 int // pictures in which nothing stands out
	Dropped, Cut, Redrawn int // as the corrections say
}

// ErrFaint says that nothing in a picture stands out as a column would.
var ErrFaint = errors.New("no column stands out")

// All outlines the column in each picture of a data set.
func All(ctx context.Context, data *dataset.Set, o Options) (*Found, error) {
	corrected, err := readCorrections(o.Corrections)
	if err != nil {
		return nil, err
	}
	found := &Found{Set: regions.NewSet()}
	found.Source = "the column, outlined by spinelab regions outline: the band from top to bottom whose two edges stand out the most"
	if len(corrected) > 0 {
		found.Source += "; after looking at them, some were cut, drawn anew or dropped"
	}
	done := 0
	all, err := dataset.Decode(data, max(o.Cores, 1), func(item dataset.Item) (*regions.Region, error) {
		c, ok := corrected.of(item.SHA256)
		if err := ctx.Err(); err != nil || c.drop {
			return nil, err
		}
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return nil, err
		}
		if !ok {
			c = correction{to: 1}
		}
		r, err := c.apply(p)
		if errors.Is(err, ErrFaint) {
			return nil, nil
		}
		return &r, err
	}, func() {
		if done++; o.Done != nil {
			o.Done(done)
		}
	})
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		c, ok := corrected.of(data.Items[i].SHA256)
		switch {
		case c.drop:
			found.Dropped++
		case r == nil:
			found.Faint++
		case len(c.band) > 0:
			found.Redrawn++
		case ok:
			found.Cut++
		}
		if r != nil {
			found.Put(data.Items[i].SHA256, *r)
		}
	}
	return found, nil
}

// Of outlines the column of one picture. The error is ErrFaint where none
// stands out.
func Of(p *spine.Picture) (regions.Region, error) { return outline(p, 0, 1) }

// corners along each side of an outline.
const corners = 12

// outline is Of, cut to a part of the picture's height.
func outline(p *spine.Picture, from, to float64) (regions.Region, error) {
	g := gridOf(p)
	path, ok := g.follow(p)
	if !ok {
		return regions.Region{}, ErrFaint
	}
	var cut []station
	for _, s := range path {
		if y := g.top + (float64(s.row)+0.5)*g.cell; y >= from*float64(p.Height) && y <= to*float64(p.Height) {
			cut = append(cut, s)
		}
	}
	if len(cut) < 2 {
		return regions.Region{}, ErrFaint
	}
	var sides [2]regions.Polygon
	for i := range corners {
		s := cut[i*(len(cut)-1)/(corners-1)]
		y := g.top + (float64(s.row)+0.5)*g.cell
		sides[0] = append(sides[0], corner(p, g.left+(s.middle-s.half)*g.cell, y))
		sides[1] = append(sides[1], corner(p, g.left+(s.middle+s.half)*g.cell, y))
	}
	return closed(p, sides), nil
}

// corner is a place in the picture, in whole pixels.
func corner(p *spine.Picture, x, y float64) [2]float64 {
	return [2]float64{
		math.Round(math.Min(math.Max(x, 0), float64(p.Width))),
		math.Round(math.Min(math.Max(y, 0), float64(p.Height))),
	}
}

// closed joins two sides, each from top to bottom, to one outline.
func closed(p *spine.Picture, sides [2]regions.Polygon) regions.Region {
	slices.Reverse(sides[1])
	return regions.Region{Kind: regions.Weak, Width: p.Width, Height: p.Height,
		Polygons: []regions.Polygon{append(sides[0], sides[1]...)}}
}
