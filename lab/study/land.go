package study

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// land copies a fold's small files to the landing folder, the ones that make it
// whole last.
func (s *Study) land(t Task) error {
	if s.Land == "" {
		return nil
	}
	if err := copySmall(filepath.Join(s.Dir, t.Path()), filepath.Join(s.Land, t.Path())); err != nil {
		return fmt.Errorf("land %s: %w", t, err)
	}
	return nil
}

// takeOver brings folds that the landing folder has whole, and the runs do not,
// into the runs: there they are finished, even without their weights. And it
// lands those that were finished before anybody asked for landing.
func (s *Study) takeOver() error {
	if s.Land == "" {
		return nil
	}
	for _, t := range s.Tasks {
		landed, err := stageOf(filepath.Join(s.Land, t.Path()))
		if err != nil {
			return err
		}
		here, err := s.stage(t)
		if err != nil {
			return err
		}
		switch {
		case landed == Finished && here < Finished:
			if err := s.takeOne(t); err != nil {
				return err
			}
		case here == Finished && landed < Finished:
			if err := s.land(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeOne brings one landed fold into the runs, unless a process works on it.
func (s *Study) takeOne(t Task) error {
	to := filepath.Join(s.Dir, t.Path())
	if err := s.checkTask(filepath.Join(s.Land, t.Path()), t); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(to, lockName), patience)
	if errors.Is(err, ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	return copySmall(filepath.Join(s.Land, t.Path()), to)
}

// copySmall copies the small files that are there and are not in the other
// folder yet.
func copySmall(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := sweep(to); err != nil {
		return err
	}
	for _, name := range smallFiles() {
		content, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if had, err := os.ReadFile(filepath.Join(to, name)); err == nil && bytes.Equal(had, content) {
			continue
		}
		if err := write(filepath.Join(to, name), content); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what a process that was killed has left half-written.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, partial))
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
