package study

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
)

// Merge collects the finished folds of one study from several folders of runs
// or landing folders, and returns the tasks that none of them has. Folders of
// another configuration, of other folds or with other pretrained weights are
// refused, and so is a fold that two of them have differently.
func Merge(dirs []string, out string) (missing []Task, err error) {
	parts := make([]*Study, len(dirs))
	for i, dir := range dirs {
		if parts[i], err = openPart(dir); err != nil {
			return nil, err
		}
	}
	first := parts[0]
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(first.Dir, configName))
	if err != nil {
		return nil, err
	}
	known, err := readBackbones(out)
	if err != nil {
		return nil, err
	}
	// Nothing is copied before all of it is known to belong together.
	for _, p := range parts {
		if err := known.join(p.backbones); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Dir, err)
		}
		if err := same(first, p); err != nil {
			return nil, err
		}
	}
	if err := keepConfig(out, first.Config, raw); err != nil {
		return nil, err
	}
	splits, err := ReadSplits(first.Dir)
	if err != nil {
		return nil, err
	}
	if err := splits.keep(out); err != nil {
		return nil, err
	}
	if err := known.write(out); err != nil {
		return nil, err
	}
	if err := mergeRegions(parts, out); err != nil {
		return nil, err
	}
	for _, t := range first.Tasks {
		found, err := collect(parts, out, t)
		if err != nil {
			return nil, explained(err, out)
		}
		if !found {
			missing = append(missing, t)
		}
	}
	return missing, nil
}

// openPart reads what a folder says about its study, and checks its folds.
func openPart(dir string) (*Study, error) {
	c, _, err := ReadConfig(filepath.Join(dir, configName))
	if err != nil {
		return nil, fmt.Errorf("%s is no folder of a study's runs: %w", dir, err)
	}
	splits, err := ReadSplits(dir)
	if err != nil {
		return nil, fmt.Errorf("%s is no folder of a study's runs: %w", dir, err)
	}
	s := &Study{Options: Options{Dir: dir, Folds: splits.Folds}, Config: c, Variants: c.All(), Tasks: tasks(c.All(), splits.Folds)}
	if s.backbones, err = readBackbones(dir); err != nil {
		return nil, err
	}
	return s, s.checkFinished()
}

// same refuses two folders that are not parts of one study.
func same(a, b *Study) error {
	if a.Config.Digest() != b.Config.Digest() {
		return fmt.Errorf("%s and %s have different configurations: they are two studies", a.Dir, b.Dir)
	}
	ours, err := ReadSplits(a.Dir)
	if err != nil {
		return err
	}
	theirs, err := ReadSplits(b.Dir)
	if err != nil {
		return err
	}
	if ours.Digest != theirs.Digest || ours.Data != theirs.Data {
		return fmt.Errorf("%s and %s have different folds: what one was judged on, the other has learned", a.Dir, b.Dir)
	}
	return nil
}

// mergeRegions takes over with which regions the folds were measured, or refuses
// folders that were measured with different ones.
func mergeRegions(parts []*Study, out string) error {
	known, err := readRegions(out)
	if err != nil {
		return err
	}
	for _, p := range parts {
		its, err := readRegions(p.Dir)
		if err != nil {
			return err
		}
		if its != "" && known != "" && its != known {
			return fmt.Errorf("%s was measured against other regions than the folders before it, or against none", p.Dir)
		}
		known = cmp.Or(known, its)
	}
	if known == "" {
		return nil
	}
	return write(filepath.Join(out, regionsName), []byte(known+"\n"))
}

// collect copies the task from the first folder that has it finished.
func collect(parts []*Study, out string, t Task) (found bool, err error) {
	to := filepath.Join(out, t.Path())
	for _, p := range parts {
		from := filepath.Join(p.Dir, t.Path())
		stage, err := stageOf(from)
		if err != nil {
			return false, err
		}
		if stage < Finished {
			continue
		}
		if here, err := stageOf(to); err != nil {
			return false, err
		} else if here == Finished {
			if err := sameTables(from, to); err != nil {
				return false, err
			}
			found = true
			continue
		}
		if err := copySmall(from, to); err != nil {
			return false, err
		}
		found = true
	}
	if !found {
		here, err := stageOf(to) // an earlier merge
		return here == Finished, err
	}
	return true, nil
}

// sameTables refuses a fold that was trained twice and came out differently.
func sameTables(from, to string) error {
	for _, name := range smallFiles() {
		if filepath.Ext(name) != ".csv" { // the others tell seconds
			continue
		}
		a, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(to, name))
		if err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			return fmt.Errorf("%s and %s hold the same fold, and their %s differ: it was trained twice\n"+
				"hint: remove one of the two", from, to, name)
		}
	}
	return nil
}
