package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
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

// openModel loads the configuration's model. Every error is errModel, and
// without a model folder description.ErrMissing, too.
func openModel(c *config) (reader, error) {
	m, err := infer.Open(c.Models.Path, infer.Options{
		Threads: c.Inference.Threads, GPU: c.Inference.GPU, AllowGrowth: c.Inference.MemoryGrowth,
	})
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

// rules are what decides beside the network.
func (c *config) rules() pipeline.Rules {
	return pipeline.Rules{
		Gate: pipeline.Gate{
			MaxHues: xray.MaxHues, MinSide: c.Limits.MinSide,
			MaxShape: 12, MinContrast: 2.0 / 255, // twice the tallest X-ray known; two greys of 8 bits
		},
		Method: explain.Method(c.Inference.Method),
		Limit:  c.Limits.Image,
	}
}
