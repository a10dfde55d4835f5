package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/models/description"
)

// ErrExists says that Dir already holds a training and Resume was not asked for.
var ErrExists = errors.New("the folder already holds a training")

func otherTraining(name string) error {
	return fmt.Errorf("%s belongs to another configuration or other data: use a new folder", name)
}

// enter makes the folder with config.json and splits.json, or checks that it
// holds this very training: with another split, a resumed training would learn
// what it is to be judged on.
func (r *Run) enter() error {
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return err
	}
	for name, v := range map[string]any{"config.json": r.Config, "splits.json": r.splits()} {
		want, err := marshal(v)
		if err != nil {
			return err
		}
		name := filepath.Join(r.Dir, name)
		switch got, err := os.ReadFile(name); {
		case errors.Is(err, fs.ErrNotExist):
			if err := write(name, want); err != nil {
				return err
			}
		case err != nil:
			return err
		case !r.Resume:
			return ErrExists
		case !bytes.Equal(got, want):
			return otherTraining(name)
		}
	}
	return nil
}

func (r *Run) splits() any {
	type line struct {
		SHA256 string       `json:"sha256"`
		Label  spine.Label  `json:"label"`
		Part   dataset.Part `json:"part"`
	}
	splits := struct {
		Data  string `json:"data"`
		Seed  uint64 `json:"seed"`
		Fold  int    `json:"fold"`
		Items []line `json:"items"`
	}{r.Data.Digest(), r.Config.Seed, r.Config.Fold, nil}
	for i, item := range r.Data.Items {
		splits.Items = append(splits.Items, line{item.SHA256, item.Label, r.parts[i]})
	}
	return splits
}

// finished returns what the training in the folder has reached, or nil when it
// has not ended or its model is not whole any more.
func (r *Run) finished() (*Result, error) {
	raw, err := os.ReadFile(filepath.Join(r.Dir, doneName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	result := new(Result)
	if err := json.Unmarshal(raw, result); err != nil {
		return nil, fmt.Errorf("read %s: %w", doneName, err)
	}
	result.Model = filepath.Join(r.Dir, "model") // the folder may have moved
	model, err := description.Load(result.Model)
	if err != nil || model.Digest() != result.Digest {
		r.say("the model is not as the training left it, and is made again from the checkpoint")
		return nil, nil
	}
	r.say("the model that was trained here before is kept; a new training needs a new folder")
	return result, nil
}

const doneName = "done.json"

func marshal(v any) ([]byte, error) {
	raw, err := json.MarshalIndent(v, "", "  ")
	return append(raw, '\n'), err
}

// write leaves the old file or the whole new one, whatever happens.
func write(name string, content []byte) error {
	if err := os.WriteFile(name+".part", content, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".part", name)
}
