package main

import (
	"context"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/gate"
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

// Thresholds are the description's, but for a heatmap that nobody asked for.
func (r reader) Thresholds() description.Thresholds {
	t := r.Description().Thresholds
	if !r.Heatmaps() {
		t.Outside = 0
	}
	return t
}

func (r reader) id() spine.ModelID { return r.Description().ID() }

// unsigned reports whether nobody vouches for the model. There are no signed
// releases yet, so nobody ever does.
func (r reader) unsigned() bool { return true }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// rules are what decides beside the network.
func (c *config) rules() pipeline.Rules {
	fixed := gate.Fixed()
	fixed.MaxHues, fixed.MinSide = xray.MaxHues, c.Limits.MinSide
	return pipeline.Rules{Gate: fixed, Method: explain.Method(c.Inference.Method), Limit: c.Limits.Image, Network: c.Limits.Network}
}
