package train

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/dustin/go-humanize/english"

	"spinebox/lab/textures"
	"spinebox/models/weights"
)

// Pretraining trains a backbone to tell made textures and shapes apart: a
// stand-in for ImageNet's weights, and marked as one.
type Pretraining struct {
	Config   Config // Method is Random; Fold does not matter
	Pictures int    // of each kind
	Dir      string // for the checkpoint and history.csv
	Resume   bool
	Cores    int
	Progress Progress
}

// Train trains the backbone and writes it to the file. Of every ten pictures,
// one is for validation: Accuracy of the progress tells how many kinds of those
// it knows.
func (p *Pretraining) Train(ctx context.Context, file string) (*weights.File, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	if p.Config.Method != Random || p.Pictures < 10 {
		return nil, errors.New("pretraining begins with random weights, and needs ten pictures of each kind at least")
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return nil, err
	}
	r := &Run{Config: p.Config, Dir: p.Dir, Resume: p.Resume, Cores: p.Cores, Progress: p.Progress,
		classes: textures.Kinds(), data: fmt.Sprintf("%d made pictures of each kind, version 1", p.Pictures)}
	at, err := r.begin()
	if err != nil {
		return nil, err
	}
	in := p.Config.Input
	for i := range p.Pictures {
		for kind := range textures.Kinds() {
			s := sample{plane: textures.Draw(kind, p.Config.Seed+uint64(i), in.Width, in.Height), label: kind}
			if i%10 == 9 {
				r.validation = append(r.validation, s)
			} else {
				r.fit = append(r.fit, s)
			}
		}
	}
	g, err := r.learn(ctx, at)
	if err != nil {
		return nil, err
	}
	f := &weights.File{Architecture: p.Config.Network, StandIn: true, Weights: weights.Backbone(at.best),
		Origin: fmt.Sprintf("%s of textures and shapes, %s", english.Plural(len(r.fit), "made picture", ""), english.Plural(at.Best, "epoch", ""))}
	return f, errors.Join(f.Write(file), g.session.Close())
}
