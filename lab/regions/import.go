package regions

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"spinebox/lab/dataset"
	"spinebox/runtime/xray"
)

// markerLabel is what shapes are called that lie on burned-in letters.
const markerLabel = "marker"

// Imported is what Import found.
type Imported struct {
	*Set
	Missing int // annotated pictures that the data set does not have
}

// Import takes over what was drawn with LabelMe or written as COCO: one JSON
// file, or a folder of LabelMe's. Both name pictures by their files; they are
// looked for in the data set, and the names are dropped. With only, shapes of
// other labels are left out; without, all of a picture's shapes are one region.
// Shapes labelled "marker" are kept as such.
func Import(path string, data *dataset.Set, kind Kind, only string) (*Imported, error) {
	drawings, err := readDrawings(path)
	if err != nil {
		return nil, fmt.Errorf("regions %s: %w", path, err)
	}
	names := index(data)
	all := &Imported{Set: NewSet()}
	found := new(dataset.Set)
	var kept []drawing
	for _, d := range drawings {
		item, err := names.find(d.name)
		if errors.Is(err, errNoPicture) {
			all.Missing++
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("regions %s: %s: %w", path, d.where, err)
		}
		found.Items, kept = append(found.Items, item), append(kept, d)
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("regions %s: none of the pictures that it draws on (%d) is in the data set: are the files called as they were then?", path, all.Missing)
	}
	sizes, err := dataset.Decode(found, runtime.NumCPU(), func(item dataset.Item) ([2]int, error) {
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return [2]int{}, err
		}
		return [2]int{p.Width, p.Height}, nil
	}, func() {})
	if err != nil {
		return nil, err
	}
	for i, d := range kept {
		if err := all.draw(d, found.Items[i].SHA256, sizes[i], kind, only); err != nil {
			return nil, fmt.Errorf("regions %s: %s, %v: %w", path, d.where, found.Items[i], err)
		}
	}
	if len(all.regions) == 0 {
		return nil, fmt.Errorf("regions %s: no shape is left: is --only one of its labels?", path)
	}
	return all, nil
}

// drawing is what one picture was annotated with.
type drawing struct {
	where         string // in the file or folder, for messages
	name          string // the picture's, which no message repeats
	width, height int    // of the picture, as the program saw it; 0: it does not say
	shapes        []shape
}

// shape of a drawing; its region has no kind yet, and perhaps no size.
type shape struct {
	label  string
	region Region
}

// draw puts a drawing's shapes together.
func (s *Set) draw(d drawing, sha256 string, size [2]int, kind Kind, only string) error {
	if d.width > 0 || d.height > 0 {
		if err := (Region{Width: d.width, Height: d.height}).Fits(size[0], size[1]); err != nil {
			return err
		}
	}
	for i, shape := range d.shapes {
		marker := strings.EqualFold(shape.label, markerLabel)
		if only != "" && shape.label != only && !marker {
			continue
		}
		r := shape.region
		r.Kind, r.Width, r.Height = kind, size[0], size[1]
		r.clip()
		if err := r.validate(); err != nil {
			return fmt.Errorf("shape %d: %w", i+1, err)
		}
		to := s.regions
		if marker {
			if to = s.markers; len(r.Runs) > 0 {
				return fmt.Errorf("shape %d: a marker is drawn with polygons", i+1)
			}
		}
		if before, ok := to[sha256]; ok {
			r = union(before, r)
		}
		to[sha256] = r
	}
	return nil
}

func readDrawings(path string) ([]drawing, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, dataset.Unnamed(err)
	}
	if !info.IsDir() {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, dataset.Unnamed(err)
		}
		return parseDrawings(raw, "")
	}
	files, err := filepath.Glob(filepath.Join(path, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("the folder holds no .json file")
	}
	var all []drawing
	for i, file := range files {
		where := fmt.Sprintf("file %d of %d", i+1, len(files)) // as the shell sorts them
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, dataset.Unnamed(err))
		}
		drawings, err := parseDrawings(raw, where)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		all = append(all, drawings...)
	}
	return all, nil
}

// parseDrawings tells LabelMe's and COCO's JSON apart by their fields.
func parseDrawings(raw []byte, where string) ([]drawing, error) {
	var head struct {
		Shapes      json.RawMessage `json:"shapes"`
		Annotations json.RawMessage `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("this is no JSON object: %w", err)
	}
	switch {
	case head.Shapes != nil:
		d, err := parseLabelMe(raw)
		d.where = cmp.Or(where, "its picture")
		return []drawing{d}, err
	case head.Annotations != nil:
		return parseCOCO(raw)
	}
	return nil, errors.New("this is neither LabelMe's JSON (it has shapes) nor COCO's (it has annotations)")
}

// names finds pictures by the names of their files.
type names map[string][]dataset.Item

var errNoPicture = errors.New("the data set has no such picture")

func index(data *dataset.Set) names {
	n := names{}
	for _, item := range data.Items {
		base := filepath.Base(item.Path)
		n[base] = append(n[base], item)
	}
	return n
}

// find returns the picture whose path shares the most last elements with the
// name. Two pictures with the same bytes are one.
func (n names) find(name string) (dataset.Item, error) {
	want := elements(name)
	var best []dataset.Item
	longest := 0
	for _, item := range n[path.Base(strings.ReplaceAll(name, `\`, "/"))] {
		have, k := elements(filepath.ToSlash(item.Path)), 0
		for k < min(len(have), len(want)) && strings.EqualFold(have[k], want[k]) {
			k++
		}
		if k > longest {
			best, longest = nil, k
		}
		if k == longest {
			best = append(best, item)
		}
	}
	if len(best) == 0 {
		return dataset.Item{}, errNoPicture
	}
	if slices.ContainsFunc(best, func(i dataset.Item) bool { return i.SHA256 != best[0].SHA256 }) {
		return dataset.Item{}, errors.New("several pictures of the data set are called like its picture: name it with its folder, as in ScolFinal/NAME")
	}
	return best[0], nil
}

// elements of a path, the last first.
func elements(name string) []string {
	parts := strings.Split(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/")
	slices.Reverse(parts)
	return parts
}
