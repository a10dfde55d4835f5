// Package infer runs one model in one TensorFlow session: one run for each
// image gives the answer and what its heatmap is made from.
//
// Most callers need two calls: Open, which checks the model folder, loads it
// and warms it up, and Model.Read. TensorFlow's memory is not Go's: Close the
// model when it is no longer used.
package infer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/gate"
	"spinebox/models/input"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// ErrClosed says that the model was closed.
var ErrClosed = errors.New("the model is closed")

// Model is a loaded model. It is safe for concurrent use.
type Model struct {
	folder      string
	description *description.Model
	serving     description.Serving
	session     *tf.Session
	graph       *tf.Graph
	image       tf.Output
	class       tf.Output
	fetches     []tf.Output // logits or probabilities, then features, activations and gradients when explained
	top         *tf.Tensor  // class_index -1
	gate        *gate.Gate  // nil when the description has none
	heatmaps    bool        // readings have them
	plain       bool        // the graph is as it was written

	workspaces sync.Pool
	runs       atomic.Uint64

	closing sync.RWMutex
	closed  bool
}

// workspace is what one run needs beside TensorFlow's own tensors.
type workspace struct {
	plane, rgb                     []float32
	logits, activations, gradients []float32
	features                       []float32
}

// Timings are how long the steps of one reading took.
type Timings struct {
	Prepare, Run, Explain time.Duration
}

// Open checks the model folder against its description, loads its SavedModel
// and runs it once, so that the first X-ray is not the slow one.
func Open(dir string, o Options) (*Model, error) {
	d, err := description.Load(dir)
	if err != nil {
		return nil, err
	}
	return open(dir, d, o)
}

func open(dir string, d *description.Model, o Options) (*Model, error) {
	settleMemory()
	// What a CPU does faster is not done for a GPU, and is where there is none.
	var err error
	if o.GPU, err = o.OnGPU(); err != nil {
		return nil, err
	}
	if o.frozen() {
		assumeFrozen()
	}
	options, err := o.session()
	if err != nil {
		return nil, err
	}
	var limits *gate.Gate
	if d.Gate != nil {
		if limits, err = gate.Open(dir, d.Gate); err != nil {
			return nil, fmt.Errorf("model %s: %w", dir, err)
		}
	}
	serving := description.Serving{Input: savedmodel.Image, Output: savedmodel.Logits, Kind: description.Logits}
	if d.Serving != nil {
		serving = *d.Serving
	}
	saved, err := savedmodel.Load(dir, savedmodel.Want{
		Height: int64(d.Input.Height), Width: int64(d.Input.Width), Classes: int64(len(d.Labels)),
		Input: serving.Input, Output: serving.Output, Explain: d.ExplainSignature,
		Rewrite: !o.GPU && !o.Plain,
	}, options)
	if err != nil {
		return nil, err
	}
	m := &Model{folder: dir, description: d, serving: serving, session: saved.Session, graph: saved.Graph, gate: limits, heatmaps: d.Explained() && !o.NoHeatmaps, plain: !savedmodel.Rewritten(saved)}
	m.workspaces.New = func() any {
		n := d.Input.Width * d.Input.Height
		return &workspace{plane: make([]float32, n), rgb: make([]float32, 3*n)}
	}
	if err := m.bind(saved); err != nil {
		m.session.Close()
		return nil, fmt.Errorf("SavedModel %s: %w", dir, err)
	}
	p := pattern(d.Input)
	numbers, err := m.numbers(p)
	if err == nil && o.frozen() {
		if err = m.letGoOfKernels(p, numbers); errors.Is(err, errKernels) {
			m.session.Close()
			o.Frozen = false
			return open(dir, d, o)
		}
	}
	if err != nil {
		m.session.Close()
		return nil, fmt.Errorf("warm up model %s: %w", dir, err)
	}
	return m, nil
}

// numbers reads a picture and returns the logits and features that it has then.
func (m *Model) numbers(p *spine.Picture) ([]float32, error) {
	w := m.workspaces.Get().(*workspace)
	defer m.workspaces.Put(w)
	frame := m.prepare(w, p)
	shape, err := m.run(w, m.top, nil)
	if err != nil {
		return nil, err
	}
	if _, err := m.reading(w, shape, frame, explain.MethodGradCAM); err != nil {
		return nil, err
	}
	return slices.Concat(w.logits, w.features), nil
}

