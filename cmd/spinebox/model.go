package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/slots"
	"spinebox/runtime/infer"
	"spinebox/runtime/pipeline"
	"spinebox/runtime/xray"
)

// reader is a loaded model as the pipeline speaks of it.
type reader struct{ *infer.Model }

func (r reader) Read(ctx context.Context, p *spine.Picture, m explain.Method) (*spine.Reading, spine.Timings, error) {
	reading, t, err := r.Model.Read(ctx, p, m)
	return reading, spine.Timings{Infer: milliseconds(t.Prepare + t.Run), Explain: milliseconds(t.Explain)}, err
}

func (r reader) Confidence() float64 { return r.Description().Thresholds.Confidence }

func (r reader) id() spine.ModelID { return r.Description().ID() }

// unsigned reports whether nobody vouches for the model. There are no signed
// releases yet, so nobody ever does.
func (r reader) unsigned() bool { return true }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// errModel says that there is no model that may be run. A service that was
// started again would find the same.
var errModel = errors.New("no model can be run")

// inferOptions are those of every session.
func (c *config) inferOptions() infer.Options {
	return infer.Options{Threads: c.Inference.Threads, GPU: c.Inference.GPU, AllowGrowth: c.Inference.MemoryGrowth}
}

// modelFolder returns the folder of a reader's model: the one that the
// configuration names, or the active one of those that are installed.
func (c *config) modelFolder(r slots.Reader) (string, error) {
	if c.Models.Path != "" {
		return c.Models.Path, nil
	}
	dir, err := c.slots().Active(r)
	if errors.Is(err, slots.ErrEmpty) {
		return "", withHint(err, "install one with `spinebox model install DIR --activate`, or name a folder in models.path or with --model")
	}
	return dir, err
}

// openModel loads the box's model. Every error is errModel, and without a model
// folder description.ErrMissing, too.
func openModel(c *config) (reader, error) {
	dir, err := c.modelFolder(slots.First)
	if err != nil {
		return reader{}, fmt.Errorf("%w: %w", errModel, err)
	}
	m, err := infer.Open(dir, c.inferOptions())
	if errors.Is(err, description.ErrMissing) {
		return reader{}, withHint(fmt.Errorf("%w: %w", errModel, err), "put a model folder there, or name another in models.path or with --model")
	}
	if err != nil {
		return reader{}, withHint(fmt.Errorf("%w: %w", errModel, err), "copy the whole model folder again; `config check` looks at it without starting the service")
	}
	if err := c.allowed(m.Description()); err != nil {
		return reader{}, errors.Join(fmt.Errorf("%w: %w", errModel, err), m.Close())
	}
	return reader{m}, nil
}

// openBehind opens a model that is to take another one's place, if its golden
// cases are answered here as where it was made.
func (c *config) openBehind(ctx context.Context, dir string, decode pipeline.Decoder) (*infer.Model, error) {
	d, err := description.Read(dir)
	if err == nil {
		err = c.allowed(d)
	}
	if err != nil {
		return nil, err
	}
	m, err := infer.OpenBehind(dir, c.inferOptions(), tried(ctx, dir, decode))
	if err != nil {
		return nil, fmt.Errorf("the model %s %s is not used: %w", d.Name, d.Version, err)
	}
	return m, nil
}

// rules are what decides beside the network.
func (c *config) rules() pipeline.Rules {
	return pipeline.Rules{
		Gate: pipeline.Gate{
			MaxHues: xray.MaxHues, MinSide: c.Limits.MinSide,
			MaxShape: 12, MinContrast: 2.0 / 255, // twice the tallest X-ray known; two greys of 8 bits
		},
		Method: explain.Method(c.Inference.Method),
		Limit:  c.Limits.Image, Network: c.Limits.Network,
	}
}
