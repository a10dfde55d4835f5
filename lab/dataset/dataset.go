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
	Path   string // on this machine; it may name a person, so it stays here
	Label  spine.Label
	SHA256 string // of the file, hex
	Group  string // items of one group belong to one patient and stay in one fold
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
	groups, err := readGroups(filepath.Join(dir, "manifest.csv"))
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
		if err := set.add(dir, folder.Name(), label, groups); err != nil {
			return nil, err
		}
	}
	if len(set.Items) == 0 {
		return nil, errors.New("no folder NormalFinal, ScolFinal or SpondFinal with pictures (Normal, Scol and Spond do too)")
	}
	if err := set.hash(); err != nil {
		return nil, err
	}
	return set, set.settle()
}

func (s *Set) add(dir, folder string, label spine.Label, groups map[string]string) error {
	files, err := os.ReadDir(filepath.Join(dir, folder))
	if err != nil {
		return err
	}
	for _, file := range files {
		switch strings.ToLower(filepath.Ext(file.Name())) {
		case ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm":
			s.Items = append(s.Items, Item{
				Path: filepath.Join(dir, folder, file.Name()), Label: label,
				Group: groups[folder+"/"+file.Name()],
			})
		}
	}
	return nil
}

// readGroups returns the group of each file that a manifest puts in one.
func readGroups(name string) (map[string]string, error) {
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
	if len(rows) == 0 {
		return nil, nil
	}
	file, group := slices.Index(rows[0], "file"), slices.Index(rows[0], "group")
	if file < 0 || group < 0 {
		return nil, nil
	}
	groups := map[string]string{}
	for _, row := range rows[1:] {
		if row[group] != "" {
			groups[row[file]] = "manifest " + row[group]
		}
	}
	return groups, nil
}

func (s *Set) hash() error {
	var all errgroup.Group
	all.SetLimit(4)
	for i := range s.Items {
		all.Go(func() error {
			f, err := os.Open(s.Items[i].Path)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			s.Items[i].SHA256 = hex.EncodeToString(h.Sum(nil))
			return nil
		})
	}
	return all.Wait()
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
		if i > 0 && s.Items[i-1].SHA256 == item.SHA256 {
			before := s.Items[i-1]
			if before.Label != item.Label {
				return fmt.Errorf("%s and %s have the same bytes but different labels", before.Path, item.Path)
			}
			item.Group = before.Group
		}
		if item.Group == "" {
			item.Group = item.SHA256
		}
	}
	return nil
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
				return fmt.Errorf("%s: %w", item.Path, err)
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
