package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/models/description"
	"spinebox/models/nets"
	"spinebox/models/weights"
)

// backbone is Tiny's, with random weights.
func backbone(t *testing.T) *weights.File {
	t.Helper()
	f := &weights.File{Architecture: nets.Tiny, Origin: "nothing", StandIn: true,
		Weights: weights.Backbone(nets.Initial(nets.Tiny.Specs(3, false), 9))}
	if err := f.Write(filepath.Join(t.TempDir(), "tiny.safetensors")); err != nil {
		t.Fatal(err)
	}
	return f
}

// descended is a training that begins with the backbone.
func descended(t *testing.T, data string, m Method, b *weights.File) *Run {
	t.Helper()
	r := tiny(t, data)
	epochs := r.Config.Epochs
	r.Config = r.Config.For(m)
	r.Config.Epochs, r.Config.Batch, r.Config.HeadEpochs = epochs, 4, min(1, r.Config.HeadEpochs)
	r.Config.Backbone, r.Backbone = b.Digest, b
	return r
}

func best(t *testing.T, r *Run) nets.Weights {
	t.Helper()
	at, err := restore(r.Dir)
	if err != nil || at == nil {
		t.Fatalf("no checkpoint: %v", err)
	}
	return at.best
}

func TestFinetuneTrainsTheHeadFirst(t *testing.T) {
	b := backbone(t)
	r := descended(t, pictures(t), Finetune, b)
	ctx, cancel := context.WithCancel(context.Background())
	r.Progress.Epoch = func(Epoch, bool) { cancel() }
	if _, err := r.Train(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	at, err := restore(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	begun := nets.Initial(r.Config.specs(3), r.Config.Seed)
	for name, values := range at.weights {
		switch {
		case inHead(name):
			if slices.Equal(values, begun[name]) {
				t.Errorf("%s has not learned in the first epoch", name)
			}
		case !slices.Equal(values, b.Weights[name]):
			t.Errorf("%s changed while the head was alone to learn", name)
		}
	}
	r.Resume, r.Progress.Epoch = true, nil
	result := trained(t, r)
	for name, values := range best(t, r) {
		moved := !slices.Equal(values, b.Weights[name])
		if statistic := strings.Contains(name, "/moving_"); statistic == moved && !inHead(name) {
			t.Errorf("%s: moved is %v", name, moved)
		}
	}
	d, err := description.Load(result.Model)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Training.Backbone; got == nil || got.Digest != b.Digest || !got.StandIn || d.Method != "finetune" {
		t.Errorf("the model says of its descent %+v, method %s", got, d.Method)
	}
}

func TestFinetuneFromALayerOn(t *testing.T) {
	b := backbone(t)
	r := descended(t, pictures(t), Finetune, b)
	r.Config.From, r.Config.Optimizer = "conv5", "sgd"
	trained(t, r)
	for name, values := range best(t, r) {
		tuned := strings.HasPrefix(name, "conv5") && !strings.Contains(name, "/moving_")
		if moved := !slices.Equal(values, b.Weights[name]); moved != tuned && !inHead(name) {
			t.Errorf("%s: moved is %v", name, moved)
		}
	}
}

func TestFeaturesTrainTheHeadAlone(t *testing.T) {
	b := backbone(t)
	data := pictures(t)
	r := descended(t, data, Features, b)
	r.Config.Epochs, r.Config.Rate, r.Cache = 40, 3e-2, t.TempDir()
	result := trained(t, r)
	if result.Accuracy < 0.6 {
		t.Errorf("a head on random features gets %.2f of the stripes right", result.Accuracy)
	}
	if got := best(t, r); len(got) != 2 {
		t.Errorf("%d variables were trained, not the head's two", len(got))
	}
	kept, err := filepath.Glob(filepath.Join(r.Cache, "*", "*.f32"))
	if err != nil || len(kept) != 2*(len(r.fit)+len(r.validation)) {
		t.Errorf("%d features are kept of %d pictures and their mirror images (%v)", len(kept), len(r.fit)+len(r.validation), err)
	}
	// The same from the cache, and without one; a damaged entry is made again.
	if err := os.WriteFile(kept[0], []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{r.Cache, ""} {
		again := descended(t, data, Features, b)
		again.Config, again.Cache = r.Config, cache
		if got := trained(t, again); got.Digest != result.Digest {
			t.Errorf("with the cache %q, the training made another model", cache)
		}
	}
}

func TestFeaturesResume(t *testing.T) {
	b, data := backbone(t), pictures(t)
	whole, halved := descended(t, data, Features, b), descended(t, data, Features, b)
	want := trained(t, whole)
	stopped(t, halved)
	halved.Resume = true
	if got := trained(t, halved); got.Digest != want.Digest {
		t.Error("the resumed training made another model")
	}
}

func TestMirrored(t *testing.T) {
	if got := mirrored([]float32{1, 2, 3, 4, 5, 6}, 3); !slices.Equal(got, []float32{3, 2, 1, 6, 5, 4}) {
		t.Errorf("mirrored: %v", got)
	}
}

func TestMethodsAreChecked(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		"random takes none": func(c *Config) { c.Backbone = "digest" },
		"need a file":       func(c *Config) { *c = c.For(Features) },
		"leave none for":    func(c *Config) { *c = c.For(Finetune); c.Backbone, c.HeadEpochs = "digest", 25 },
		"head's learning":   func(c *Config) { *c = c.For(Finetune); c.Backbone, c.HeadRate = "digest", 0 },
		"begins with \"x\"": func(c *Config) { *c = c.For(Finetune); c.Backbone, c.From = "digest", "x" },
		`optimizer "lion"`:  func(c *Config) { c.Optimizer = "lion" },
	} {
		c := Default()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	b := backbone(t)
	r := descended(t, pictures(t), Features, b)
	r.Config.Backbone = "another digest"
	if _, err := r.Train(context.Background()); err == nil || !strings.Contains(err.Error(), "not those of the configuration") {
		t.Errorf("other weights than the configuration's: %v", err)
	}
	r = descended(t, pictures(t), Finetune, b)
	r.Config.Network = nets.ResNet50
	if _, err := r.Train(context.Background()); err == nil || !strings.Contains(err.Error(), "the pretrained weights are of tiny") {
		t.Errorf("another network's weights: %v", err)
	}
}

func TestPretrain(t *testing.T) {
	c := tiny(t, pictures(t)).Config
	c.Epochs, c.Batch, c.Rate, c.Augment = 15, 8, 1e-2, Augment{}
	c.Input.Width, c.Input.Height = 32, 32
	var accuracy float64
	p := &Pretraining{Config: c, Pictures: 30, Dir: filepath.Join(t.TempDir(), "training"), Cores: 2,
		Progress: Progress{Epoch: func(e Epoch, _ bool) { accuracy = e.Accuracy; t.Log(e.Epoch, e.Loss, e.Validation, e.Accuracy) }}}
	file := filepath.Join(t.TempDir(), "tiny.safetensors")
	f, err := p.Train(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	read, err := weights.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if !read.StandIn || read.Digest != f.Digest || read.Architecture != nets.Tiny {
		t.Errorf("the file says %+v", read)
	}
	if accuracy < 0.2 { // of twelve kinds, chance is 0.08
		t.Errorf("it knows %.2f of the kinds", accuracy)
	}
	r := descended(t, pictures(t), Features, read)
	r.Config.Epochs = 1
	trained(t, r)
}