// pattern is a picture of the input's own size with something of everything in it.
func pattern(in input.Spec) *spine.Picture {
	p := &spine.Picture{Width: in.Width, Height: in.Height, Pix: make([]float32, in.Width*in.Height)}
	for i := range p.Pix {
		p.Pix[i] = float32(i*7919%251) / 250
	}
	return p
}

// bind finds the tensors behind the signatures.
func (m *Model) bind(saved *tf.SavedModel) error {
	var wrong []error
	find := func(look func(*tf.SavedModel, string, string) (tf.Output, bool), signature, name string) tf.Output {
		o, ok := look(saved, signature, name)
		if !ok {
			wrong = append(wrong, fmt.Errorf("signature %s: the tensor behind %s is not in the graph", signature, name))
		}
		return o
	}
	m.fetches = []tf.Output{find(savedmodel.Output, savedmodel.Serving, m.serving.Output)}
	m.image = find(savedmodel.Input, savedmodel.Serving, m.serving.Input)
	if e := m.description.ExplainSignature; e != "" {
		if other := find(savedmodel.Input, e, savedmodel.Image); !same(other, m.image) {
			wrong = append(wrong, fmt.Errorf("signatures %s and %s have different inputs: one run cannot serve both", savedmodel.Serving, e))
		}
		m.class = find(savedmodel.Input, e, savedmodel.ClassIndex)
		m.fetches = append(m.fetches, find(savedmodel.Output, e, savedmodel.Features))
		if m.heatmaps {
			m.fetches = append(m.fetches,
				find(savedmodel.Output, e, savedmodel.Activations),
				find(savedmodel.Output, e, savedmodel.Gradients))
		}
		top, err := tf.NewTensor([]int32{-1})
		if err != nil {
			return err
		}
		m.top = top
	}
	return errors.Join(wrong...)
}

// same compares by name: the binding makes a new operation at every look-up.
func same(a, b tf.Output) bool {
	return a.Op != nil && b.Op != nil && a.Op.Name() == b.Op.Name() && a.Index == b.Index
}

// Folder returns the model's folder.
func (m *Model) Folder() string { return m.folder }

// Description returns what the model says about itself.
func (m *Model) Description() *description.Model { return m.description }

// Heatmaps reports whether readings have one.
func (m *Model) Heatmaps() bool { return m.heatmaps }

// Plain reports whether the graph is as it was written: Options.Plain asked for
// it, or there was nothing to rewrite.
func (m *Model) Plain() bool { return m.plain }

// Read looks at one picture. The heatmap is nil when Heatmaps says so, and empty when the network shows nothing.
func (m *Model) Read(ctx context.Context, p *spine.Picture, method explain.Method) (*spine.Reading, Timings, error) {
	r, _, t, err := m.read(ctx, p, method, m.gate != nil)
	return r, t, err
}

// See is Read that also returns what the views of a gate see, gate or no gate:
// it is how one is made.
func (m *Model) See(ctx context.Context, p *spine.Picture, method explain.Method) (*spine.Reading, gate.Seen, error) {
	r, seen, _, err := m.read(ctx, p, method, true)
	return r, seen, err
}

func (m *Model) read(ctx context.Context, p *spine.Picture, method explain.Method, see bool) (r *spine.Reading, seen gate.Seen, t Timings, err error) {
	if err := ctx.Err(); err != nil {
		return nil, seen, t, err
	}
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.closed {
		return nil, seen, t, ErrClosed
	}
	w := m.workspaces.Get().(*workspace)
	defer m.workspaces.Put(w)

	start := time.Now()
	frame := m.prepare(w, p)
	prepared := time.Now()
	shape, err := m.run(w, m.top, nil)
	if err != nil {
		return nil, seen, t, err
	}
	ran := time.Now()
	if r, err = m.reading(w, shape, frame, method); err != nil {
		return nil, seen, t, err
	}
	if r.Outside, err = explain.OffBody(r.Heatmap, p); err != nil {
		return nil, seen, t, err
	}
	if see {
		seen = gate.See(w.plane, frame, float64(p.Height)/float64(p.Width), w.features)
	}
	if m.gate != nil {
		r.Distance = m.gate.Distance(seen)
	}
	t = Timings{Prepare: prepared.Sub(start), Run: ran.Sub(prepared), Explain: time.Since(ran)}
	return r, seen, t, nil
}

