package study

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/look"
	"spinebox/lab/regions"
	"spinebox/lab/train"
	"spinebox/models/nets"
	"spinebox/models/weights"
)

// made returns a set of n items, of each label in turn.
func made(n int) *dataset.Set {
	set := new(dataset.Set)
	for i := range n {
		id := fmt.Sprintf("%064x", i)
		set.Items = append(set.Items, dataset.Item{Label: spine.Labels()[i%3], SHA256: id, Group: id})
	}
	return set
}

// opened returns a study of the tiny network, from a configuration.
func opened(t *testing.T, text string, o Options) (*Study, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "study.yaml")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if o.Data == nil {
		o.Data = made(30)
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "runs")
	}
	o.Config, o.Folds, o.Cores = name, 5, 1
	return Open(o)
}

const small = "networks: [tiny]\nmethods: [random, finetune]\ninput: {height: 64, width: 32}\n"

func mustOpen(t *testing.T, text string, o Options) *Study {
	t.Helper()
	s, err := opened(t, text, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDefaultConfigIsWhole: every setting of a training stands in study.yaml,
// with its value where nobody says otherwise.
func TestDefaultConfigIsWhole(t *testing.T) {
	c, err := parse([]byte("# nothing\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.All()) != 6 || c.Input.Height != 256 || c.Input.Width != 112 {
		t.Errorf("the default study has %d variants at %dx%d", len(c.All()), c.Input.Height, c.Input.Width)
	}
	var keys func(reflect.Type)
	keys = func(s reflect.Type) {
		for field := range s.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch name {
			case "network", "method", "backbone", "fold", "folds", "zero_residuals", "stop_after":
				continue // the study's own; the demo's; the release's
			}
			if !bytes.Contains(DefaultConfig, []byte(name+":")) {
				t.Errorf("study.yaml says nothing of %s", name)
			}
			if field.Type.Kind() == reflect.Struct {
				keys(field.Type)
			}
		}
	}
	keys(reflect.TypeFor[train.Config]())
	want := builtin(train.Random)
	if want.Epochs = 60; c.Random != want {
		t.Errorf("random trains as %+v, and spinelab train as %+v", c.Random, want)
	}
}

func TestConfig(t *testing.T) {
	c, err := parse([]byte("networks: [vgg16]\nfinetune: {rate: 0.5}\nvariants:\n  vgg16-finetune: {epochs: 7, from: block4}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(c.All()); got != "vgg16-random, vgg16-features, vgg16-finetune" {
		t.Errorf("the variants are %s", got)
	}
	tuned := c.Training(Variant{nets.VGG16, train.Finetune})
	if tuned.Epochs != 7 || tuned.From != "block4" || tuned.Rate != 0.5 || tuned.HeadEpochs != 5 || tuned.Augment.Rotate != 6 {
		t.Errorf("the overridden variant trains as %+v", tuned)
	}
	if tuned.Network != nets.VGG16 || tuned.Method != train.Finetune || tuned.Seed != 1 || tuned.Input != c.Input {
		t.Errorf("the variant is %+v", tuned)
	}
	for text, want := range map[string]string{
		"seed: 1\nrandom:\n  epochz: 3\n":                      `3: there is no such key as "epochz"`,
		"seed: 1\nrundom: {}\n":                                `2: there is no such key as "rundom"`,
		"variants:\n  vgg16-random: {ratte: 1}\n":              `2: there is no such key as "ratte"`,
		"variants: {vgg17-random: {rate: 1}}\n":                `"vgg17-random" is no variant`,
		"networks: [vgg16]\nvariants: {resnet50-random: {}}\n": "resnet50-random is none of this study's",
		"input: {heigth: 3}\n":                                 "heigth",
		"random: {epochs: lots}\n":                             "1: the value is not a whole number",
		"random:\n  augment: {flip: perhaps}\n":                "2: the value is not true or false",
		"networks: vgg16\n":                                    "1: string was used where sequence is expected",
		"save_every: often\n":                                  `invalid duration "often"`,
		"random: {optimizer: magic}\n":                         `optimizer "magic" is not known`,
		"save_every: 0s\n":                                     "save_every",
		"networks: [alexnet]\n":                                `unknown network "alexnet"`,
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestDigestLeavesOutWhereAndHowOften(t *testing.T) {
	digest := func(text string) string {
		c, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c.Digest()
	}
	same := digest("# a comment\nsave_every: 1h\nweights: {vgg16: elsewhere}\n")
	if same != digest("") || digest("seed: 2") == digest("") || digest("variants: {vgg16-random: {rate: 0.1}}") == digest("") {
		t.Error("the digest is of something else than what figures depend on")
	}
}

func TestOpenRefuses(t *testing.T) {
	two := made(30)
	two.Items = slices.DeleteFunc(two.Items, func(i dataset.Item) bool { return i.Label == spine.Spondylolisthesis })
	for what, c := range map[string]struct {
		o    Options
		want string
	}{
		"an empty class":  {Options{Data: two}, "no picture of spondylolisthesis"},
		"3 in 5 folds":    {Options{Data: made(3)}, "5 folds need 5 patients of each class, and there are 1 of normal"},
		"another variant": {Options{Variants: []string{"vgg16-random"}}, `no variant "vgg16-random"`},
	} {
		c.o.Dir = filepath.Join(t.TempDir(), "runs")
		if _, err := opened(t, small, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(c.o.Dir); err == nil {
			t.Errorf("%s: the folder of the runs was made", what)
		}
	}
}

// TestOneStudyInAFolder: what a folder of runs or a landing folder holds is
// never replaced by another configuration or other folds.
func TestOneStudyInAFolder(t *testing.T) {
	o := Options{Dir: t.TempDir(), Land: t.TempDir()}
	mustOpen(t, small, o)
	mustOpen(t, small+"# the same\nsave_every: 5m\n", o)
	want, err := os.ReadFile(filepath.Join(o.Dir, splitsName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, small+"seed: 2\n", o); err == nil || !strings.Contains(err.Error(), "is another configuration") {
		t.Errorf("another seed: %v", err)
	}
	other := o
	other.Data = made(33)
	if _, err := opened(t, small, other); err == nil || !strings.Contains(err.Error(), "holds other folds") {
		t.Errorf("other data: %v", err)
	}
	other.Dir = t.TempDir()
	if _, err := opened(t, small, other); err == nil || !strings.Contains(err.Error(), "holds other folds") {
		t.Errorf("other data than those landed: %v", err)
	}
	if got, _ := os.ReadFile(filepath.Join(o.Dir, splitsName)); !bytes.Equal(got, want) {
		t.Error("splits.json was replaced")
	}
	splits, err := ReadSplits(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	held := make([]int, 5)
	for _, item := range splits.Items {
		held[item.Fold]++
	}
	if !reflect.DeepEqual(held, []int{6, 6, 6, 6, 6}) {
		t.Errorf("the folds hold %v of 30", held)
	}
}

// pretend leaves a fold's small files as if it were finished.
func pretend(t *testing.T, dir string, s *Study, task Task) {
	t.Helper()
	c := s.training(task)
	if task.Variant.Pretrained() {
		c.Backbone = "b1"
	}
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	done, err := json.Marshal(train.Result{Accuracy: 0.5, Seconds: 80})
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, task.Path())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		configFile: string(config), doneFile: string(done), historyFile: "epoch,rate\n1,0.1\n2,0.1\n", "predictions.csv": "sha256\n",
		"heatmaps.csv": "sha256,label,answer,empty,border,padding,marker,region,area,energy,lift,hit,iou,auprc,insertion,deletion,drop,increase\n",
		"floors.csv":   "floor,sha256,border,padding,marker,area,energy,lift,hit,iou,auprc\n",
		"sanity.csv":   "step,layer,ssim,spearman\n",
		"probe.csv":    probeHead(),
	}
	judged := look.Judged{Files: map[string]string{}, Seconds: 20}
	for _, name := range look.Tables() {
		if content, ok := files[name]; ok {
			sum := sha256.Sum256([]byte(content))
			judged.Files[name] = hex.EncodeToString(sum[:])
		}
	}
	raw, err := json.Marshal(judged)
	if err != nil {
		t.Fatal(err)
	}
	files["judged.json"] = string(raw)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := look.ReadFold(dir); err != nil {
		t.Fatal(err)
	}
}

func probeHead() string {
	head := "picture"
	for y := range look.ProbeSide {
		for x := range look.ProbeSide {
			head += fmt.Sprintf(",r%dc%d", y, x)
		}
	}
	return head + "\n"
}

func TestLandedFoldIsFinished(t *testing.T) {
	land := t.TempDir()
	s := mustOpen(t, small, Options{Land: land})
	random := Task{s.Variants[0], 3}
	pretend(t, land, s, random)
	s = mustOpen(t, small, Options{Land: land})
	if stage, err := s.stage(random); stage != Finished || err != nil {
		t.Errorf("a landed fold is %s, %v", stage, err)
	}
	// And one that was finished before there was a landing folder lands.
	pretend(t, s.Dir, s, Task{s.Variants[0], 4})
	mustOpen(t, small, Options{Dir: s.Dir, Land: land})
	if stage, err := stageOf(filepath.Join(land, "tiny-random", "fold4")); stage != Finished || err != nil {
		t.Errorf("in the landing folder it is %s, %v", stage, err)
	}
	// Without its last file it is not finished; without another one it is damaged.
	if err := os.Remove(filepath.Join(land, "tiny-random", "fold4", historyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, small, Options{Land: land}); err == nil || !strings.Contains(err.Error(), "has a done.json and no history.csv") {
		t.Errorf("a damaged fold: %v", err)
	}
}

// TestOtherTrainingIsRefused: a fold that another configuration trained does
// not count.
func TestOtherTrainingIsRefused(t *testing.T) {
	land := t.TempDir()
	s := mustOpen(t, small, Options{Land: land})
	other := mustOpen(t, small+"seed: 2\n", Options{})
	pretend(t, land, other, Task{s.Variants[0], 0})
	if _, err := opened(t, small, Options{Land: land}); err == nil || !strings.Contains(err.Error(), "was not trained as the configuration says") {
		t.Errorf("another seed's fold: %v", err)
	}
}

// TestBackbones: the folds of one study begin with the same weights, but for a
// stand-in that was trained again.
func TestBackbones(t *testing.T) {
	keras := backbone{Digest: "k", Origin: "ImageNet"}
	b := backbones{}
	for _, err := range []error{
		b.add(nets.VGG16, backbone{Digest: "b1", StandIn: true}), b.add(nets.VGG16, backbone{Digest: "b1", StandIn: true}),
		b.add(nets.VGG16, backbone{Digest: "b2", StandIn: true}), b.add(nets.ResNet50, keras), b.add(nets.ResNet50, keras),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if len(b[nets.VGG16]) != 2 || !b.has(nets.VGG16, "b2") || b.has(nets.ResNet50, "b2") {
		t.Errorf("known are %v", b)
	}
	if b.add(nets.VGG16, keras) == nil || b.add(nets.ResNet50, backbone{Digest: "other"}) == nil {
		t.Error("two kinds of weights are taken for one study")
	}
	land := t.TempDir()
	s := mustOpen(t, small, Options{Land: land})
	pretend(t, land, s, Task{s.Variants[1], 0})
	if _, err := opened(t, small, Options{Land: land}); err == nil {
		t.Error("a fold is taken whose weights nobody knows")
	}
	if err := (backbones{nets.Tiny: {{Digest: "b1", StandIn: true}}}).write(land); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, small, Options{Land: land})
	if stage, _ := s.stage(Task{s.Variants[1], 0}); stage != Finished {
		t.Errorf("a fold from known weights is %s", stage)
	}
}

// TestRegions: all folds of a study are measured against the same regions.
func TestRegions(t *testing.T) {
	set := regions.NewSet()
	set.Put(made(1).Items[0].SHA256, regions.Region{Kind: regions.Drawn, Width: 9, Height: 9, Polygons: []regions.Polygon{{{0, 0}, {1, 0}, {1, 1}}}})
	s := mustOpen(t, small, Options{Regions: set, Land: t.TempDir()})
	for range 2 {
		if err := s.keepRegions(); err != nil {
			t.Fatal(err)
		}
	}
	s.Regions = nil
	if err := s.keepRegions(); err == nil || !strings.Contains(err.Error(), "measured against other regions, or against none") {
		t.Errorf("none instead of some: %v", err)
	}
	s.Dir = t.TempDir() // the landing folder knows, too
	if s.keepRegions() == nil {
		t.Error("the landing folder forgets them")
	}
}

// TestMeasureAgain: folds that are measured are to be measured anew, where their
// models are.
func TestMeasureAgain(t *testing.T) {
	o := Options{Dir: t.TempDir(), Land: t.TempDir()}
	s := mustOpen(t, small, o)
	task := s.Tasks[0]
	pretend(t, s.Dir, s, task)
	s = mustOpen(t, small, o) // lands it
	if err := s.keepRegions(); err != nil {
		t.Fatal(err)
	}
	o.MeasureAgain = true
	if _, err := opened(t, small, o); err == nil || !strings.Contains(err.Error(), "their models are not in") || !strings.Contains(err.Error(), task.String()) {
		t.Errorf("without a model: %v", err)
	}
	if stage, err := s.stage(task); stage != Finished || err != nil {
		t.Errorf("after that it is %s, %v", stage, err)
	}
	model := filepath.Join(s.Dir, task.Path(), "model")
	if err := errors.Join(os.Mkdir(model, 0o755), os.WriteFile(filepath.Join(model, "model.json"), []byte("{}"), 0o644)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, small, o)
	if stage, err := s.stage(task); stage != Trained || err != nil {
		t.Errorf("with a model it is %s, %v", stage, err)
	}
	s.Regions = regions.NewSet()
	if err := s.keepRegions(); err != nil {
		t.Errorf("other regions: %v", err)
	}
}

// TestNotMeasured: what was trained and not measured to the end is not finished,
// here or in the landing folder.
func TestNotMeasured(t *testing.T) {
	s := mustOpen(t, small, Options{})
	task := s.Tasks[0]
	pretend(t, s.Dir, s, task)
	table := filepath.Join(s.Dir, task.Path(), "heatmaps.csv")
	if err := os.WriteFile(table, []byte("something else\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if stage, err := s.stage(task); stage != Trained || err != nil {
		t.Errorf("with a table of something else it is %s, %v", stage, err)
	}
	land := t.TempDir()
	mustOpen(t, small, Options{Dir: s.Dir, Land: land})
	if stage, err := stageOf(filepath.Join(land, task.Path())); stage != Waiting || err != nil {
		t.Errorf("in the landing folder it is %s, %v", stage, err)
	}
}

// TestProcessesNoteTheirBackbones: what one process of a study notes, another
// one does not lose.
func TestProcessesNoteTheirBackbones(t *testing.T) {
	o := Options{Dir: t.TempDir(), Land: t.TempDir()}
	file := filepath.Join(t.TempDir(), "tiny.safetensors")
	begin := func(seed uint64) (*Study, string) {
		s := mustOpen(t, small+"weights: {tiny: "+file+"}\n", o)
		f := weights.File{Architecture: nets.Tiny, StandIn: true, Weights: nets.Initial(weights.Specs(nets.Tiny), seed)}
		if err := f.Write(file); err != nil {
			t.Fatal(err)
		}
		return s, f.Digest
	}
	first, one := begin(1)
	if _, err := first.begin(nets.Tiny); err != nil {
		t.Fatal(err)
	}
	second, other := begin(2)
	for _, s := range []*Study{second, first} {
		if _, err := s.begin(nets.Tiny); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{o.Dir, o.Land} {
		if b, err := readBackbones(dir); err != nil || len(b[nets.Tiny]) != 2 || !b.has(nets.Tiny, one) || !b.has(nets.Tiny, other) {
			t.Errorf("known are %v, %v", b, err)
		}
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	if locked(name) {
		t.Error("a lock that is not there is held")
	}
	unlock, err := lock(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !locked(name) {
		t.Error("nobody sees the lock")
	}
	if _, err := lock(name, 0); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one gets it: %v", err)
	}
	unlock()
	if unlock, err = lock(name, 0); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestClock(t *testing.T) {
	s := mustOpen(t, "networks: [tiny]\ninput: {height: 64, width: 32}\nrandom: {epochs: 2}\nfeatures: {epochs: 2}\nfinetune: {epochs: 2, head_epochs: 1}\n", Options{})
	c, err := newClock(s, 2)
	if err != nil {
		t.Fatal(err)
	}
	if o := c.overall(); o.Known || o.Total != 15 {
		t.Errorf("before anything it knows %+v", o)
	}
	random := s.Variants[0]
	pretend(t, s.Dir, s, Task{random, 0}) // 80 s for two epochs
	if c, err = newClock(s, 2); err != nil {
		t.Fatal(err)
	}
	// Left are four folds of random and, as dear, five of finetune; features
	// take nothing to train. To look takes 20 s a fold. Two at once.
	if o := c.overall(); !o.Known || o.Finished != 1 || o.Left != (9*80+14*20)*time.Second/2 {
		t.Errorf("after one fold it knows %+v", o)
	}
	next := Task{s.Variants[2], 0}
	c.start(next)
	c.advance(next, Report{Epoch: 1, Seconds: 10})
	if o := c.overall(); o.Left != (4*80+4*20+10+14*20)*time.Second/2 || len(o.Running) != 1 || o.Running[0] != (Running{next, 1, 2, 0}) {
		t.Errorf("after an epoch of another it knows %+v", o)
	}
	c.advance(next, Report{Measured: 0.7})
	if o := c.overall(); o.Left != (4*80+4*20+13*20+6)*time.Second/2 {
		t.Errorf("when most of another is measured it knows %+v", o)
	}
	c.end(next, false)
	if o := c.overall(); o.Failed != 1 || len(o.Running) != 0 || o.Left != (4*80+4*20+13*20)*time.Second/2 {
		t.Errorf("after it failed it knows %+v", o)
	}
}

func TestIndex(t *testing.T) {
	s := mustOpen(t, small, Options{})
	environment := map[string]string{}
	getenv := func(name string) string { return environment[name] }
	if _, err := s.Index("auto", getenv); err == nil {
		t.Error("there is a task outside of a cluster")
	}
	environment["JOB_COMPLETION_INDEX"] = "3"
	if i, err := s.Index("auto", getenv); i != 3 || err != nil || s.Tasks[3].Path() != filepath.Join("tiny-finetune", "fold1") {
		t.Errorf("task 3 is %d, %v: %s", i, err, s.Tasks[3])
	}
	for _, wrong := range []string{"-1", "10", "x", ""} {
		if _, err := s.Index(wrong, getenv); err == nil {
			t.Errorf("there is a task %q", wrong)
		}
	}
}

func TestShellQuoted(t *testing.T) {
	for text, want := range map[string]string{"runs/a-1": "runs/a-1", "my runs": "'my runs'", "it's": `'it'\''s'`, "": "''", "$HOME": "'$HOME'"} {
		if got := shellQuoted(text); got != want {
			t.Errorf("%q becomes %s", text, got)
		}
	}
}
