package infer

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/input"
	"spinebox/models/nets"
)

// Altered is a plain model with other weights, in the model's own session: what
// its heatmaps show is compared with what the trained weights show. It ends
// with the model.
type Altered struct {
	model *Model
	feeds map[tf.Output]*tf.Tensor // of every variable
}

// variables hands over the network's own in the session's graph, which is open
// meanwhile. A SavedModel made elsewhere has none by these names.
func (m *Model) variables(use func(*nets.Variables) error) error {
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.closed {
		return ErrClosed
	}
	if !m.plain {
		return fmt.Errorf("model %s is not as it was written: open it plain to see or change its weights", m.folder)
	}
	a, err := nets.ParseArchitecture(m.description.Architecture)
	if err != nil {
		return fmt.Errorf("model %s: %w", m.folder, err)
	}
	v, err := nets.FindVariables(m.graph, a.Specs(int64(len(m.description.Labels)), true))
	if err != nil {
		return fmt.Errorf("SavedModel %s: %w", m.folder, err)
	}
	return use(v)
}

// Weights returns the weights that a plain model answers with, by Keras' names,
// batch normalisation folded (nets.Fold).
func (m *Model) Weights() (w nets.Weights, err error) {
	err = m.variables(func(v *nets.Variables) (err error) {
		w, err = v.Values(m.session)
		return err
	})
	return w, err
}

// With returns a plain model with these weights, which are of the kind that
// Weights returns. Nothing is assigned: each run is fed with them, so that the
// model itself stays as it is.
func (m *Model) With(w nets.Weights) (*Altered, error) {
	runtime.GC() // Go does not see how much an altered model holds that is gone
	a := &Altered{model: m}
	err := m.variables(func(v *nets.Variables) (err error) {
		a.feeds, err = v.Feeds(w)
		return err
	})
	return a, err
}

// Heatmap makes the map for the class, or for the altered network's own answer
// when class is "".
func (a *Altered) Heatmap(ctx context.Context, p *spine.Picture, class spine.Label, method explain.Method) (*spine.Heatmap, error) {
	m := a.model
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.closing.RLock()
	defer m.closing.RUnlock()
	switch {
	case m.closed:
		return nil, ErrClosed
	case !m.heatmaps:
		return nil, fmt.Errorf("model %s has no heatmaps", m.folder)
	}
	index, err := tf.NewTensor([]int32{int32(slices.Index(m.description.Labels, class))}) // -1 is the top class
	if err != nil {
		return nil, err
	}
	w := m.workspaces.Get().(*workspace)
	defer m.workspaces.Put(w)
	frame := m.prepare(w, p)
	shape, err := m.run(w, index, a.feeds)
	if err != nil {
		return nil, err
	}
	return method.Heatmap(w.activations, w.gradients, int(shape[1]), int(shape[2]), int(shape[3]), frame.Content())
}

// batch is how many planes go through the network at once: more of VGG16's
// first layers would fill the memory, and gain nothing.
const batch = 8

// Probabilities answers for planes that are already as the network's input
// wants them: grey, Height×Width values from 0 to 255 each (input.Spec.Plane
// makes one). The answers are calibrated, in the order of the labels.
func (m *Model) Probabilities(ctx context.Context, planes [][]float32) ([][]float64, error) {
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	in := m.description.Input
	size, most := in.Width*in.Height, batch
	if dims, err := m.image.Shape().ToSlice(); !m.plain || err == nil && dims[0] == 1 {
		most = 1 // a SavedModel made elsewhere may take one picture at a time only
	}
	var all [][]float64
	rgb := make([]float32, 3*size*most)
	for part := range slices.Chunk(planes, most) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i, plane := range part {
			if len(plane) != size {
				return nil, fmt.Errorf("a plane of %d values for %dx%d", len(plane), in.Height, in.Width)
			}
			input.RGB(rgb[3*size*i:3*size*(i+1)], plane)
		}
		filled := rgb[:3*size*len(part)]
		preprocess(filled, m.description.Preprocessing)
		scores, err := m.scores(filled, len(part))
		if err != nil {
			return nil, err
		}
		for row := range slices.Chunk(scores, len(m.description.Labels)) {
			all = append(all, softmax(row, m.description.Temperature))
		}
	}
	return all, nil
}

// scores runs the network for its logits alone.
func (m *Model) scores(rgb []float32, n int) ([]float32, error) {
	in := m.description.Input
	image, err := nets.FloatTensor(rgb, int64(n), int64(in.Height), int64(in.Width), 3)
	if err != nil {
		return nil, err
	}
	out, err := m.session.Run(map[tf.Output]*tf.Tensor{m.image: image}, m.fetches[:1], nil)
	if err != nil {
		return nil, fmt.Errorf("run the network: %w", err)
	}
	scores := nets.Floats(out[0], nil)
	m.logits(scores)
	m.collect()
	return scores, nil
}
