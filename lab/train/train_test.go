package train

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/explain"
	"spinebox/lab/dataset"
	"spinebox/models/description"
	"spinebox/models/input"
	"spinebox/models/nets"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// pictures writes 32 pictures: stripes, the finer the higher the class, with
// noise.
func pictures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 32 {
		class := i % 3
		random := rand.New(rand.NewPCG(uint64(i), 5))
		img := image.NewGray(image.Rect(0, 0, 64, 64))
		for y := range 64 {
			for x := range 64 {
				wave := math.Sin(2 * math.Pi * float64(y) / []float64{32, 12, 5}[class])
				img.SetGray(x, y, color.Gray{Y: uint8(128 + 80*wave + 30*random.Float64())})
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, []string{"Normal", "Scol", "Spond"}[class], fmt.Sprintf("%d.png", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tiny is a training that takes a moment, on one thread.
func tiny(t *testing.T, data string) *Run {
	t.Helper()
	set, err := dataset.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Network, c.Epochs, c.Batch = nets.Tiny, 3, 4
	c.Input = input.Spec{Width: 64, Height: 64, Resize: input.Letterbox, Grey: input.Percentile}
	return &Run{Config: c, Data: set, Dir: filepath.Join(t.TempDir(), "run"), Cores: 1}
}

func trained(t *testing.T, r *Run) *Result {
	t.Helper()
	result, err := r.Train(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func content(t *testing.T, r *Run, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func table(t *testing.T, r *Run, name string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(content(t, r, name))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestTrain(t *testing.T) {
	r := tiny(t, pictures(t))
	r.Cores = 2
	var decoded, steps, epochs int
	r.Progress = Progress{
		Decoded: func(done, _ int) { decoded = done },
		Step:    func(done, _ int, _ float64) { steps = done },
		Epoch:   func(Epoch, bool) { epochs++ },
	}
	result := trained(t, r)
	held := r.Data.Only(r.parts, dataset.HeldOut)
	fit := r.Data.Only(r.parts, dataset.Fit)
	if decoded != 32 || epochs != 3 || steps != 3*((len(fit.Items)+3)/4) {
		t.Errorf("%d pictures decoded, %d epochs of together %d steps", decoded, epochs, steps)
	}
	sum := 0
	for _, row := range result.Confusion {
		for _, n := range row {
			sum += n
		}
	}
	if sum != len(held.Items) || len(table(t, r, "predictions.csv")) != 1+sum {
		t.Errorf("%d held-out pictures are judged, %d written, of %d", sum, len(table(t, r, "predictions.csv"))-1, len(held.Items))
	}
	if rows := table(t, r, "history.csv"); len(rows) != 4 {
		t.Errorf("the history has the lines %v", rows)
	}
	for _, item := range held.Items {
		if !strings.Contains(content(t, r, "predictions.csv"), item.SHA256) {
			t.Errorf("%v is missing from the predictions", item)
		}
	}
	checkModel(t, r, result, fit)
}

// checkModel opens the model as the box does, and asks it for its golden cases.
func checkModel(t *testing.T, r *Run, result *Result, fit *dataset.Set) {
	t.Helper()
	m, err := infer.Open(result.Model, infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d := m.Description()
	if d.Digest() != result.Digest || d.Temperature != result.Temperature || d.Thresholds != result.Thresholds || d.Input != r.Config.Input ||
		d.Figures["held_out_accuracy"] != result.Accuracy || !d.Explained() || d.Phantom {
		t.Errorf("the description is %+v", d)
	}
	if d.Training.Pictures != len(fit.Items) || d.Training.DataDigest != fit.Digest() {
		t.Errorf("the training is described as %+v", d.Training)
	}
	if len(d.Golden) != 3 {
		t.Fatalf("%d golden cases", len(d.Golden))
	}
	for _, g := range d.Golden {
		p, err := xray.Decode(filepath.Join(result.Model, g.File), xray.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		reading, _, err := m.Read(context.Background(), p, explain.MethodGradCAM)
		if err != nil {
			t.Fatal(err)
		}
		if reading.Label != g.Label || math.Abs(float64(reading.Heatmap.Max)-g.HeatmapMax) > g.Tolerance*g.HeatmapMax {
			t.Errorf("%s: %s with a map up to %v, described are %s and %v", g.File, reading.Label, reading.Heatmap.Max, g.Label, g.HeatmapMax)
		}
		for k, p := range reading.Probabilities {
			if math.Abs(p-g.Probabilities[k]) > g.Tolerance {
				t.Errorf("%s: probabilities %v, described are %v", g.File, reading.Probabilities, g.Probabilities)
			}
		}
	}
}

// TestLearns: a network that sees each stripe often enough tells them apart.
func TestLearns(t *testing.T) {
	r := tiny(t, pictures(t))
	r.Config.Epochs, r.Config.Rate, r.Cores = 25, 1e-2, 2
	result := trained(t, r)
	rows := table(t, r, "history.csv")
	t.Logf("held out %.2f; history: %v", result.Accuracy, rows[1:])
	if result.Accuracy < 0.8 {
		t.Errorf("%.2f of the held-out pictures are right", result.Accuracy)
	}
}

// stopped trains until one epoch is over, and is then told to stop.
func stopped(t *testing.T, r *Run) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.Progress.Epoch = func(Epoch, bool) { cancel() }
	if _, err := r.Train(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stopped after epoch 1 of 3") {
		t.Fatalf("stopped with %v", err)
	}
	r.Progress.Epoch = nil
}

func TestResumeEqualsUndisturbed(t *testing.T) {
	data := pictures(t)
	whole, halved := tiny(t, data), tiny(t, data)
	want := trained(t, whole)
	stopped(t, halved)
	halved = &Run{Config: halved.Config, Data: halved.Data, Dir: halved.Dir, Cores: 1, Resume: true}
	got := trained(t, halved)
	for _, name := range []string{"history.csv", "predictions.csv", "splits.json", "config.json"} {
		if a, b := content(t, whole, name), content(t, halved, name); a != b {
			t.Errorf("%s, undisturbed:\n%s\nresumed:\n%s", name, a, b)
		}
	}
	if got.Digest != want.Digest {
		t.Error("the resumed training made another model")
	}
}

func TestResumeRefusesAnotherTraining(t *testing.T) {
	data := pictures(t)
	r := tiny(t, data)
	stopped(t, r)
	again := func(change func(*Run)) error {
		other := &Run{Config: r.Config, Data: r.Data, Dir: r.Dir, Cores: 1, Resume: true}
		change(other)
		_, err := other.Train(context.Background())
		return err
	}
	if err := again(func(o *Run) { o.Resume = false }); !errors.Is(err, ErrExists) {
		t.Errorf("begun once more: %v", err)
	}
	for what, c := range map[string]struct {
		want   string
		change func(*Run)
	}{
		"another rate": {"config.json belongs to another configuration", func(o *Run) { o.Config.Rate = 1e-4 }},
		"another seed": {"belongs to another configuration", func(o *Run) { o.Config.Seed = 9 }},
		"other data": {"splits.json belongs to another configuration or other data", func(o *Run) {
			o.Data = &dataset.Set{Items: o.Data.Items[1:]}
		}},
		"other patients": {"splits.json belongs to another configuration or other data", func(o *Run) {
			o.Data = &dataset.Set{Items: append([]dataset.Item(nil), o.Data.Items...)}
			for i := range 8 { // the same pictures, but these turn out to be one patient's
				o.Data.Items[i].Group = "one patient"
			}
		}},
	} {
		if err := again(c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", what, err, c.want)
		}
	}
	if err := os.Truncate(filepath.Join(r.Dir, checkpointName), 5000); err != nil {
		t.Fatal(err)
	}
	if err := again(func(*Run) {}); err == nil || !strings.Contains(err.Error(), "the checkpoint is damaged") || !strings.Contains(err.Error(), "hint: remove ") {
		t.Errorf("a torn checkpoint: %v", err)
	}
}

func TestFinishedTrainingIsNotRunAgain(t *testing.T) {
	r := tiny(t, pictures(t))
	r.Config.Epochs = 1
	want := trained(t, r)
	decoded := false
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(r.Dir, moved); err != nil {
		t.Fatal(err)
	}
	var said string
	again := &Run{Config: r.Config, Data: r.Data, Dir: moved, Cores: 1, Resume: true, Progress: Progress{
		Decoded: func(int, int) { decoded = true },
		Say:     func(format string, args ...any) { said += fmt.Sprintf(format, args...) },
	}}
	got := trained(t, again)
	if decoded || got.Digest != want.Digest || got.Model != filepath.Join(moved, "model") || got.Accuracy != want.Accuracy {
		t.Errorf("it trains again: %+v, before %+v", got, want)
	}
	if !strings.Contains(said, "trained here before") {
		t.Errorf("it says %q", said)
	}
	// A model that is damaged is made again, the same.
	if err := os.Remove(filepath.Join(moved, "model", "saved_model.pb")); err != nil {
		t.Fatal(err)
	}
	if got := trained(t, again); got.Digest != want.Digest {
		t.Error("made again, the model is another")
	}
	if _, err := description.Load(got.Model); err != nil {
		t.Error(err)
	}
}

func TestConfigValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*Config){
		`unknown network "alexnet"`:            func(c *Config) { c.Network = "alexnet" },
		`training method "magic" is not known`: func(c *Config) { c.Method = "magic" },
		"input size 8x128":                     func(c *Config) { c.Input.Height = 8 },
		"fold 5 is not one of 0 to 4":          func(c *Config) { c.Fold = 5 },
		"fold -1 is not one":                   func(c *Config) { c.Fold = -1 },
		"at least one epoch":                   func(c *Config) { c.Epochs = 0 },
		"a batch of two":                       func(c *Config) { c.Batch = 1 },
		"the learning rate must be above":      func(c *Config) { c.Rate = 0 },
		"label smoothing 1 is outside":         func(c *Config) { c.LabelSmoothing = 1 },
		"dropout -0.1 is outside":              func(c *Config) { c.Dropout = -0.1 },
		"tail 1.1 is outside":                  func(c *Config) { c.Tail = 1.1 },
		"warmup 1 is outside":                  func(c *Config) { c.Warmup = 1 },
		`schedule "steps" is not known`:        func(c *Config) { c.Schedule = "steps" },
		"set tail to 1":                        func(c *Config) { c.Schedule = Constant },
		`initializer "zero" is not known`:      func(c *Config) { c.Initializer = "zero" },
		"weight decay, patience, stall":        func(c *Config) { c.WeightDecay = -1 },
		"stall epochs and restarts cannot":     func(c *Config) { c.Patience = -1 },
		"restarts cannot be below zero":        func(c *Config) { c.Restarts = -1 },
	} {
		c := Default()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
		if c.Digest() == Default().Digest() {
			t.Errorf("%s: the digest is the same", want)
		}
	}
}

// What a training on every picture cannot choose, it is told; another training
// is told nothing.
func TestReleaseNeedsWhatFoldsHaveChosen(t *testing.T) {
	r := tiny(t, pictures(t))
	r.Config.StopAfter = 2
	if _, err := r.Train(context.Background()); err == nil || !strings.Contains(err.Error(), "needs the epoch to stop after") {
		t.Errorf("on every picture, without the folds: %v", err)
	}
	r.Config.StopAfter, r.Release = 0, &Release{Temperature: 1}
	if _, err := r.Train(context.Background()); err == nil {
		t.Error("a fold is held out, and yet released")
	}
	r.Config.StopAfter = r.Config.Epochs + 1
	if err := r.Config.Validate(); err == nil || !strings.Contains(err.Error(), "cannot stop after epoch 4 of 3") {
		t.Errorf("%v", err)
	}
}
