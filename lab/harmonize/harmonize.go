// Package harmonize makes a copy of a data set in which nothing tells how a
// picture was acquired: one shape, one size, one spread of greys, one encoder. A
// network that is as accurate on the copy has not lived on such traits.
package harmonize

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
	"spinebox/models/input"
	"spinebox/runtime/xray"
)

// Options of the copies.
type Options struct {
	Height, Width int            // pixels; a picture of another shape loses its edges
	Quality       int            // of the JPEG, 1 to 100
	Cores         int            // for decoding
	Done          func(done int) // is told how many pictures are done; may be nil
}

// Write writes the copies into dir, which must not exist: a folder for each
// class, and a manifest.csv that keeps each patient's pictures together. The
// names of the copies are numbers.
func Write(ctx context.Context, set *dataset.Set, dir string, o Options) (err error) {
	spec := input.Spec{Height: o.Height, Width: o.Width, Resize: input.Squash, Grey: input.Percentile}
	if err := spec.Validate(); err != nil {
		return err
	}
	if o.Quality < 1 || o.Quality > 100 {
		return fmt.Errorf("a JPEG's quality is 1 to 100, not %d", o.Quality)
	}
	if _, err := os.Lstat(dir); err == nil {
		return errors.New("the folder for the copies must be a new one")
	}
	number := map[string]int{} // by path: the set is sorted by content
	for i, item := range set.Items {
		if number[item.Path] > 0 {
			return fmt.Errorf("%v: it is named twice", item)
		}
		number[item.Path] = i + 1
	}
	// Whole or not at all: without the list at its end, patients would be parted.
	final := filepath.Clean(dir)
	if dir, err = os.MkdirTemp(filepath.Dir(final), ".harmonize-*"); err != nil {
		return fmt.Errorf("make the folder for the copies: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, label := range spine.Labels() {
		if err := os.Mkdir(filepath.Join(dir, phantom.ClassFolder(label)), 0o755); err != nil {
			return err
		}
	}
	var done atomic.Int64
	names, err := dataset.Decode(set, o.Cores, func(item dataset.Item) (string, error) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		name := fmt.Sprintf("%04d.jpg", number[item.Path])
		if phantom.Made(item.Path) { // what is made stays known as made
			name = phantom.Prefix + name
		}
		name = phantom.ClassFolder(item.Label) + "/" + name
		return name, one(item.Path, filepath.Join(dir, name), spec, o.Quality)
	}, func() {
		if n := done.Add(1); o.Done != nil {
			o.Done(int(n))
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, phantom.Made) {
		if err := phantom.Notice(dir); err != nil {
			return err
		}
	}
	if err := manifest(filepath.Join(dir, "manifest.csv"), set, names); err != nil {
		return err
	}
	return errors.Join(os.Chmod(dir, 0o755), os.Rename(dir, final))
}

func one(from, to string, spec input.Spec, quality int) error {
	p, err := xray.Decode(from, xray.DefaultLimits())
	if err != nil {
		return err
	}
	plane := make([]float32, spec.Height*spec.Width)
	spec.Plane(plane, crop(p, spec.Height, spec.Width))
	if slices.Max(plane) == slices.Min(plane) {
		return errors.New("its middle is all of one grey")
	}
	grey := image.NewGray(image.Rect(0, 0, spec.Width, spec.Height))
	for i, v := range plane {
		grey.Pix[i] = uint8(v + 0.5)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, grey, &jpeg.Options{Quality: quality}); err != nil {
		return err
	}
	return os.WriteFile(to, file.Bytes(), 0o644)
}

// crop returns the greatest part in the middle of the picture that has the shape
// of height×width.
func crop(p *spine.Picture, height, width int) *spine.Picture {
	h, w := p.Height, p.Width
	if h*width > w*height {
		h = max(1, w*height/width)
	} else {
		w = max(1, h*width/height)
	}
	left, top := (p.Width-w)/2, (p.Height-h)/2
	c := &spine.Picture{Width: w, Height: h, Pix: make([]float32, 0, w*h)}
	for y := range h {
		from := (top+y)*p.Width + left
		c.Pix = append(c.Pix, p.Pix[from:from+w]...)
	}
	return c
}

// manifest keeps patients together. Their names stay behind: a group is called
// by the number of its first picture.
func manifest(name string, set *dataset.Set, names []string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	rows := csv.NewWriter(f)
	_ = rows.Write([]string{"file", "group", "view"}) // Error tells
	groups := map[string]int{}
	for i, item := range set.Items {
		if _, ok := groups[item.Group]; !ok {
			groups[item.Group] = i + 1
		}
		_ = rows.Write([]string{names[i], fmt.Sprint(groups[item.Group]), item.View})
	}
	rows.Flush()
	return errors.Join(rows.Error(), f.Close())
}
