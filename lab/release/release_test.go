package release_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spinebox/explain"
	"spinebox/lab/dataset"
	"spinebox/lab/release"
	"spinebox/lab/statistics"
	"spinebox/lab/train"
	"spinebox/models/description"
	"spinebox/models/input"
	"spinebox/models/nets"
	"spinebox/models/weights"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// cleared is evidence that clears the default gate by a little everywhere.
func cleared() release.Evidence {
	of := func(low, high float64) *statistics.Interval { return &statistics.Interval{Low: low, High: high} }
	return release.Evidence{
		Accuracy: statistics.Interval{Low: 0.91, High: 0.97}, Lift: of(1.21, 2), Border: of(0.1, 0.28), Padding: of(0, 0.24),
	}
}

func TestJudge(t *testing.T) {
	if v := release.Judge(cleared(), release.Default()); !v.Released || len(v.Failed()) != 0 || len(v.Checks) != 5 {
		t.Errorf("%+v", v)
	}
	for _, c := range []struct {
		name   string
		spoil  func(*release.Evidence)
		failed string
	}{
		{"folds", func(e *release.Evidence) { e.Missing = []int{3} }, "folds [3] are not finished and measured"},
		{"accuracy", func(e *release.Evidence) { e.Accuracy.Low = 0.899 }, "accuracy: the 95 % interval's lower end is 89.9 %, and must be at least 90.0 %"},
		{"lift", func(e *release.Evidence) { e.Lift.Low = 1.19 }, "the 95 % interval's lower end is 1.19, and must be at least 1.20"},
		{"lift", func(e *release.Evidence) { e.Lift = nil }, "is not measured"},
		{"border", func(e *release.Evidence) { e.Border.High = 0.3 }, "outer tenth: the 95 % interval's upper end is 30.0 %, and must be at most 29.0 %"},
		{"padding", func(e *release.Evidence) { e.Padding.High = 0.26 }, "outside the picture: the 95 % interval's upper end is 26.0 %"},
	} {
		e := cleared()
		c.spoil(&e)
		v := release.Judge(e, release.Default())
		if v.Released || v.Passed(c.name) || len(v.Failed()) != 1 || !strings.Contains(v.Failed()[0], c.failed) {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// A network that answers from a planted marker is right about everything.
func TestAnAccurateNetworkThatLooksElsewhereIsRefused(t *testing.T) {
	e := cleared()
	e.Accuracy = statistics.Wilson(200, 200)
	e.Lift, e.Border = &statistics.Interval{Low: 0.2, High: 0.3}, &statistics.Interval{Low: 0.7, High: 0.8}
	v := release.Judge(e, release.Default())
	if v.Released || !v.Passed("accuracy") || v.Passed("lift") || v.Passed("border") {
		t.Errorf("%+v", v)
	}
}

func TestThresholds(t *testing.T) {
	for _, spoil := range []func(*release.Thresholds){
		func(t *release.Thresholds) { t.Accuracy = 90 },
		func(t *release.Thresholds) { t.Lift = -1 },
		func(t *release.Thresholds) { t.Border = -0.1 },
		func(t *release.Thresholds) { t.Padding = 2 },
	} {
		g := release.Default()
		spoil(&g)
		if g.Validate() == nil {
			t.Errorf("%+v is a gate", g)
		}
	}
	if err := release.Default().Validate(); err != nil {
		t.Error(err)
	}
}

// folds are three finished ones of a small network.
func folds() ([]train.Config, []train.Result) {
	c := train.Default()
	c.Network, c.Epochs, c.Batch, c.Folds = nets.Tiny, 4, 8, 3
	c.Input = input.Spec{Width: 64, Height: 96, Resize: input.Letterbox, Grey: input.Percentile}
	var configs []train.Config
	var results []train.Result
	for k, best := range []int{4, 2, 3} {
		c.Fold = k
		configs = append(configs, c)
		results = append(results, train.Result{BestEpoch: best, Temperature: []float64{1, 3, 1.7}[k], Phantom: true,
			Thresholds: description.Thresholds{Confidence: []float64{0.5, 0.4, 0.45}[k], Outside: 0.5 + 0.1*float64(k)}})
	}
	return configs, results
}

func TestPlan(t *testing.T) {
	p, err := release.NewPlan(folds())
	if err != nil {
		t.Fatal(err)
	}
	if p.Config.StopAfter != 3 || p.Config.Epochs != 4 || p.Temperature != 1.7 || p.Thresholds.Confidence != 0.45 || p.Thresholds.Outside != 0.6 || !p.Phantom {
		t.Errorf("%+v", p)
	}
	if err := p.Begin(&weights.File{}); err == nil {
		t.Error("weights for a network that begins with none")
	}
	configs, results := folds()
	results[1].Backbone = &description.Backbone{Digest: "first", Origin: "ImageNet"}
	if p, err = release.NewPlan(configs, results); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*weights.File{nil, {Digest: "second"}, {Digest: "second", StandIn: true}} {
		if err := p.Begin(w); err == nil || !strings.Contains(err.Error(), "ImageNet") {
			t.Errorf("begun with %+v: %v", w, err)
		}
	}
	if err := p.Begin(&weights.File{Digest: "first"}); err != nil || p.Config.Backbone != "first" {
		t.Errorf("%v, with %q", err, p.Config.Backbone)
	}
	if _, err := release.NewPlan(nil, nil); err == nil {
		t.Error("a plan of no folds")
	}
}

// pictures are stripes, the finer the higher the class, with noise.
func pictures(t *testing.T) *dataset.Set {
	t.Helper()
	dir := t.TempDir()
	for i := range 42 {
		random := rand.New(rand.NewPCG(uint64(i), 3))
		img := image.NewGray(image.Rect(0, 0, 40, 60))
		for y := range 60 {
			for x := range 40 {
				img.SetGray(x, y, color.Gray{Y: uint8(60 + 100*(y/(2+4*(i%3))%2) + random.IntN(60))})
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, []string{"Normal", "Scol", "Spond"}[i%3], fmt.Sprintf("%d.png", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := dataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A model that a person releases against the gate says so, and why.
func TestTheFinalModel(t *testing.T) {
	p, err := release.NewPlan(folds())
	if err != nil {
		t.Fatal(err)
	}
	e := cleared()
	e.Lift = nil
	v := release.Judge(e, release.Default())
	f := release.Final{
		Plan: p, Data: pictures(t), Dir: filepath.Join(t.TempDir(), "final"), Cores: 1, Number: 4,
		Figures: map[string]float64{"cv_accuracy": 0.94}, Judgement: v.Describe(release.Default(), "truth", "for the ward round"),
	}
	result, err := f.Train(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	m, err := description.Load(result.Model)
	if err != nil {
		t.Fatal(err)
	}
	if m.Release != 4 || m.Version != "release4" || m.Temperature != 1.7 || m.Training.Pictures != 42 || m.Training.Epochs != 3 || m.Training.DataDigest != f.Data.Digest() {
		t.Errorf("%+v", m)
	}
	if m.Thresholds.Confidence != 0.45 || m.Thresholds.Outside != 0.6 || !(m.Thresholds.Picture > 0) || m.Thresholds.Features != 0 {
		t.Errorf("thresholds %+v", m.Thresholds)
	}
	if !cmp.Equal(m.Judgement, f.Judgement) || m.Judgement.Why != "for the ward round" || len(m.Judgement.Failed) != 1 || m.Figures["cv_accuracy"] != 0.94 {
		t.Errorf("judgement %+v, figures %v", m.Judgement, m.Figures)
	}
	history, err := os.ReadFile(filepath.Join(f.Dir, "history.csv"))
	if err != nil || bytes.Count(history, []byte("\n")) != 1+3 {
		t.Errorf("history %s, %v", history, err)
	}
	if _, err := os.Stat(filepath.Join(f.Dir, "predictions.csv")); err == nil {
		t.Error("there is nothing that it could have predicted")
	}
	checkGolden(t, m, result.Model)
	f.Judgement = v.Describe(release.Default(), "truth", "")
	f.Dir += "-again"
	if _, err := f.Train(context.Background()); err == nil || !strings.Contains(err.Error(), "nobody says why") {
		t.Errorf("released against the gate without a reason: %v", err)
	}
}

// checkGolden asks the model for its golden cases, as a box does.
func checkGolden(t *testing.T, d *description.Model, dir string) {
	t.Helper()
	m, err := infer.Open(dir, infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	files := map[string]bool{}
	for _, g := range d.Golden {
		files[g.File] = true
		p, err := xray.Decode(filepath.Join(dir, g.File), xray.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := m.Read(context.Background(), p, explain.MethodGradCAM)
		if err != nil || r.Label != g.Label || !strings.HasPrefix(g.File, "golden/phantom-") {
			t.Errorf("%s: %v, want %s (%v)", g.File, r.Label, g.Label, err)
		}
	}
	if len(files) != 12 {
		t.Errorf("%d golden cases, want 12", len(files))
	}
}
