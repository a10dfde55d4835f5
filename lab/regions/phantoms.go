package regions

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"

	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
)

// readPhantoms reads the truth of a folder of phantoms: the abnormal levels, or
// the column of a normal spine, and the markers.
func readPhantoms(dir string) (*Set, error) {
	f, err := os.Open(filepath.Join(dir, "truth.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this folder holds no truth.jsonl, which a folder of phantoms has: regions of other pictures come from a file")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := dataset.Read(dir)
	if err != nil {
		return nil, err
	}
	digests := map[string]string{}
	for _, item := range data.Items {
		digests[item.Path] = item.SHA256
	}
	set := NewSet()
	set.Source = "truth of phantoms"
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var t phantom.Truth
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return nil, fmt.Errorf("truth.jsonl, line %d: %w", n, err)
		}
		sha256, ok := digests[filepath.Join(dir, filepath.FromSlash(t.File))]
		if !ok {
			return nil, fmt.Errorf("truth.jsonl, line %d: its picture is gone: draw the phantoms anew", n)
		}
		if err := set.addPhantom(dir, sha256, t); err != nil {
			return nil, fmt.Errorf("truth.jsonl, line %d: %w", n, err)
		}
	}
	return set, lines.Err()
}

func (s *Set) addPhantom(dir, sha256 string, t phantom.Truth) error {
	m, err := readMask(filepath.Join(dir, filepath.FromSlash(t.Region)))
	if err != nil {
		return err
	}
	r := fromMask(Truth, m)
	if err := r.Fits(t.Width, t.Height); err != nil {
		return err
	}
	s.regions[sha256] = r
	if t.Marker != nil {
		b := t.Marker.Box
		x0, y0, x1, y1 := float64(b.X0), float64(b.Y0), float64(b.X1), float64(b.Y1)
		s.markers[sha256] = Region{Kind: Truth, Width: t.Width, Height: t.Height,
			Polygons: []Polygon{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}}}
	}
	return nil
}

// readMask reads a mask's PNG. Its name may tell of a person.
func readMask(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("its mask: %w", dataset.Unnamed(err))
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("its mask is no PNG: %w", err)
	}
	return m, nil
}
