// Package audit looks at a data set before anybody trains on it: what is in
// it, what is in it twice, what it says about persons, and what a network
// could answer from without looking at a spine.
//
// Most callers need two calls: Look, and Audit.Page for a person.
//
// File names of X-rays carry names, ages and diagnoses. They are read here and
// repeated nowhere: pictures are called by the first digits of their SHA-256.
package audit

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/statistics"
)

// Audit is what was found in a data set.
type Audit struct {
	Digest   string              `json:"digest"` // of the set: its pictures and labels
	Pictures int                 `json:"pictures"`
	Labels   map[spine.Label]int `json:"labels"`
	Formats  map[string]int      `json:"formats"`
	Groups   int                 `json:"groups"` // of pictures that belong to one patient; each stays in one fold

	Sizes      map[spine.Label]Sizes `json:"sizes"`
	Duplicates [][]string            `json:"duplicates"`      // same bytes
	Near       []Pair                `json:"near_duplicates"` // alike enough to be one X-ray twice
	Quantisers []Spread              `json:"jpeg_quantisers"` // encoder settings, each with its classes
	Cameras    []Spread              `json:"cameras"`         // makers in the EXIF data, each with its classes; never by name
	Views      []Spread              `json:"views"`           // as DICOM or the manifest tell
	Tinted     map[spine.Label]int   `json:"tinted"`          // colour pictures: photographs of films, as a rule
	Text       map[spine.Label]int   `json:"burned_in_text"`  // pictures with letters or a scale in them
	EXIF       map[spine.Label]int   `json:"exif"`            // pictures with EXIF data
	Personal   Personal              `json:"personal"`
	Unreadable []string              `json:"unreadable"`

	Traits   []Trait  `json:"traits"`   // numbers of the file that tell a class by themselves, the worst first
	Floors   []Floor  `json:"floors"`   // what one gets without looking at a spine
	Kind     Floor    `json:"kind"`     // what one gets from the kind of file alone: encoder, EXIF data, view, tint, text
	Warnings []string `json:"warnings"` // in words, the worst first

	Facts []Facts `json:"facts"` // one for each picture, sorted by SHA-256

	thumbnails map[string][]byte // JPEG, by SHA-256
}

// Sizes of one class's pictures: least, median and greatest.
type Sizes struct {
	Width  [3]int     `json:"width"` // pixels
	Height [3]int     `json:"height"`
	Shape  [3]float64 `json:"height_by_width"`
}

// Spread is how one trait lies over the classes.
type Spread struct {
	Trait  string              `json:"trait"`
	Labels map[spine.Label]int `json:"labels"`
}

func (s Spread) count() int {
	n := 0
	for _, k := range s.Labels {
		n += k
	}
	return n
}

// Pair of pictures, by SHA-256.
type Pair struct {
	A         string `json:"a"`
	B         string `json:"b"`
	Distance  int    `json:"distance"` // of the perceptual hashes, bits of 256
	SameGroup bool   `json:"same_group"`
}

// Personal is how many files seem to tell something of a person, by kind.
type Personal struct {
	Names map[string]int `json:"names"` // file names with: age, sex, date, diagnosis, person
	EXIF  int            `json:"exif"`  // files with EXIF data at all
	GPS   int            `json:"gps"`   // with the place where they were taken
	DICOM int            `json:"dicom"` // DICOM files, which hold patients' names as a rule
}

// Options of Look.
type Options struct {
	Cores int
	Seed  uint64
	// Folds are those of a study, by SHA-256: the floors are then of its
	// pictures, on its folds. Nil: folds are made with Seed.
	Folds map[string]int
	Done  func(done, total int) // called after each picture; may be nil
}

