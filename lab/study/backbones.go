package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"spinebox/models/nets"
	"spinebox/models/weights"
)

// backbones are the pretrained weights that the study's folds have begun with,
// by network: weights.json. There is one for each network, but for stand-ins:
// where their file is not at hand they are trained again, and come out a little
// different on another machine.
type backbones map[nets.Architecture][]backbone

type backbone struct {
	Digest  string `json:"digest"`
	Origin  string `json:"origin"`
	StandIn bool   `json:"stand_in"`
}

func readBackbones(dir string) (backbones, error) {
	b := backbones{}
	name := filepath.Join(dir, weightsName)
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// add notes that folds begin with these weights, or says why they may not.
func (b backbones) add(n nets.Architecture, one backbone) error {
	for _, other := range b[n] {
		if other.Digest == one.Digest {
			return nil
		}
		if !other.StandIn || !one.StandIn {
			return fmt.Errorf("the folds of %s have begun with other pretrained weights (%s; SHA-256 %.12s…) than the configuration's (%s; %.12s…)\n"+
				"hint: name the first file under weights: in the configuration, or begin a new study in a new folder",
				n, other.Origin, other.Digest, one.Origin, one.Digest)
		}
	}
	b[n] = append(b[n], one)
	return nil
}

// has reports whether the study's folds may have begun with these weights.
func (b backbones) has(n nets.Architecture, digest string) bool {
	return slices.ContainsFunc(b[n], func(one backbone) bool { return one.Digest == digest })
}

// join adds all of the other's.
func (b backbones) join(other backbones) error {
	for n, all := range other {
		for _, one := range all {
			if err := b.add(n, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// write brings weights.json up to date; a study from random weights has none.
func (b backbones) write(dir string) error {
	raw, err := marshal(b)
	if err != nil || len(b) == 0 {
		return err
	}
	name := filepath.Join(dir, weightsName)
	if had, err := os.ReadFile(name); err == nil && bytes.Equal(had, raw) {
		return nil
	}
	return write(name, raw)
}

// knowBackbones brings weights.json of the runs and of the landing folder up to
// what both of them know.
func (s *Study) knowBackbones() error {
	s.backbones = backbones{}
	for _, dir := range s.folders() {
		known, err := readBackbones(dir)
		if err != nil {
			return err
		}
		if err := s.backbones.join(known); err != nil {
			return err
		}
	}
	return s.noteBackbones()
}

func (s *Study) noteBackbones() error {
	for _, dir := range s.folders() {
		if err := s.backbones.write(dir); err != nil {
			return err
		}
	}
	return nil
}

// folders lists where the study's own files lie.
func (s *Study) folders() []string {
	if s.Land == "" {
		return []string{s.Dir}
	}
	return []string{s.Dir, s.Land}
}

// backbone reads the file of weights that the configuration names for the
// network.
func (s *Study) backbone(n nets.Architecture) (*weights.File, error) {
	name := s.Config.Weights[n]
	if name == "" {
		return nil, fmt.Errorf("the configuration names no pretrained weights for %s\nhint: write them under weights:, %s: FILE", n, n)
	}
	f, err := weights.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w\nhint: `spinelab weights import` makes it from Keras' file; `spinelab pretrain --net %s --out %s` makes a stand-in", err, n, name)
	}
	if err != nil {
		return nil, err
	}
	if f.Architecture != n {
		return nil, fmt.Errorf("%s holds a %s, and the configuration names it for %s", name, f.Architecture, n)
	}
	return f, nil
}

// begin reads the weights that the network's folds begin with, and notes them.
func (s *Study) begin(n nets.Architecture) (*weights.File, error) {
	f, err := s.backbone(n)
	if err != nil {
		return nil, err
	}
	unlock, err := lockWait(filepath.Join(s.Dir, lockName)) // other processes note theirs
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.knowBackbones(); err != nil {
		return nil, err
	}
	if err := s.backbones.add(n, backbone{f.Digest, f.Origin, f.StandIn}); err != nil {
		return nil, err
	}
	return f, s.noteBackbones()
}

// needBackbones reads the weights of every network that has folds to train, so
// that a missing file is found before hours of training.
func (s *Study) needBackbones() error {
	need := map[nets.Architecture]bool{}
	for _, t := range s.Tasks {
		stage, err := s.stage(t)
		if err != nil {
			return err
		}
		if t.Variant.Pretrained() && stage < Trained {
			need[t.Variant.Network] = true
		}
	}
	for n := range need {
		if _, err := s.begin(n); err != nil {
			return err
		}
	}
	return nil
}
