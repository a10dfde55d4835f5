// Package dataset reads labelled X-rays: in the layout of the paper's archive
// (Fraiwan et al. 2022, doi 10.17632/xkt857dsxk.1), one folder for each class,
// or from a CSV list that says where each lies.
package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
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
	Mask   string // the file of where to look, of a list; empty when there is none

	line int // in the list; 0 in folders
}

// String names the item without its file's name.
func (i Item) String() string {
	return fmt.Sprintf("picture %s %s", i.SHA256[:min(12, len(i.SHA256))], i.place())
}

// place says where the picture is found: in which class's folder, or on which
// line of the list. Folders that a list names may be called after persons.
func (i Item) place() string {
	if i.line > 0 {
		return fmt.Sprintf("on line %d", i.line)
	}
	return "in " + filepath.Base(filepath.Dir(i.Path))
}

// Unnamed returns the error without the file name that the system puts in,
// which may be a person's.
func Unnamed(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// advised adds what to do about a picture that cannot be read.
func advised(err error) error {
	err = Unnamed(err)
	if _, ok := errors.AsType[*spine.Fault](err); ok {
		return fmt.Errorf("%w: take it out or replace it (spinelab inspect lists all such pictures)", err)
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

// Read lists and hashes the set at path: a folder with one folder for each
// class, or a CSV list. Probable patients come from the list, or from the column
// "group" of a manifest.csv in the folder, when there is one; files with the
// same bytes are one group and must have one label.
func Read(path string) (*Set, error) {
	set, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", path, err)
	}
	return set, nil
}

func read(path string) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("it cannot be opened (%w): give a folder with NormalFinal, ScolFinal and SpondFinal in it, or a CSV list", Unnamed(err))
	}
	set := new(Set)
	if info.IsDir() {
		err = set.readFolders(path)
	} else {
		err = set.readList(path)
	}
	if err != nil {
		return nil, err
	}
	if err := set.hash(); err != nil {
		return nil, err
	}
	return set, set.settle()
}

func (s *Set) readFolders(dir string) error {
	noted, err := readManifest(filepath.Join(dir, "manifest.csv"))
	if err != nil {
		return err
	}
	folders, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		label, ok := folderLabel(folder.Name())
		if !ok || !folder.IsDir() {
			continue
		}
		if err := s.add(dir, folder.Name(), label, noted); err != nil {
			return err
		}
	}
	if len(s.Items) == 0 {
		return errors.New("no folder NormalFinal, ScolFinal or SpondFinal with pictures (Normal, Scol and Spond do too)")
	}
	grouped := func(group string) bool { return group != "" }
	if slices.ContainsFunc(slices.Collect(maps.Values(noted)), func(n note) bool { return grouped(n.group) }) &&
		!slices.ContainsFunc(s.Items, func(i Item) bool { return grouped(i.Group) }) {
		return errors.New("manifest.csv groups pictures, but none of them is here: its column file needs FOLDER/NAME")
	}
	return nil
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

func (s *Set) hash() error {
	var all errgroup.Group
	all.SetLimit(4)
	for i := range s.Items {
		all.Go(func() error {
			var err error
			if s.Items[i].SHA256, err = hash(s.Items[i].Path); err != nil {
				return fmt.Errorf("the picture %s: %w", s.Items[i].place(), Unnamed(err))
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
			return fmt.Errorf("%v is there %s too, under another label: keep the one that is right", before, item.place())
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

// HasAll says in a sentence which class the set has no picture of.
func (s *Set) HasAll() error {
	n := s.Count()
	for _, l := range spine.Labels() {
		if n[l] == 0 {
			return fmt.Errorf("the data have no picture of %s, and no network learns a class that it never sees\n"+
				"hint: put pictures of it into its folder (NormalFinal, ScolFinal, SpondFinal), or on the list", l)
		}
	}
	return nil
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
	all.SetLimit(max(cores, 1))
	var mu sync.Mutex
	for i, item := range s.Items {
		all.Go(func() error {
			v, err := decode(item)
			if err != nil {
				return fmt.Errorf("%v: %w", item, advised(err))
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
