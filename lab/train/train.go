package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"time"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/models/nets"
	"spinebox/models/weights"
	"spinebox/runtime/xray"
)

// Epoch is a line of history.csv.
type Epoch struct {
	Epoch      int     `json:"epoch"`
	Seed       uint64  `json:"seed"`            // the configuration's, or a later one after a stall
	Rate       float64 `json:"rate"`            // of its last step
	Loss       float64 `json:"loss"`            // mean over its steps, weighted and smoothed
	Validation float64 `json:"validation_loss"` // negative log likelihood
	Accuracy   float64 `json:"validation_accuracy"`
	Seconds    float64 `json:"seconds"`
}

// Progress is told how a training goes; nil fields are left out.
type Progress struct {
	Decoded func(done, total int)
	Step    func(done, total int, loss float64)
	Epoch   func(Epoch, bool) // true: the best so far
	Say     func(format string, args ...any)
}

// Run is one training.
type Run struct {
	Config    Config
	Data      *dataset.Set
	Dir       string // gets checkpoint, history.csv, splits.json, config.json, predictions.csv and model/
	Resume    bool
	Cores     int           // for decoding and for TensorFlow; with 1, the same seed gives the same bytes
	Phantom   bool          // the data are made pictures, and the model says so
	SaveEvery time.Duration // between checkpoints, at least; 0: two minutes
	Progress  Progress

	// Name and Version are the model's own; empty: made of the network, the
	// method, the seed and the fold.
	Name, Version string

	// Backbone is what features and finetune begin with; Config.Backbone is its
	// digest.
	Backbone *weights.File
	// Release is of a training on every picture; nil holds a fold out.
	Release *Release
	// Cache is a folder for pooled features, shared by any number of runs;
	// empty: none are kept.
	Cache string

	labels          []spine.Label
	classes         int
	data            string // digest of what is learned from
	parts           []dataset.Part
	fit, validation []sample
	pooling         time.Duration // of the backbone, for features
}

// saveEvery bounds what a crash costs without writing hundreds of megabytes
// after each short epoch.
const saveEvery = 2 * time.Minute

// Train runs the training to its end and returns what it reached. When ctx
// ends it finishes the epoch in hand, saves a checkpoint and returns ctx's error.
// A training that has ended before is not run again.
func (r *Run) Train(ctx context.Context) (*Result, error) {
	if err := r.Config.Validate(); err != nil {
		return nil, err
	}
	if err := r.checkBackbone(); err != nil {
		return nil, err
	}
	r.labels, r.classes, r.data = spine.Labels(), len(spine.Labels()), r.Data.Digest()
	var err error
	if r.parts, err = r.split(); err != nil {
		return nil, err
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	if result, err := r.finished(); result != nil || err != nil {
		return result, err
	}
	at, err := r.begin()
	if err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	g, err := r.learn(ctx, at)
	if err != nil {
		return nil, err
	}
	defer g.session.Close()
	return r.finish(ctx, g, at)
}

// learn runs the epochs that are left, and returns the graph with the best
// epoch's weights in it.
func (r *Run) learn(ctx context.Context, at *state) (*graph, error) {
	g, err := newGraph(r.Config, int64(r.classes), r.Cores)
	if err != nil {
		return nil, err
	}
	err = errors.Join(g.loader.Load(g.session, at.weights), g.slotsIn.Load(g.session, at.slots))
	at.weights, at.slots = nil, nil // the session has them
	if err == nil {
		err = r.epochs(ctx, g, at)
	}
	if err == nil {
		err = g.loader.Load(g.session, at.best)
	}
	if err != nil {
		return nil, errors.Join(err, g.session.Close())
	}
	return g, nil
}

// begin returns the state to start from: the checkpoint's or a fresh one.
func (r *Run) begin() (*state, error) {
	at, err := restore(r.Dir)
	switch {
	case err != nil:
		return nil, err
	case at != nil && !r.Resume:
		return nil, ErrExists
	case at != nil && (at.Config != r.Config.Digest() || at.Data != r.data):
		return nil, otherTraining(filepath.Join(r.Dir, checkpointName))
	case at != nil:
		r.say("going on after epoch %d of %d", at.Epoch, r.Config.last())
		return at, nil
	}
	at = &state{Config: r.Config.Digest(), Data: r.data}
	r.fresh(at)
	return at, nil
}

// fresh gives the state the weights that a training begins with.
func (r *Run) fresh(at *state) {
	c, classes := r.Config, int64(r.classes)
	at.weights, at.slots = c.Initializer.Draw(c.specs(classes), at.seed(c)), nets.Weights{}
	if c.ZeroResiduals {
		at.weights.ZeroResiduals()
	}
	if c.Method == Finetune {
		maps.Copy(at.weights, r.Backbone.Weights)
	}
	for _, spec := range c.slotSpecs(classes) {
		at.slots[spec.Name] = make([]float32, spec.Size())
	}
}

// checkBackbone reports whether the weights to begin with are those that the
// configuration names.
func (r *Run) checkBackbone() error {
	switch b := r.Backbone; {
	case !r.Config.Method.pretrained():
		return nil
	case b == nil || b.Digest != r.Config.Backbone:
		return errors.New("the pretrained weights are not those of the configuration")
	case b.Architecture != r.Config.Network:
		return fmt.Errorf("the pretrained weights are of %s, and the network is %s", b.Architecture, r.Config.Network)
	}
	return nil
}

// whole adds the backbone to a head that was trained alone.
func (r *Run) whole(w nets.Weights) nets.Weights {
	if r.Config.Method != Features {
		return w
	}
	all := maps.Clone(r.Backbone.Weights)
	maps.Copy(all, w)
	return all
}

// prepare makes the samples to fit and to validate on.
func (r *Run) prepare(ctx context.Context) error {
	planes, err := r.decode(ctx)
	if err != nil {
		return err
	}
	r.fit, r.validation = nil, nil
	for i, part := range r.parts {
		s := sample{plane: planes[i], label: labelIndex(r.labels, r.Data.Items[i].Label)}
		switch part {
		case dataset.Fit:
			r.fit = append(r.fit, s)
		case dataset.Validation:
			r.validation = append(r.validation, s)
		case dataset.HeldOut:
		}
	}
	if r.Config.Method == Features {
		return r.pool(ctx)
	}
	return nil
}

// decode prepares every picture but the held-out ones, which the finished
// model reads for itself.
func (r *Run) decode(ctx context.Context) ([][]float32, error) {
	spec, done := r.Config.Input, 0
	index := map[string]dataset.Part{}
	for i, item := range r.Data.Items {
		index[item.SHA256] = r.parts[i]
	}
	return dataset.Decode(r.Data, max(r.Cores, 1), func(item dataset.Item) ([]float32, error) {
		if index[item.SHA256] == dataset.HeldOut {
			return nil, ctx.Err()
		}
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return nil, err
		}
		plane := make([]float32, spec.Width*spec.Height)
		spec.Plane(plane, p)
		return plane, ctx.Err()
	}, func() {
		done++
		if r.Progress.Decoded != nil {
			r.Progress.Decoded(done, len(r.Data.Items))
		}
	})
}

