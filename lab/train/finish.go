package train

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/limits"
	"spinebox/models/description"
	"spinebox/models/savedmodel"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// Result is what a finished training reached. A training on every picture has
// reached nothing on held-out ones.
type Result struct {
	Model       string        `json:"model"` // the model folder
	Digest      string        `json:"digest"`
	Labels      []spine.Label `json:"labels"`
	BestEpoch   int           `json:"best_epoch"`
	Epochs      int           `json:"epochs"` // that were trained since the last restart
	Temperature float64       `json:"temperature"`
	Confusion   [][]int       `json:"confusion"` // held-out: true label by row, answer by column
	Accuracy    float64       `json:"accuracy"`  // held-out, 0 to 1
	Recall      []float64     `json:"recall"`    // held-out, by label
	Seconds     float64       `json:"seconds"`   // training and validating
	// Of method features, in the last start: the backbone computing what the
	// cache did not have.
	BackboneSeconds float64 `json:"backbone_seconds,omitempty"`
	// The finished model reading the pictures, for its limits and to be judged.
	JudgingSeconds float64 `json:"judging_seconds"`

	// What a report and a release need where the model itself is not at hand.
	Thresholds description.Thresholds `json:"thresholds"`
	Backbone   *description.Backbone  `json:"backbone,omitempty"` // what the training began with; nil for random weights
	Phantom    bool                   `json:"phantom,omitempty"`  // trained on made X-rays
}

// finish writes the model folder from the best epoch, and lets the finished
// model read the held-out pictures the way the box will.
func (r *Run) finish(ctx context.Context, g *graph, at *state) (*Result, error) {
	dir := filepath.Join(r.Dir, "model")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	err := savedmodel.Write(dir, savedmodel.Export{
		Architecture: r.Config.Network, Height: int64(r.Config.Input.Height), Width: int64(r.Config.Input.Width),
		Classes: int64(len(r.labels)), Weights: r.whole(at.best),
	})
	if err != nil {
		return nil, err
	}
	result := &Result{Model: dir, Labels: r.labels, BestEpoch: at.Best, Epochs: at.Epoch, Seconds: at.Seconds, BackboneSeconds: r.pooling.Seconds()}
	if result.Temperature, err = r.temperature(g); err != nil {
		return nil, err
	}
	golden, err := writeGolden(dir, r.golden())
	if err != nil {
		return nil, err
	}
	d := r.describe(result)
	if err := d.Seal(dir); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := r.answers(ctx, result, d, golden); err != nil {
		return nil, err
	}
	result.JudgingSeconds = time.Since(start).Seconds()
	// Figures and golden answers are part of what the model says about itself.
	r.tell(d, result)
	if err := d.Seal(dir); err != nil {
		return nil, err
	}
	result.Digest, result.Thresholds, result.Backbone, result.Phantom = d.Digest(), d.Thresholds, d.Training.Backbone, d.Phantom
	done, err := marshal(result)
	if err != nil {
		return nil, err
	}
	return result, write(filepath.Join(r.Dir, doneName), done)
}

// temperature is fitted on the validation part, or comes from the folds.
func (r *Run) temperature(g *graph) (float64, error) {
	if r.Release != nil {
		return r.Release.Temperature, nil
	}
	logits, err := g.judge(r.validation, r.Config)
	return calibrate(logits, truth(r.validation)), err
}

func (r *Run) golden() int {
	if r.Release != nil {
		return releaseGolden
	}
	return foldGolden
}

// tell puts the model's figures into its description.
func (r *Run) tell(d *description.Model, result *Result) {
	if r.Release != nil {
		r.Release.Describe(d)
		return
	}
	d.Figures = map[string]float64{"held_out_accuracy": result.Accuracy}
	for k, recall := range result.Recall {
		d.Figures["held_out_recall_"+string(r.labels[k])] = recall
	}
}

