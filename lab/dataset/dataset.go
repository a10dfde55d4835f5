// Package dataset reads labelled X-rays in the layout of the paper's archive
// (Fraiwan et al. 2022, doi 10.17632/xkt857dsxk.1): one folder for each class.
package dataset

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"spinebox/internal/spine"
)

// Item is one labelled X-ray.
type Item struct {
	Path   string // on this machine; it may name a person, so no message repeats it
	Label  spine.Label
	SHA256 string // of the file, hex
	Group  string // items of one group belong to one patient and stay in one fold
	View   string // as the manifest tells, e.g. "AP"; empty when unknown
}

// String names the item without its file's name.
func (i Item) String() string {
	return fmt.Sprintf("picture %s in %s", i.SHA256, i.folder())
}

func (i Item) folder() string { return filepath.Base(filepath.Dir(i.Path)) }

// unnamed returns the error without the file name that the system puts in.
func unnamed(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// Set is a whole data set, sorted by SHA-256 so that file names change nothing.
type Set struct {
	Items []Item
}

// folderLabel returns the class behind a folder's name, in any case.
func folderLabel(name string) (spine.Label, bool) {
	switch strings.TrimSuffix(strings.ToLower(name), "final") {
	case "normal":
		return spine.Normal, true
	case "scol", "scoliosis":
		return spine.Scoliosis, true
	case "spond", "spondylolisthesis":
		return spine.Spondylolisthesis, true
	}
	return "", false
}

// Read lists and hashes the set in dir. Probable patients come from the column
// "group" of a manifest.csv there, when there is one; files with the same
// bytes are one group and must have one label.
func Read(dir string) (*Set, error) {
	set, err := read(dir)
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", dir, err)
	}
	return set, nil
}

func read(dir string) (*Set, error) {
	noted, err := readManifest(filepath.Join(dir, "manifest.csv"))
	if err != nil {
		return nil, err
	}
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	set := new(Set)
	for _, folder := range folders {
		label, ok := folderLabel(folder.Name())
		if !ok || !folder.IsDir() {
			continue
		}
		if err := set.add(dir, folder.Name(), label, noted); err != nil {
			return nil, err
		}
	}
	if len(set.Items) == 0 {
		return nil, errors.New("no folder NormalFinal, ScolFinal or SpondFinal with pictures (Normal, Scol and Spond do too)")
	}
	grouped := func(group string) bool { return group != "" }
	if slices.ContainsFunc(slices.Collect(maps.Values(noted)), func(n note) bool { return grouped(n.group) }) &&
		!slices.ContainsFunc(set.Items, func(i Item) bool { return grouped(i.Group) }) {
		return nil, errors.New("manifest.csv groups pictures, but none of them is here: its column file needs FOLDER/NAME")
	}
	if err := set.hash(); err != nil {
		return nil, err
	}
	return set, set.settle()
}

func (s *Set) add(dir, folder string, label spine.Label, noted map[named]note) error {
	files, err := os.ReadDir(filepath.Join(dir, folder))
	if err != nil {
		return err
	}
	for _, file := range files {
		switch strings.ToLower(filepath.Ext(file.Name())) {
		case ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm":
			n := noted[named{label, file.Name()}]
			s.Items = append(s.Items, Item{
				Path: filepath.Join(dir, folder, file.Name()), Label: label, Group: n.group, View: n.view,
			})
		}
	}
	return nil
}

// named is a file in a manifest: by its class, for copies of the archive name
// their folders differently.
type named struct {
	label spine.Label
	name  string
}

// note is what a manifest says of a file.
type note struct{ group, view string }

// readManifest returns what a manifest says of each file. Its columns are
// file, group and view; all but file may be missing.
func readManifest(name string) (map[named]note, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("manifest.csv: %w", err)
	}
	if len(rows) == 0 || !slices.Contains(rows[0], "file") {
		return nil, nil
	}
	column := func(row []string, name string) string {
		if i := slices.Index(rows[0], name); i >= 0 {
			return row[i]
		}
		return ""
	}
	noted := map[named]note{}
	for _, row := range rows[1:] {
		folder, name := path.Split(column(row, "file"))
		label, _ := folderLabel(path.Clean(folder))
		n := note{view: column(row, "view")}
		if g := column(row, "group"); g != "" {
			n.group = "manifest " + g
		}
		noted[named{label, name}] = n
	}
	return noted, nil
}

func (s *Set) hash() error {
	var all errgroup.Group
	all.SetLimit(4)
	for i := range s.Items {
		all.Go(func() error {
			var err error
			if s.Items[i].SHA256, err = hash(s.Items[i].Path); err != nil {
				return fmt.Errorf("a picture in %s: %w", s.Items[i].folder(), unnamed(err))
			}
			return nil
		})
	}
	return all.Wait()
}

func hash(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// settle sorts the items, and makes a group of each that has none. Without
// patients' names, equal bytes are all that tells one.
func (s *Set) settle() error {
	slices.SortFunc(s.Items, func(a, b Item) int {
		if c := strings.Compare(a.SHA256, b.SHA256); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	for i := range s.Items {
		item := &s.Items[i]
		if item.Group == "" {
			item.Group = item.SHA256
		}
		if i == 0 || s.Items[i-1].SHA256 != item.SHA256 {
			continue
		}
		before := s.Items[i-1]
		if before.Label != item.Label {
			return fmt.Errorf("%v lies in %s too, under another label", before, item.folder())
		}
		s.merge(before.Group, item.Group)
	}
	return nil
}

// merge makes one group of two: who sent the same picture twice is one patient,
// under whichever names the manifest knows the two files.
func (s *Set) merge(group, other string) {
	for i := range s.Items {
		if s.Items[i].Group == other {
			s.Items[i].Group = group
		}
	}
}

// Count returns how many items each label has.
func (s *Set) Count() map[spine.Label]int {
	n := map[spine.Label]int{}
	for _, item := range s.Items {
		n[item.Label]++
	}
	return n
}

// Digest identifies the set by what is in it: the SHA-256 over its items'
// digests and labels.
func (s *Set) Digest() string {
	h := sha256.New()
	for _, item := range s.Items {
		fmt.Fprintln(h, item.SHA256, item.Label)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Decode turns each item into something by the function, side by side on
// several cores, in the order of the items. done is called after each.
func Decode[T any](s *Set, cores int, decode func(Item) (T, error), done func()) ([]T, error) {
	out := make([]T, len(s.Items))
	var all errgroup.Group
	all.SetLimit(cores)
	var mu sync.Mutex
	for i, item := range s.Items {
		all.Go(func() error {
			v, err := decode(item)
			if err != nil {
				return fmt.Errorf("%v: %w", item, unnamed(err))
			}
			mu.Lock()
			defer mu.Unlock()
			out[i] = v
			done()
			return nil
		})
	}
	return out, all.Wait()
}
