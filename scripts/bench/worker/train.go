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
	"spinebox/models/weights"
)

// trainWorker runs spinelab's own training, which is held between two commands
// at the end of a step.
func trainWorker(a nets.Architecture, m train.Method) error {
	dir, err := os.MkdirTemp("", "spinebox-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	set, err := writePictures(filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	c := train.Default().For(m)
	c.Network, c.Input, c.Batch, c.Epochs, c.StallEpochs = a, spec(), 16, 1000, 0
	var backbone *weights.File
	if m == train.Finetune {
		// The head has been trained before: every step is one of the whole network.
		c.HeadEpochs = 0
		if backbone, err = randomBackbone(a, filepath.Join(dir, "backbone")); err != nil {
			return err
		}
		c.Backbone = backbone.Digest
	}
	settings := fmt.Sprintf("spinelab train, %s: Adam, batch 16, augmentation, %d threads", m, threads)
	p := &pace{conversation: newConversation(os.Stdin, os.Stdout), settings: settings, left: warmUps, ended: func(err error) {
		os.RemoveAll(dir) // Exit runs no deferred calls
		if err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}}
	r := &train.Run{
		Config: c, Data: set, Dir: filepath.Join(dir, "run"), Cores: threads, Phantom: true, Backbone: backbone,
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

// randomBackbone writes weights that know nothing: time does not depend on them,
// as long as numbers stay numbers. Without a batch's own statistics they grow
// with each residual block.
func randomBackbone(a nets.Architecture, name string) (*weights.File, error) {
	w := weights.Backbone(nets.Initial(a.Specs(1, false), 1))
	w.ZeroResiduals()
	f := &weights.File{Architecture: a, Origin: "random weights", StandIn: true, Weights: w}
	return f, f.Write(name)
}

// pace times the steps of a training and holds it between two commands.
type pace struct {
	*conversation
	settings string
	settled  bool
	left     int // steps until the next report
	ms       []float64
	last     time.Time
	ended    func(error) // does not return
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
		err = p.ready(p.settings)
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

// writePictures makes a data set of noise, about as many as the paper's.
func writePictures(dir string) (*dataset.Set, error) {
	state := uint32(1)
	for _, folder := range []string{"NormalFinal", "ScolFinal", "SpondFinal"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
		for i := range 113 {
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
