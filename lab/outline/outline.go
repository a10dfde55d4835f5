// Package outline finds the column in X-rays without having learned anything:
// weak regions, so that a heatmap can be measured on pictures that nobody drew
// on. It knows brightness, and that a spine runs from top to bottom; it knows no
// vertebrae, and a person has to look at what it finds.
//
// Most callers need one call: All, for a data set; Of outlines one picture.
package outline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/regions"
	"spinebox/runtime/xray"
)

// Options of All.
type Options struct {
	Drop  string // a file with digests of pictures to leave out, one a line; may be empty
	Cores int
	Done  func(done int) // called after each picture; may be nil
}

// Found is what All found.
type Found struct {
	*regions.Set
	Faint   int // pictures in which nothing stands out
	Dropped int // left out because Options.Drop lists them
}

// ErrFaint says that nothing in a picture stands out as a column would.
var ErrFaint = errors.New("no column stands out")

// All outlines the column in each picture of a data set.
func All(ctx context.Context, data *dataset.Set, o Options) (*Found, error) {
	drop, err := readDrop(o.Drop)
	if err != nil {
		return nil, err
	}
	found := &Found{Set: regions.NewSet()}
	found.Source = "the column, outlined by spinelab regions outline: the band that stands out the most against both its sides"
	left := new(dataset.Set)
	for _, item := range data.Items {
		if drop.has(item.SHA256) {
			found.Dropped++
			continue
		}
		left.Items = append(left.Items, item)
	}
	done := 0
	all, err := dataset.Decode(left, max(o.Cores, 1), func(item dataset.Item) (*regions.Region, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return nil, err
		}
		r, err := Of(p)
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
		if r == nil {
			found.Faint++
			continue
		}
		found.Put(left.Items[i].SHA256, *r)
	}
	return found, nil
}

// digests are of pictures, or their first 12 digits or more.
type digests []string

func readDrop(name string) (digests, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all digests
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if len(text) < 12 || len(text) > 64 || strings.Trim(text, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("%s, line %d: this is no SHA-256, nor its first 12 digits", name, n)
		}
		all = append(all, text)
	}
	return all, lines.Err()
}

func (d digests) has(sha256 string) bool {
	for _, start := range d {
		if strings.HasPrefix(sha256, start) {
			return true
		}
	}
	return false
}

// corners along each side of an outline.
const corners = 12

// Of outlines the column of one picture. The error is ErrFaint where none
// stands out.
func Of(p *spine.Picture) (regions.Region, error) {
	g := gridOf(p)
	path, ok := g.follow()
	if !ok {
		return regions.Region{}, ErrFaint
	}
	r := regions.Region{Kind: regions.Weak, Width: p.Width, Height: p.Height}
	right, bottom := float64(p.Width), float64(p.Height)
	corner := func(x, y float64) [2]float64 {
		return [2]float64{
			math.Round(math.Min(math.Max(g.left+x*g.cell, 0), right)),
			math.Round(math.Min(math.Max(g.top+y*g.cell, 0), bottom)),
		}
	}
	var outline regions.Polygon
	at := func(i int) (int, float64) {
		row := float64(i) / (corners - 1) * float64(len(path)-1)
		return int(row + 0.5), float64(path[0].row) + row + 0.5
	}
	for i := range corners {
		k, y := at(i)
		outline = append(outline, corner(path[k].middle-path[k].half, y))
	}
	for i := corners - 1; i >= 0; i-- {
		k, y := at(i)
		outline = append(outline, corner(path[k].middle+path[k].half, y))
	}
	r.Polygons = []regions.Polygon{outline}
	return r, nil
}
