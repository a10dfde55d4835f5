package study

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"spinebox/lab/look"
	"spinebox/lab/train"
)

// Stage is how far a fold is.
type Stage int

const (
	Waiting  Stage = iota
	Begun          // there is a training, and perhaps a checkpoint
	Trained        // there is a model, and what it answered
	Finished       // where it looked has been measured, too
)

// String names the stage.
func (s Stage) String() string { return [...]string{"waiting", "begun", "trained", "finished"}[s] }

const (
	configFile  = "config.json"
	historyFile = "history.csv"
	doneFile    = "done.json"
	judgedFile  = "judged.json"
	failureFile = "failure.txt" // why the last try ended, and nothing when it did not fail
)

// trainedFiles are the small files that a training leaves, the one that makes
// it whole last.
func trainedFiles() []string {
	return []string{configFile, historyFile, "predictions.csv", doneFile}
}

// smallFiles are all that is left of a fold where its weights are not, again
// the one that makes it whole last.
func smallFiles() []string { return append(trainedFiles(), look.Tables()...) }

// stage looks how far a task is in the folder of the runs.
func (s *Study) stage(t Task) (Stage, error) { return stageOf(filepath.Join(s.Dir, t.Path())) }

// stageOf looks how far the fold in the folder is. A file that another one
// vouches for and that is not there is an error: somebody has removed it.
func stageOf(dir string) (Stage, error) {
	if there, err := exists(dir, doneFile); err != nil {
		return Waiting, err
	} else if !there {
		begun, err := exists(dir, configFile)
		if begun {
			return Begun, err
		}
		return Waiting, err
	}
	for _, name := range trainedFiles() {
		if there, err := exists(dir, name); err != nil {
			return Waiting, err
		} else if !there {
			return Waiting, fmt.Errorf("%s has a %s and no %s\nhint: remove the folder, and the fold is trained again", dir, doneFile, name)
		}
	}
	if _, err := look.ReadFold(dir); err != nil { // not measured yet, or not to the end
		return Trained, nil
	}
	return Finished, nil
}

func exists(dir, name string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// checkFinished refuses folds, in the runs and in the landing folder, that were
// not trained as the configuration says.
func (s *Study) checkFinished() error {
	for _, dir := range s.folders() {
		for _, t := range s.Tasks {
			if err := s.checkTask(filepath.Join(dir, t.Path()), t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Study) checkTask(dir string, t Task) error {
	raw, err := os.ReadFile(filepath.Join(dir, configFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var got train.Config
	if err := json.Unmarshal(raw, &got); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(dir, configFile), err)
	}
	want := s.training(t)
	if s.backbones.has(t.Variant.Network, got.Backbone) {
		want.Backbone = got.Backbone
	}
	if got.Digest() != want.Digest() {
		return fmt.Errorf("%s was not trained as the configuration says (see its %s)\n"+
			"hint: remove that folder, and the fold is trained again; or begin a new study in a new folder", dir, configFile)
	}
	return nil
}

// training returns how a task is trained, all but the backbone.
func (s *Study) training(t Task) train.Config {
	c := s.Config.Training(t.Variant)
	c.Fold, c.Folds = t.Fold, s.Folds
	return c
}

// readDone returns what the fold's model reached on the held-out pictures.
func readDone(dir string) (*train.Result, error) {
	raw, err := os.ReadFile(filepath.Join(dir, doneFile))
	if err != nil {
		return nil, err
	}
	r := new(train.Result)
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, doneFile), err)
	}
	return r, nil
}

// lastEpoch returns the number of the last whole epoch in history.csv, 0 before
// there is one.
func lastEpoch(dir string) int {
	raw, err := os.ReadFile(filepath.Join(dir, historyFile))
	if err != nil {
		return 0
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil || len(rows) == 0 { // it is being written
		return 0
	}
	n, err := strconv.Atoi(rows[len(rows)-1][0])
	if err != nil { // the header
		return 0
	}
	return n
}
