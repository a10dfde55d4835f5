package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"time"

	"spinebox/lab/dataset"
	"spinebox/lab/train"
	"spinebox/models/nets"
)

// trainWorker runs spinelab's own training, which is held between two commands
// at the end of a step.
func trainWorker(a nets.Architecture) error {
	dir, err := os.MkdirTemp("", "spinebox-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	set, err := writePictures(filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	c := train.Default()
	c.Network, c.Input, c.Batch, c.Epochs = a, spec(), 16, 1000
	p := &pace{conversation: newConversation(os.Stdin, os.Stdout), left: warmUps, ended: func(err error) {
		os.RemoveAll(dir) // Exit runs no deferred calls
		if err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}}
	r := &train.Run{
		Config: c, Data: set, Dir: filepath.Join(dir, "run"), Cores: threads, Phantom: true,
		Progress: train.Progress{
			Step: func(int, int, float64) { p.step() },
			// What lies between two epochs is validation, which the rivals
			// do not do.
			Epoch: func(train.Epoch, bool) { p.last = time.Now() },
		},
	}
	_, err = r.Train(context.Background())
	return errors.Join(err, errors.New("the training ended before the benchmark"))
}

// pace times the steps of a training and holds it between two commands.
type pace struct {
	*conversation
	settled bool
	left    int // steps until the next report
	ms      []float64
	last    time.Time
	ended   func(error) // does not return
}

func (p *pace) step() {
	p.ms = append(p.ms, milliseconds(time.Since(p.last)))
	if p.left--; p.left == 0 {
		p.hold()
	}
	p.last = time.Now()
}

// hold answers the last command and waits for the next.
func (p *pace) hold() {
	var err error
	if p.settled {
		err = p.report(p.ms)
	} else {
		err = p.ready(fmt.Sprintf("spinelab train: Adam, batch 16, augmentation, %d threads", threads))
	}
	p.settled, p.ms = true, nil
	if err == nil {
		p.left, err = p.next()
	}
	switch {
	case errors.Is(err, io.EOF):
		p.ended(nil)
	case err != nil:
		p.ended(err)
	}
}

// writePictures makes a data set of noise, large enough that an epoch is not
// over in a moment.
func writePictures(dir string) (*dataset.Set, error) {
	state := uint32(1)
	for _, folder := range []string{"NormalFinal", "ScolFinal", "SpondFinal"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
		for i := range 200 {
			grey := image.NewGray(image.Rect(0, 0, 128, 128))
			for k := range grey.Pix {
				state = state*1664525 + 1013904223
				grey.Pix[k] = uint8(state >> 24)
			}
			if err := writePNG(filepath.Join(dir, folder, fmt.Sprintf("%d.png", i)), grey); err != nil {
				return nil, err
			}
		}
	}
	return dataset.Read(dir)
}

func writePNG(name string, m image.Image) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return png.Encode(f, m)
}
