package study

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"spinebox/lab/dataset"
	"spinebox/lab/look"
	"spinebox/lab/train"
	"spinebox/models/weights"
)

// ErrStopped says that somebody stopped the study, and that nothing is lost.
var ErrStopped = errors.New("stopped; what is trained so far is saved, and the same command goes on with it")

// Progress is told how a fold goes; nil fields are left out.
type Progress struct {
	train.Progress
	Measured func(done, total int) // runs of the network to see where it looked
}

// RunFold trains one fold, or goes on where it stopped, measures where its
// network looked, and lands it. Whatever
// of it is there is not done again. While another process works on the fold the
// error is ErrBusy.
func (s *Study) RunFold(ctx context.Context, t Task, p Progress) error {
	dir := filepath.Join(s.Dir, t.Path())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(dir, lockName), patience)
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	defer unlock()
	failure := filepath.Join(dir, failureFile)
	if err := os.RemoveAll(failure); err != nil {
		return err
	}
	switch err := s.runFold(ctx, t, dir, p); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", t, ErrStopped)
	default:
		err = explained(err, dir)
		_ = write(failure, []byte(err.Error()+"\n")) // status shows it; a full disk may not take it
		return fmt.Errorf("%s: %w", t, err)
	}
}

func (s *Study) runFold(ctx context.Context, t Task, dir string, p Progress) error {
	stage, err := stageOf(dir)
	if err != nil {
		return err
	}
	if stage < Finished {
		parts, err := s.Data.Split(s.Folds, t.Fold, s.Config.Seed)
		if err != nil {
			return err
		}
		if err := s.train(ctx, t, dir, parts, p.Progress); err != nil {
			return err
		}
		if err := s.look(ctx, dir, parts, p.Measured); err != nil {
			return err
		}
	}
	return s.land(t)
}

// look measures where the fold's network looked.
func (s *Study) look(ctx context.Context, dir string, parts []dataset.Part, progress func(done, total int)) error {
	if err := s.keepRegions(); err != nil {
		return err
	}
	_, err := look.Fold(ctx, look.Options{
		Dir: dir, Held: s.Data.Only(parts, dataset.HeldOut), Fit: s.Data.Only(parts, dataset.Fit), Regions: s.Regions,
		Seed: s.Config.Seed, Threads: s.Cores, Faithful: s.Config.Heatmaps.Faithful, Probe: s.Config.Heatmaps.Probe, Progress: progress,
	})
	return err
}

func (s *Study) train(ctx context.Context, t Task, dir string, parts []dataset.Part, p train.Progress) error {
	c := s.training(t)
	var backbone *weights.File
	if t.Variant.Pretrained() {
		var err error
		if backbone, err = s.begin(t.Variant.Network); err != nil {
			return err
		}
		c.Backbone = backbone.Digest
	}
	// The held-out pictures are read last, which may be hours from now.
	if err := s.checkPictures(s.Data.Only(parts, dataset.HeldOut)); err != nil {
		return err
	}
	r := train.Run{
		Config: c, Data: s.Data, Dir: dir, Resume: true, Cores: s.Cores, Phantom: s.Phantom, SaveEvery: s.Config.SaveEvery,
		Backbone: backbone, Cache: filepath.Join(s.Dir, "features"), Progress: p,
	}
	_, err := r.Train(ctx)
	return err
}

// explained says what to do about a full disk, wherever it was met.
func explained(err error, dir string) error {
	if err != nil && errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w\nhint: the disk of %s is full. Make room there and give the same command again: it goes on from the last checkpoint", err, dir)
	}
	return err
}
