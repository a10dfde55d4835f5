package study

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"spinebox/lab/dataset"
	"spinebox/lab/train"
	"spinebox/models/weights"
)

// ErrStopped says that somebody stopped the study, and that nothing is lost.
var ErrStopped = errors.New("stopped; what is trained so far is saved, and the same command goes on with it")

// RunFold trains one fold, or goes on where it stopped, and lands it. Whatever
// of it is there is not done again. While another process works on the fold the
// error is ErrBusy.
func (s *Study) RunFold(ctx context.Context, t Task, p train.Progress) error {
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
		err = explained(fmt.Errorf("%s: %w", t, err), dir)
		_ = write(failure, []byte(err.Error()+"\n")) // status shows it; a full disk may not take it
		return err
	}
}

func (s *Study) runFold(ctx context.Context, t Task, dir string, p train.Progress) error {
	stage, err := stageOf(dir)
	if err != nil {
		return err
	}
	if stage < Finished {
		if err := s.train(ctx, t, dir, p); err != nil {
			return err
		}
	}
	return s.land(t)
}

func (s *Study) train(ctx context.Context, t Task, dir string, p train.Progress) error {
	c := s.training(t)
	var backbone *weights.File
	if t.Variant.Pretrained() {
		var err error
		if backbone, err = s.backbone(t.Variant.Network); err != nil {
			return err
		}
		c.Backbone = backbone.Digest
	}
	parts, err := s.Data.Split(s.Folds, t.Fold, s.Config.Seed)
	if err != nil {
		return err
	}
	// The held-out pictures are read last, which may be hours from now.
	if err := checkPictures(s.Data.Only(parts, dataset.HeldOut)); err != nil {
		return err
	}
	r := train.Run{
		Config: c, Data: s.Data, Dir: dir, Resume: true, Cores: s.Cores, Phantom: s.Phantom, SaveEvery: s.Config.SaveEvery,
		Backbone: backbone, Cache: filepath.Join(s.Dir, "features"), Progress: p,
	}
	_, err = r.Train(ctx)
	return err
}

// explained says what to do about a full disk, wherever it was met.
func explained(err error, dir string) error {
	if err != nil && errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w\nhint: the disk of %s is full. Make room there and give the same command again: it goes on from the last checkpoint", err, dir)
	}
	return err
}