func (r *Run) describe(result *Result) *description.Model {
	c, fit := r.Config, r.Data.Only(r.parts, dataset.Fit)
	d := &description.Model{
		Name:         cmp.Or(r.Name, fmt.Sprintf("%s-%s", c.Network, c.Method)),
		Version:      cmp.Or(r.Version, fmt.Sprintf("seed%d-fold%d", c.Seed, c.Fold)),
		Architecture: string(c.Network), Method: string(c.Method),
		Labels: r.labels, Input: c.Input, Preprocessing: "none",
		ExplainSignature: savedmodel.Explain, ExplainLayer: c.Network.ExplainLayer(),
		Temperature: result.Temperature,
		Training: description.Training{
			DataDigest: fit.Digest(), Pictures: len(fit.Items),
			Epochs: result.BestEpoch, Seed: c.Seed, TensorFlow: tf.Version(),
		},
		Golden:          []description.Golden{},
		MinimumSpinebox: "0.1.0",
		Phantom:         r.Phantom,
	}
	if b := r.Backbone; b != nil {
		d.Training.Backbone = &description.Backbone{Digest: b.Digest, Origin: b.Origin, StandIn: b.StandIn}
	}
	return d
}

// answers lets the model folder answer for the golden cases and the held-out
// part, and makes its limits in between.
func (r *Run) answers(ctx context.Context, result *Result, d *description.Model, golden []string) (err error) {
	m, err := infer.Open(result.Model, infer.Options{Threads: r.Cores})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	for _, name := range golden {
		g, err := goldenCase(ctx, m, result.Model, name)
		if err != nil {
			return err
		}
		d.Golden = append(d.Golden, g)
	}
	if err := r.limit(ctx, m, result.Model, d); err != nil || r.Release != nil { // a release has no held-out part
		return err
	}
	return r.heldOut(ctx, m, result)
}

// limit lets the finished model look at what it was trained with, and makes its
// gate and thresholds from that. For a model that has learned every picture, what
// takes spines that it has not learned comes from the folds.
func (r *Run) limit(ctx context.Context, m *infer.Model, dir string, d *description.Model) error {
	parts, set := []dataset.Part{dataset.Fit, dataset.Validation}, limits.Set
	if r.Release != nil {
		parts, set = []dataset.Part{dataset.Fit}, limits.Pictures
	}
	looks, err := limits.LookAt(ctx, m, r.Data, r.parts, parts, r.Cores)
	if err != nil {
		return err
	}
	g, thresholds, err := set(looks, r.Config.Seed)
	if errors.Is(err, limits.ErrFew) {
		r.say("%v: the model has none, and answers for pictures of anything", err)
		return nil
	}
	if err != nil {
		return err
	}
	if r.Phantom {
		thresholds = limits.Wide(thresholds)
	}
	if r.Release != nil {
		thresholds.Confidence, thresholds.Outside = r.Release.Thresholds.Confidence, r.Release.Thresholds.Outside
	}
	d.Thresholds = thresholds
	d.Gate, err = g.Write(dir)
	return err
}

func (r *Run) heldOut(ctx context.Context, m *infer.Model, result *Result) error {
	n := len(r.labels)
	for range n {
		result.Confusion = append(result.Confusion, make([]int, n))
	}
	rows := [][]string{{"sha256", "label", "answer"}}
	for _, l := range r.labels {
		rows[0] = append(rows[0], "p_"+string(l))
	}
	held := r.Data.Only(r.parts, dataset.HeldOut)
	readings, err := dataset.Decode(held, max(r.Cores, 1), func(item dataset.Item) (*spine.Reading, error) {
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return nil, err
		}
		reading, _, err := m.Read(ctx, p, explain.MethodGradCAM)
		return reading, err
	}, func() {})
	if err != nil {
		return err
	}
	for i, item := range held.Items {
		reading := readings[i]
		result.Confusion[labelIndex(r.labels, item.Label)][labelIndex(r.labels, reading.Label)]++
		row := []string{item.SHA256, string(item.Label), string(reading.Label)}
		for _, p := range reading.Probabilities {
			row = append(row, strconv.FormatFloat(p, 'f', 6, 64))
		}
		rows = append(rows, row)
	}
	result.sum()
	return writeCSV(filepath.Join(r.Dir, "predictions.csv"), rows)
}

// sum fills accuracy and recall from the confusion.
func (result *Result) sum() {
	right, all := 0, 0
	for k, row := range result.Confusion {
		n := 0
		for _, v := range row {
			n += v
		}
		recall := 0.0
		if n > 0 {
			recall = float64(row[k]) / float64(n)
		}
		result.Recall = append(result.Recall, recall)
		right += row[k]
		all += n
	}
	result.Accuracy = float64(right) / float64(max(all, 1))
}

func writeCSV(name string, rows [][]string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	return errors.Join(w.WriteAll(rows), f.Close())
}