// prepare fills the workspace's input and returns where the picture lies in it.
func (m *Model) prepare(w *workspace, p *spine.Picture) input.Frame {
	frame := m.description.Input.Plane(w.plane, p)
	input.RGB(w.rgb, w.plane)
	preprocess(w.rgb, m.description.Preprocessing)
	return frame
}

// run fills the workspace's outputs and returns the shape of the activations.
// class is the one to explain, and altered are values in the place of others in
// the graph.
func (m *Model) run(w *workspace, class *tf.Tensor, altered map[tf.Output]*tf.Tensor) (shape []int64, err error) {
	d := m.description
	image, err := nets.FloatTensor(w.rgb, 1, int64(d.Input.Height), int64(d.Input.Width), 3)
	if err != nil {
		return nil, err
	}
	feeds := map[tf.Output]*tf.Tensor{m.image: image}
	if d.Explained() {
		feeds[m.class] = class
	}
	maps.Copy(feeds, altered)
	out, err := m.session.Run(feeds, m.fetches, nil)
	if err != nil {
		return nil, fmt.Errorf("run the network: %w", err)
	}
	w.logits = nets.Floats(out[0], w.logits)
	m.logits(w.logits)
	if d.Explained() {
		w.features = nets.Floats(out[1], w.features)
	}
	if m.heatmaps {
		w.activations, w.gradients = nets.Floats(out[2], w.activations), nets.Floats(out[3], w.gradients)
		shape = out[2].Shape()
	}
	m.collect()
	return shape, nil
}

// logits makes logits of what the network gave.
func (m *Model) logits(scores []float32) {
	if m.serving.Kind != description.Probabilities {
		return
	}
	for i, p := range scores { // logits but for a constant, which the softmax drops
		scores[i] = float32(math.Log(float64(p)))
	}
}

// collect runs Go's collector now and then. Tensors lie in memory that it does
// not see, so with little garbage of its own it would free them too late.
func (m *Model) collect() {
	const every = 16
	if m.runs.Add(1)%every == 0 {
		runtime.GC()
	}
}

func (m *Model) reading(w *workspace, shape []int64, frame input.Frame, method explain.Method) (*spine.Reading, error) {
	d := m.description
	r := &spine.Reading{Model: d.ID(), Labels: d.Labels, Probabilities: softmax(w.logits, d.Temperature)}
	top := 0
	for i, p := range r.Probabilities {
		if math.IsNaN(p) {
			return nil, errors.New("the network's answer is not a number")
		}
		if p > r.Probabilities[top] {
			top = i
		}
	}
	r.Label = d.Labels[top]
	if !m.heatmaps {
		return r, nil
	}
	h, err := method.Heatmap(w.activations, w.gradients, int(shape[1]), int(shape[2]), int(shape[3]), frame.Content())
	if err != nil {
		return nil, err
	}
	r.Heatmap, r.Method = h, string(method)
	return r, nil
}

// Close frees the session. It waits for readings under way; later ones get
// ErrClosed.
func (m *Model) Close() error {
	m.closing.Lock()
	defer m.closing.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	err := m.session.Close()
	m.session, m.graph, m.fetches, m.top = nil, nil, nil, nil
	m.image, m.class = tf.Output{}, tf.Output{} // they hold the graph
	release()
	return err
}

// softmax of the logits divided by the temperature.
func softmax(logits []float32, temperature float64) []float64 {
	p := make([]float64, len(logits))
	greatest := math.Inf(-1)
	for i, l := range logits {
		p[i] = float64(l) / temperature
		greatest = max(greatest, p[i])
	}
	var sum float64
	for i := range p {
		p[i] = math.Exp(p[i] - greatest)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// preprocess does what a SavedModel made elsewhere leaves to its caller, by
// the names of keras.applications.imagenet_utils. Ours need none.
func preprocess(rgb []float32, rule string) {
	switch rule {
	case "caffe":
		for i := 0; i < len(rgb); i += 3 {
			rgb[i], rgb[i+1], rgb[i+2] = rgb[i+2]-103.939, rgb[i+1]-116.779, rgb[i]-123.68
		}
	case "torch":
		mean, deviation := [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}
		for i := range rgb {
			rgb[i] = (rgb[i]/255 - mean[i%3]) / deviation[i%3]
		}
	case "unit":
		for i := range rgb {
			rgb[i] /= 255
		}
	}
}