func (r *Run) say(format string, args ...any) {
	if r.Progress.Say != nil {
		r.Progress.Say(format, args...)
	}
}

func (r *Run) epochs(ctx context.Context, g *graph, at *state) error {
	feeder := r.feeder(at)
	saved := time.Now()
	for !at.ended(r.Config) {
		start := time.Now()
		loss, err := r.epoch(g, feeder, at)
		if err != nil {
			return err
		}
		line := Epoch{Epoch: at.Epoch + 1, Seed: at.seed(r.Config), Rate: r.Config.rate(at.Step-1, feeder.steps()), Loss: loss}
		if line.Validation, line.Accuracy, err = r.validate(g); err != nil {
			return err
		}
		line.Seconds = time.Since(start).Seconds()
		at.Epoch++
		at.Seconds += line.Seconds
		at.History = append(at.History, line)
		best := at.prefer(r.Config, line)
		if best {
			if at.best, err = g.vars.Values(g.session); err != nil {
				return err
			}
		}
		if r.Progress.Epoch != nil {
			r.Progress.Epoch(line, best)
		}
		if err := writeHistory(filepath.Join(r.Dir, "history.csv"), at.History); err != nil {
			return err
		}
		if r.stalled(at, feeder) {
			if err := r.restart(g, at); err != nil {
				return err
			}
			feeder = r.feeder(at)
		}
		ended := at.ended(r.Config)
		if time.Since(saved) > cmp.Or(r.SaveEvery, saveEvery) || ended || ctx.Err() != nil {
			if err := r.checkpoint(g, at); err != nil {
				return err
			}
			saved = time.Now()
		}
		if ctx.Err() != nil && !ended {
			return fmt.Errorf("stopped after epoch %d of %d, which is saved: go on with --resume: %w", at.Epoch, r.Config.last(), ctx.Err())
		}
	}
	if at.Epoch < r.Config.last() {
		r.say("no lower validation loss in %d epochs: the training ends with epoch %d of %d", r.Config.Patience, at.Epoch, r.Config.last())
	}
	return nil
}

func (r *Run) checkpoint(g *graph, at *state) (err error) {
	if at.weights, err = g.vars.Values(g.session); err != nil {
		return err
	}
	if at.slots, err = g.slots.Values(g.session); err != nil {
		return err
	}
	defer func() { at.weights, at.slots = nil, nil }() // hundreds of megabytes
	return at.save(r.Dir)
}

// epoch runs the steps of one epoch, whole: half of one could not be repeated
// exactly.
func (r *Run) epoch(g *graph, feeder *feeder, at *state) (float64, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	batches := make(chan *batch, 4)
	go feeder.epoch(ctx, at.Epoch, batches)
	var sum float64
	n := 0
	for b := range batches {
		momentum := min(1-1/float64(at.Step+2), movingMomentum)
		loss, err := g.train(b, at.Step+1, r.Config.rate(at.Step, feeder.steps()), momentum, at.seed(r.Config), r.Config.headPhase(at.Epoch))
		if err != nil {
			return 0, err
		}
		at.Step++
		sum += loss
		n++
		if r.Progress.Step != nil {
			r.Progress.Step(at.Step, feeder.steps()*r.Config.Epochs, loss)
		}
	}
	return sum / float64(n), nil
}

// movingMomentum of batch normalisation's moving statistics. Keras' 0.99 would
// take more steps to settle than a small data set has.
const movingMomentum = 0.95

// validate returns zeros where there is nothing to validate on.
func (r *Run) validate(g *graph) (loss, accuracy float64, err error) {
	logits, err := g.judge(r.validation, r.Config)
	if err != nil {
		return 0, 0, err
	}
	loss, accuracy = score(logits, truth(r.validation), 1)
	return loss, accuracy, nil
}

func truth(samples []sample) []int {
	labels := make([]int, len(samples))
	for i, s := range samples {
		labels[i] = s.label
	}
	return labels
}

func writeHistory(name string, epochs []Epoch) error {
	rows := [][]string{{"epoch", "rate", "loss", "validation_loss", "validation_accuracy", "seed"}}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }
	for _, e := range epochs {
		rows = append(rows, []string{strconv.Itoa(e.Epoch), number(e.Rate), number(e.Loss), number(e.Validation), number(e.Accuracy), strconv.FormatUint(e.Seed, 10)})
	}
	return writeCSV(name, rows)
}
