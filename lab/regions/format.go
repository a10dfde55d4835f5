package regions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"spinebox/internal/spine"
)

// schema of the lab's own files of regions; docs/formats.md describes it.
const schema = "spinebox.regions.v1"

// file is such a file.
type file struct {
	Schema      string  `json:"schema"`
	Use         string  `json:"use"`
	Source      string  `json:"source,omitempty"`
	Coordinates string  `json:"coordinates"` // pixels or fractions
	Pictures    []entry `json:"pictures"`
}

// entry is one picture's region in a file.
type entry struct {
	SHA256   string    `json:"sha256"`
	Kind     Kind      `json:"kind"`
	Width    int       `json:"width,omitempty"`
	Height   int       `json:"height,omitempty"`
	Polygons []Polygon `json:"polygons,omitempty"`
	Runs     []int     `json:"mask,omitempty"`
	Marker   []Polygon `json:"marker,omitempty"`
}

const (
	pixels    = "pixels"
	fractions = "fractions"
)

// Read reads regions: from the lab's own JSON, from a folder of phantoms (the
// truth that spinelab phantom wrote), or from a data set's CSV list with a
// column mask. What LabelMe or COCO wrote goes through Import first, because it
// names pictures by their files.
func Read(path string) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var set *Set
	switch {
	case info.IsDir():
		set, err = readPhantoms(path)
	case strings.EqualFold(filepath.Ext(path), ".csv"):
		set, err = readList(path)
	default:
		set, err = readFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("regions %s: %w", path, err)
	}
	return set, nil
}

func readFile(path string) (*Set, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var head map[string]json.RawMessage
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("this is no JSON object: %w", err)
	}
	if head["shapes"] != nil || head["annotations"] != nil {
		return nil, errors.New("this is LabelMe's or COCO's JSON, which names pictures by their files: turn it into the lab's own with spinelab regions import FILE --data DIR --out FILE")
	}
	var f file
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, err
	}
	return f.set()
}

func (f file) set() (*Set, error) {
	if f.Schema != schema {
		return nil, fmt.Errorf("its schema is not %s", schema)
	}
	if f.Coordinates != pixels && f.Coordinates != fractions {
		return nil, fmt.Errorf("its coordinates are neither %s nor %s", pixels, fractions)
	}
	set := NewSet()
	set.Source = f.Source
	for i, e := range f.Pictures {
		if err := set.add(e, f.Coordinates); err != nil {
			return nil, fmt.Errorf("picture %d: %w", i+1, err)
		}
	}
	return set, nil
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (s *Set) add(e entry, coordinates string) error {
	if !digest.MatchString(e.SHA256) {
		return errors.New("its sha256 is not 64 lower-case hex digits")
	}
	if _, ok := s.regions[e.SHA256]; ok {
		return errors.New("it is there twice")
	}
	r := Region{Kind: e.Kind, Width: e.Width, Height: e.Height, Polygons: e.Polygons, Runs: e.Runs}
	marker := Region{Kind: e.Kind, Width: e.Width, Height: e.Height, Polygons: e.Marker}
	if coordinates == fractions {
		r.spread()
		marker.spread()
	} else if e.Width == 0 || e.Height == 0 {
		return errors.New("in pixels, it needs width and height of its picture")
	}
	if err := r.validate(); err != nil {
		return err
	}
	s.regions[e.SHA256] = r
	if len(e.Marker) == 0 {
		return nil
	}
	if err := marker.validate(); err != nil {
		return fmt.Errorf("its marker: %w", err)
	}
	s.markers[e.SHA256] = marker
	return nil
}

// spread turns fractions into pixels where the picture's size is known.
func (r Region) spread() {
	right, bottom := r.scale()
	for _, p := range r.Polygons {
		for i, c := range p {
			p[i] = [2]float64{c[0] * right, c[1] * bottom}
		}
	}
}

// Write writes the set as the lab's own JSON, in pixels: one picture a line,
// sorted by their digests. Regions without a picture's size are an error.
func (s *Set) Write(w io.Writer) error {
	head, err := json.Marshal(file{Schema: schema, Use: spine.IntendedUse, Source: s.Source, Coordinates: pixels, Pictures: []entry{}})
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.Write(bytes.TrimSuffix(head, []byte("]}")))
	for i, sha256 := range s.Pictures() {
		r := s.regions[sha256]
		if r.Width == 0 {
			return fmt.Errorf("the region of picture %s has no picture's size", sha256[:12])
		}
		line, err := json.Marshal(entry{SHA256: sha256, Kind: r.Kind, Width: r.Width, Height: r.Height,
			Polygons: tenths(r.Polygons), Runs: r.Runs, Marker: tenths(s.markers[sha256].Polygons)})
		if err != nil {
			return err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		out.Write(line)
	}
	out.WriteString("\n]}\n")
	_, err = w.Write(out.Bytes())
	return err
}

// tenths of a pixel are as fine as anybody draws.
func tenths(polygons []Polygon) []Polygon {
	var all []Polygon
	for _, p := range polygons {
		p = slices.Clone(p)
		for i, c := range p {
			p[i] = [2]float64{tenth(c[0]), tenth(c[1])}
		}
		all = append(all, p)
	}
	return all
}

func tenth(v float64) float64 { return math.Round(v*10) / 10 }
