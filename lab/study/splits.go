package study

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
)

// The study's own files.
const (
	configName  = "study.yaml"
	splitsName  = "splits.json"
	weightsName = "weights.json"
	lockName    = "lock"
)

// Splits are a study's folds by the pictures' SHA-256: splits.json.
type Splits struct {
	Digest string  `json:"digest"` // SHA-256 over the lines "sha256 fold"
	Data   string  `json:"data"`   // the data set's digest
	Seed   uint64  `json:"seed"`
	Folds  int     `json:"folds"`
	Items  []Split `json:"items"`
}

// Split says in which fold a picture is held out.
type Split struct {
	SHA256 string      `json:"sha256"`
	Label  spine.Label `json:"label"`
	Group  int         `json:"group"` // pictures of one number belong to one patient
	Fold   int         `json:"fold"`
}

func newSplits(set *dataset.Set, k int, seed uint64) (*Splits, error) {
	folds, err := set.Folds(k, seed)
	if err != nil {
		return nil, err
	}
	s := &Splits{Data: set.Digest(), Seed: seed, Folds: k}
	digest, groups := sha256.New(), map[string]int{}
	for i, item := range set.Items {
		if _, ok := groups[item.Group]; !ok {
			groups[item.Group] = len(groups)
		}
		fmt.Fprintln(digest, item.SHA256, folds[i])
		s.Items = append(s.Items, Split{item.SHA256, item.Label, groups[item.Group], folds[i]})
	}
	s.Digest = hex.EncodeToString(digest.Sum(nil))
	return s, nil
}

// ReadSplits reads the splits.json of a folder.
func ReadSplits(dir string) (*Splits, error) {
	raw, err := os.ReadFile(filepath.Join(dir, splitsName))
	if err != nil {
		return nil, err
	}
	s := new(Splits)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, splitsName), err)
	}
	return s, nil
}

// keep writes splits.json, or checks that the folder's is this one: with other
// folds, a network would be judged on what another part of the study has learned.
func (s *Splits) keep(dir string) error {
	name := filepath.Join(dir, splitsName)
	want, err := marshal(s)
	if err != nil {
		return err
	}
	switch got, err := os.ReadFile(name); {
	case errors.Is(err, fs.ErrNotExist):
		return write(name, want)
	case err != nil:
		return err
	case !bytes.Equal(got, want):
		return fmt.Errorf("%s holds other folds than these data, this seed and this number of folds make\n"+
			"hint: a new folder begins a new study; to go on with this one, give the same data, configuration and --folds", name)
	}
	return nil
}

// keepConfig writes study.yaml, or checks that the folder's says the same.
func keepConfig(dir string, c *Config, raw []byte) error {
	name := filepath.Join(dir, configName)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return write(name, raw)
	}
	kept, _, err := ReadConfig(name)
	if err != nil {
		return err
	}
	if kept.Digest() != c.Digest() {
		return fmt.Errorf("%s is another configuration, and one study has one\n"+
			"hint: a new folder begins a new study; to go on with this one, leave --config out", name)
	}
	return nil
}

func marshal(v any) ([]byte, error) {
	raw, err := json.MarshalIndent(v, "", " ")
	return append(raw, '\n'), err
}

// partial is the pattern of the names of half-written files.
const partial = ".part-*"

// write leaves the old file or the whole new one, whatever happens.
func write(name string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), partial)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