// Look audits the set. A picture that cannot be read is one of the findings;
// the error is that of ctx, or of a set that no floor can be computed for.
func Look(ctx context.Context, set *dataset.Set, o Options) (*Audit, error) {
	a := &Audit{Digest: set.Digest(), Pictures: len(set.Items), Labels: set.Count(),
		Formats: map[string]int{}, Tinted: map[spine.Label]int{},
		Text: map[spine.Label]int{}, EXIF: map[spine.Label]int{}, Personal: Personal{Names: map[string]int{}},
		thumbnails: map[string][]byte{}}
	done := 0
	looked, err := dataset.Decode(set, max(o.Cores, 1), func(item dataset.Item) (*look, error) {
		l, err := lookAt(item)
		if err != nil {
			l = &look{Facts: Facts{SHA256: item.SHA256, Label: item.Label, Group: item.Group, Unreadable: reason(err)}}
		}
		l.Tells = tells(filepath.Base(item.Path))
		return l, ctx.Err()
	}, func() {
		done++
		if o.Done != nil {
			o.Done(done, len(set.Items))
		}
	})
	if err != nil {
		return nil, err
	}
	groups := map[string]bool{}
	for i, l := range looked {
		groups[set.Items[i].Group] = true
		if l.Unreadable != "" {
			a.Unreadable = append(a.Unreadable, short(l.SHA256)+": "+l.Unreadable)
		}
		a.thumbnails[l.SHA256] = l.thumbnail
		a.count(l.Facts)
		a.Facts = append(a.Facts, l.Facts)
	}
	a.Groups = len(groups)
	a.sizes()
	a.Duplicates = duplicates(a.Facts)
	if a.Near, err = near(looked); err != nil {
		return nil, err
	}
	trait := func(of func(Facts) string) []Spread { return spread(a.Facts, of) }
	a.Quantisers = trait(func(f Facts) string { return f.Quantiser })
	a.Cameras = trait(func(f Facts) string { return f.Camera })
	a.Views = trait(func(f Facts) string { return f.View })
	a.Traits = traits(a.Facts)
	if a.Floors, a.Kind, err = floors(a.Facts, o); err != nil {
		return nil, err
	}
	a.warn()
	return a, ctx.Err()
}

// reason is why a picture cannot be read, without its file's name.
func reason(err error) string {
	if f, ok := errors.AsType[*spine.Fault](err); ok {
		return string(f.Code)
	}
	return "it cannot be opened or read"
}

func (a *Audit) count(f Facts) {
	if f.Unreadable == "" {
		a.Formats[f.Format]++
	}
	if f.Tinted {
		a.Tinted[f.Label]++
	}
	for _, kind := range f.Tells {
		a.Personal.Names[kind]++
	}
	if f.Text {
		a.Text[f.Label]++
	}
	if f.EXIF {
		a.EXIF[f.Label]++
		a.Personal.EXIF++
	}
	if f.GPS {
		a.Personal.GPS++
	}
	if f.Format == "dicom" {
		a.Personal.DICOM++
	}
}

func (a *Audit) sizes() {
	a.Sizes = map[spine.Label]Sizes{}
	for label := range a.Labels {
		var widths, heights []int
		var shapes []float64
		for _, f := range a.Facts {
			if f.Label == label && f.Unreadable == "" {
				widths, heights = append(widths, f.Width), append(heights, f.Height)
				shapes = append(shapes, float64(f.Height)/float64(f.Width))
			}
		}
		if len(widths) > 0 {
			a.Sizes[label] = Sizes{extremes(widths), extremes(heights), extremes(shapes)}
		}
	}
}

// extremes returns least, median and greatest.
func extremes[T cmp.Ordered](v []T) [3]T {
	slices.Sort(v)
	return [3]T{v[0], v[len(v)/2], v[len(v)-1]}
}

// spread sorts the classes by a trait, the most frequent trait first. Pictures
// without the trait are left out.
func spread(facts []Facts, of func(Facts) string) []Spread {
	var all []Spread
	at := map[string]int{}
	for _, f := range facts {
		t := of(f)
		if t == "" {
			continue
		}
		if _, ok := at[t]; !ok {
			at[t] = len(all)
			all = append(all, Spread{t, map[spine.Label]int{}})
		}
		all[at[t]].Labels[f.Label]++
	}
	slices.SortStableFunc(all, func(x, y Spread) int {
		return cmp.Or(cmp.Compare(y.count(), x.count()), cmp.Compare(x.Trait, y.Trait))
	})
	return all
}

func (s Spread) only() (spine.Label, bool) {
	for label := range s.Labels {
		return label, len(s.Labels) == 1
	}
	return "", false
}

func total[K comparable](counts map[K]int) int {
	n := 0
	for _, k := range counts {
		n += k
	}
	return n
}

func short(sha256 string) string { return sha256[:min(12, len(sha256))] }

// Floor is a classifier that never sees the picture.
type Floor struct {
	Name      string              `json:"name"`
	Accuracy  float64             `json:"accuracy"` // over all folds' held-out parts, 0 to 1
	Interval  statistics.Interval `json:"interval"`
	Confusion [][]int             `json:"confusion"` // true class by row, in the order of the labels
}
