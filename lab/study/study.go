// Package study runs a cross-validated study: each variant (a network and how
// it is trained) on each fold of a data set. One process trains one fold; what
// a fold has come to lies in its folder and nowhere else, so that a study goes
// on after any interruption, and several machines can work on one.
//
// Most callers need two calls: Open, then RunAll (or RunFold, in the process of
// one fold). Read tells how a study stands without touching it.
package study

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/regions"
	"spinebox/runtime/xray"
)

// Task is one fold of one variant.
type Task struct {
	Variant Variant
	Fold    int // from 0
}

// String names the task for people.
func (t Task) String() string { return fmt.Sprintf("%s fold %d", t.Variant, t.Fold) }

// Path is the task's folder, beneath that of the runs.
func (t Task) Path() string { return filepath.Join(t.Variant.String(), fmt.Sprintf("fold%d", t.Fold)) }

// tasks lists the folds of the variants: the first fold of each, then the
// second of each, so that a study that is cut short says something about all.
func tasks(variants []Variant, folds int) []Task {
	var all []Task
	for fold := range folds {
		for _, v := range variants {
			all = append(all, Task{v, fold})
		}
	}
	return all
}

// Options are what Open needs to know.
type Options struct {
	Data     *dataset.Set
	Phantom  bool         // the data are made pictures, and the models say so
	Config   string       // the configuration file; empty: the one that Dir keeps
	Dir      string       // the folder of the runs
	Land     string       // gets each finished fold's small files; empty: nothing does
	Regions  *regions.Set // where networks ought to look; nil is none
	Variants []string     // names; none: all of the configuration
	Folds    int          // 0: as many as Dir or Land keeps, or dataset.Folds
	Cores    int          // of one fold; with 1, the same seed gives the same bytes

	// MeasureAgain forgets where the networks of all folds looked, so that it is
	// measured anew, against other regions.
	MeasureAgain bool
}

// Study is a configuration on a data set, in the folder of its runs.
type Study struct {
	Options
	Config   *Config
	Variants []Variant // those that are asked for
	Tasks    []Task

	backbones backbones
}

// Open reads the configuration, makes or checks the folder's study.yaml and
// splits.json, and takes over folds that the landing folder has and the runs do
// not. It refuses a folder of another configuration or of other folds, and data
// on which the folds cannot be made.
func Open(o Options) (*Study, error) {
	s := &Study{Options: o}
	if o.Config == "" {
		o.Config = filepath.Join(o.Dir, configName)
		if _, err := os.Stat(o.Config); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s holds no study yet, and a new one needs --config\nhint: `spinelab cv config > study.yaml` begins a configuration", o.Dir)
		}
	}
	c, raw, err := ReadConfig(o.Config)
	if err != nil {
		return nil, err
	}
	s.Config = c
	if s.Variants, err = c.Choose(o.Variants); err != nil {
		return nil, err
	}
	for _, dir := range s.folders() {
		if kept, err := ReadSplits(dir); err == nil && s.Folds == 0 {
			s.Folds = kept.Folds
		}
	}
	s.Folds = cmp.Or(s.Folds, dataset.Folds)
	s.Tasks = tasks(s.Variants, s.Folds)
	if err := checkFolds(o.Data, s.Folds, c.Seed); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockWait(filepath.Join(o.Dir, lockName)) // tasks of a cluster begin at the same moment
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.settle(raw); err != nil {
		return nil, explained(err, o.Dir)
	}
	return s, nil
}

// settle makes the study's own files in the folder of the runs and in the
// landing folder, or checks them, and takes over what has landed.
func (s *Study) settle(raw []byte) error {
	splits, err := newSplits(s.Data, s.Folds, s.Config.Seed)
	if err != nil {
		return err
	}
	for _, dir := range []string{s.Dir, s.Land} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := keepConfig(dir, s.Config, raw); err != nil {
			return err
		}
		if err := splits.keep(dir); err != nil {
			return err
		}
	}
	if err := s.knowBackbones(); err != nil {
		return err
	}
	if s.MeasureAgain {
		if err := s.measureAgain(); err != nil {
			return err
		}
	}
	if err := s.takeOver(); err != nil {
		return err
	}
	return s.checkFinished()
}

// checkFolds refuses data on which the folds cannot be made.
func checkFolds(set *dataset.Set, folds int, seed uint64) error {
	if folds < 2 {
		return fmt.Errorf("%d folds: two at least are needed, one to hold out", folds)
	}
	groups := map[spine.Label]map[string]bool{}
	for _, item := range set.Items {
		if groups[item.Label] == nil {
			groups[item.Label] = map[string]bool{}
		}
		groups[item.Label][item.Group] = true
	}
	if err := set.HasAll(); err != nil {
		return err
	}
	for _, l := range spine.Labels() {
		if n := len(groups[l]); n < folds {
			return fmt.Errorf("%d folds need %d patients of each class, and there are %d of %s\n"+
				"hint: more pictures, or fewer folds (--folds)", folds, folds, n, l)
		}
	}
	for fold := range folds {
		if _, err := set.Split(folds, fold, seed); err != nil {
			return fmt.Errorf("the data are too few for %d folds with a validation part inside: %w\nhint: more pictures", folds, err)
		}
	}
	return nil
}

// checkPictures decodes the pictures and lays their regions on them, and reports
// all that cannot be read or does not fit: better now than after hours of
// training.
func (s *Study) checkPictures(set *dataset.Set) error {
	errs := make([]error, len(set.Items))
	var all errgroup.Group
	all.SetLimit(runtime.NumCPU())
	for i, item := range set.Items {
		all.Go(func() error {
			one := &dataset.Set{Items: []dataset.Item{item}} // so that the error tells no name
			_, errs[i] = dataset.Decode(one, 1, s.checkPicture, func() {})
			return nil
		})
	}
	_ = all.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\nhint: take these pictures out of the data, or replace them or their regions; "+
			"`sha256sum` tells which file each is", err)
	}
	return nil
}

func (s *Study) checkPicture(item dataset.Item) (fits struct{}, err error) {
	p, err := xray.Decode(item.Path, xray.DefaultLimits())
	if err != nil || s.Regions == nil {
		return fits, err
	}
	if r, ok := s.Regions.Of(item.SHA256); ok {
		err = r.Fits(p.Width, p.Height)
	}
	return fits, err
}
