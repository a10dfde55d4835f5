package study

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Status is how a study stands, from the files of its folder alone.
type Status struct {
	Folds int          `json:"folds"`
	Seed  uint64       `json:"seed"`
	Tasks []TaskStatus `json:"tasks"`
	Count Count        `json:"count"`
}

// Count is how many tasks are in which state.
type Count struct {
	Finished int `json:"finished"`
	Running  int `json:"running"`
	Failed   int `json:"failed"`
	Left     int `json:"left"` // all that are not finished
}

// TaskStatus is how one fold stands.
type TaskStatus struct {
	Variant  string  `json:"variant"`
	Fold     int     `json:"fold"`
	State    string  `json:"state"` // a stage, "running" or "failed"
	Epoch    int     `json:"epoch"` // the last one that is over
	Epochs   int     `json:"epochs"`
	Accuracy float64 `json:"accuracy"` // of the held-out pictures, 0 to 1; 0 before it is known
	Seconds  float64 `json:"seconds"`  // spent training, known at its end
	Failure  string  `json:"failure,omitempty"`
}

// ReadStatus looks at the folder of a study's runs, or at a landing folder.
func ReadStatus(dir string) (*Status, error) {
	for _, name := range []string{configName, splitsName} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s holds no study\nhint: `spinelab cv --data DIR --config FILE --out %s` begins one", dir, dir)
		}
	}
	c, _, err := ReadConfig(filepath.Join(dir, configName))
	if err != nil {
		return nil, err
	}
	splits, err := ReadSplits(dir)
	if err != nil {
		return nil, err
	}
	s := &Status{Folds: splits.Folds, Seed: splits.Seed}
	for _, t := range tasks(c.All(), splits.Folds) {
		one, err := taskStatus(filepath.Join(dir, t.Path()), t)
		if err != nil {
			return nil, err
		}
		one.Epochs = c.Training(t.Variant).Epochs
		s.Tasks = append(s.Tasks, one)
		s.Count.add(one)
	}
	return s, nil
}

// Holds reports whether the folder is a fold's within a study.
func Holds(fold string) bool {
	whole, err := filepath.Abs(fold)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(filepath.Dir(filepath.Dir(whole)), configName))
	return err == nil
}

func (c *Count) add(t TaskStatus) {
	switch t.State {
	case Finished.String():
		c.Finished++
		return
	case "running":
		c.Running++
	case "failed":
		c.Failed++
	}
	c.Left++
}

func taskStatus(dir string, t Task) (TaskStatus, error) {
	s := TaskStatus{Variant: t.Variant.String(), Fold: t.Fold, Epoch: lastEpoch(dir)}
	stage, err := stageOf(dir)
	if err != nil {
		return s, err
	}
	s.State = stage.String()
	if stage >= Trained {
		result, err := readDone(dir)
		if err != nil {
			return s, err
		}
		s.Accuracy, s.Seconds = result.Accuracy, result.Seconds
	}
	if stage == Finished {
		return s, nil
	}
	if locked(filepath.Join(dir, lockName)) {
		s.State = "running"
	} else if why, err := os.ReadFile(filepath.Join(dir, failureFile)); err == nil {
		s.State, s.Failure = "failed", strings.TrimSpace(string(why))
	}
	return s, nil
}
