package train

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"spinebox/models/input"
	"spinebox/models/nets"
)

// planes returns n grey planes, each with a black margin of a quarter on the
// left and on the right, as a letterboxed X-ray has.
func planes(n, width, height int) []sample {
	var all []sample
	for i := range n {
		random := rand.New(rand.NewPCG(uint64(i), 3))
		s := sample{plane: make([]float32, width*height), label: []int{0, 0, 0, 1, 2}[i%5]}
		for k := range s.plane {
			if x := k % width; x >= width/4 && x < width-width/4 {
				s.plane[k] = 20 + 200*random.Float32()
			}
		}
		all = append(all, s)
	}
	return all
}

func smallConfig() Config {
	c := Default()
	c.Input = input.Spec{Width: 32, Height: 48, Resize: input.Letterbox, Grey: input.Percentile}
	c.Batch = 4
	return c
}

// epoch collects the batches of one epoch.
func epoch(f *feeder, n int) []*batch {
	out := make(chan *batch)
	go f.epoch(context.Background(), n, out)
	var all []*batch
	for b := range out {
		all = append(all, b)
	}
	return all
}

func TestClassWeights(t *testing.T) {
	f := newFeeder(smallConfig(), planes(10, 32, 48), 3) // 6, 2 and 2
	var sum float32
	for _, s := range f.samples {
		sum += f.weights[s.label]
	}
	if math.Abs(float64(sum)-10) > 1e-5 {
		t.Errorf("the weights of all samples sum to %v: the learning rate would mean something else", sum)
	}
	if want := []float32{10. / 18, 10. / 6, 10. / 6}; !slices.Equal(f.weights, want) {
		t.Errorf("weights %v, want %v", f.weights, want)
	}
	c := smallConfig()
	c.ClassWeights = false
	if w := newFeeder(c, f.samples, 3).weights; !slices.Equal(w, []float32{1, 1, 1}) {
		t.Errorf("without class weights they are %v", w)
	}
	if w := newFeeder(smallConfig(), planes(3, 32, 48), 3).weights; w[1] != 0 || w[2] != 0 || w[0] == 0 {
		t.Errorf("classes without a sample weigh %v", w)
	}
}

func TestEpochsBatches(t *testing.T) {
	c := smallConfig()
	c.Augment = Augment{} // so that samples can be told by their pixels
	samples := planes(10, 32, 48)
	f := newFeeder(c, samples, 3)
	batches := epoch(f, 0)
	if len(batches) != 3 || f.steps() != 3 {
		t.Fatalf("%d batches, %d steps, for 10 samples in fours", len(batches), f.steps())
	}
	const size = 32 * 48
	seen := make([]int, len(samples))
	for _, b := range batches {
		for i := range b.n {
			row := b.labels[3*i : 3*i+3]
			// The graph's gradient assumes labels that sum to 1.
			if sum := row[0] + row[1] + row[2]; math.Abs(float64(sum)-1) > 1e-6 {
				t.Errorf("labels %v", row)
			}
			k := slices.IndexFunc(samples, func(s sample) bool { return near(s.plane, b.images[i*size:(i+1)*size]) })
			if k < 0 {
				t.Fatal("a batch holds a picture that is no sample")
			}
			seen[k]++
			if slices.Index(row, slices.Max(row)) != samples[k].label || b.weights[i] != f.weights[samples[k].label] {
				t.Errorf("sample %d of class %d has labels %v and weight %v", k, samples[k].label, row, b.weights[i])
			}
		}
	}
	if slices.Min(seen) != 1 || slices.Max(seen) != 2 { // two fill up the last batch
		t.Errorf("samples are seen %v times", seen)
	}
}

func near(a, b []float32) bool {
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 1e-2 {
			return false
		}
	}
	return true
}

func TestBatchesDependOnSeedAndEpochAlone(t *testing.T) {
	samples := planes(10, 32, 48)
	first := epoch(newFeeder(smallConfig(), samples, 3), 4)
	f := newFeeder(smallConfig(), samples, 3)
	epoch(f, 3) // a feeder that has worked before
	if !reflect.DeepEqual(first, epoch(f, 4)) {
		t.Error("an epoch's batches depend on what came before")
	}
	if reflect.DeepEqual(first, epoch(f, 5)) {
		t.Error("two epochs have the same batches")
	}
	c := smallConfig()
	c.Seed++
	if reflect.DeepEqual(first, epoch(newFeeder(c, samples, 3), 4)) {
		t.Error("another seed makes the same batches")
	}
}

func TestFeederStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	out := make(chan *batch)
	go newFeeder(smallConfig(), planes(10, 32, 48), 3).epoch(ctx, 0, out)
	<-out
	cancel()
	for range out { // ends, or the test hangs
	}
}

func TestAugment(t *testing.T) {
	const width, height = 32, 48
	plane := planes(1, width, height)[0].plane
	augment := Default().Augment
	augment.Erase = 0
	changed := make([]float32, width*height)
	for seed := range uint64(300) {
		augment.apply(changed, plane, width, height, rand.New(rand.NewPCG(seed, 1)))
		for i, v := range changed {
			if !(v >= 0 && v <= 255) {
				t.Fatalf("seed %d: value %d is %v", seed, i, v)
			}
		}
		// The picture stays in the input, with its margin: at the middle of
		// each side lies padding, in the middle of the whole the picture.
		for y := height / 3; y < 2*height/3; y++ {
			if changed[y*width] != 0 || changed[y*width+width-1] != 0 {
				t.Fatalf("seed %d: row %d of the padding is not dark", seed, y)
			}
			if slices.Max(changed[y*width+width/2-2:][:4]) == 0 {
				t.Fatalf("seed %d: row %d of the picture is dark", seed, y)
			}
		}
		again := make([]float32, width*height)
		augment.apply(again, plane, width, height, rand.New(rand.NewPCG(seed, 1)))
		if !slices.Equal(changed, again) {
			t.Fatalf("seed %d: not the same twice", seed)
		}
	}
	Augment{}.apply(changed, plane, width, height, rand.New(rand.NewPCG(1, 1)))
	if !near(changed, plane) {
		t.Error("no augmentation changes the picture")
	}
	flips := 0
	for seed := range uint64(200) {
		Augment{Flip: true}.apply(changed, plane, width, height, rand.New(rand.NewPCG(seed, 1)))
		mirrored := make([]float32, len(plane))
		for i := range plane {
			mirrored[i] = plane[i-i%width+width-1-i%width]
		}
		switch {
		case near(changed, mirrored):
			flips++
		case !near(changed, plane):
			t.Fatal("flipping leaves neither the picture nor its mirror image")
		}
	}
	if flips < 70 || flips > 130 {
		t.Errorf("%d of 200 are flipped", flips)
	}
}

// TestAugmentKeepsUp: a spine stays upright. Upside down, a slip at L5/S1
// would be one at the neck.
func TestAugmentKeepsUp(t *testing.T) {
	const width, height = 32, 48
	plane := make([]float32, width*height)
	for i := range plane[:len(plane)/2] {
		plane[i] = 200 // bright above
	}
	changed := make([]float32, len(plane))
	for seed := range uint64(300) {
		Default().Augment.apply(changed, plane, width, height, rand.New(rand.NewPCG(seed, 1)))
		var above, below float32
		for i, v := range changed {
			if i < len(changed)/2 {
				above += v
			} else {
				below += v
			}
		}
		if above <= below {
			t.Fatalf("seed %d: it stands on its head", seed)
		}
	}
}

func TestErase(t *testing.T) {
	const width, height = 40, 50
	for seed := range uint64(200) {
		plane := make([]float32, width*height)
		for i := range plane {
			plane[i] = -1
		}
		erase(plane, width, height, rand.New(rand.NewPCG(seed, 1)))
		erased := 0
		for _, v := range plane {
			if v >= 0 && v <= 255 {
				erased++
			}
		}
		if erased == 0 || float64(erased) > 0.1*width*height {
			t.Fatalf("seed %d: %d of %d pixels are erased", seed, erased, width*height)
		}
	}
}

func TestScore(t *testing.T) {
	logits := [][]float32{{float32(math.Log(2)), 0, 0}, {0, 0, float32(math.Log(8))}}
	loss, accuracy := score(logits, []int{0, 1}, 1)
	// Probabilities 1/2 of the first truth, 1/10 of the second.
	if want := (math.Log(2) + math.Log(10)) / 2; math.Abs(loss-want) > 1e-6 || accuracy != 0.5 {
		t.Errorf("loss %v, want %v; accuracy %v", loss, want, accuracy)
	}
	if loss, _ := score([][]float32{{1e6, 0, 0}}, []int{1}, 1); loss != 1e6 {
		t.Errorf("large logits lose %v", loss)
	}
}

// TestCalibrate draws the truth from known probabilities, and then claims to
// be surer, or less sure, by a known factor.
func TestCalibrate(t *testing.T) {
	for _, want := range []float64{0.5, 1, 2.5} {
		random := rand.New(rand.NewPCG(1, 1))
		var logits [][]float32
		var truth []int
		for range 20_000 {
			row, sum := make([]float32, 3), 0.0
			p := make([]float64, 3)
			for k := range row {
				z := 2 * random.NormFloat64()
				row[k], p[k] = float32(want*z), math.Exp(z)
				sum += p[k]
			}
			at, k := random.Float64()*sum, 0
			for at > p[k] && k < 2 {
				at -= p[k]
				k++
			}
			logits, truth = append(logits, row), append(truth, k)
		}
		if got := calibrate(logits, truth); math.Abs(got-want) > 0.05*want {
			t.Errorf("temperature %v, want %v", got, want)
		}
	}
	// Always right: as sharp as is allowed. Always wrong: as flat.
	if got := calibrate([][]float32{{3, 0, 0}}, []int{0}); math.Abs(got-0.25) > 1e-3 {
		t.Errorf("never wrong: temperature %v", got)
	}
	if got := calibrate([][]float32{{3, 0, 0}}, []int{1}); math.Abs(got-8) > 1e-2 {
		t.Errorf("never right: temperature %v", got)
	}
}

func TestRate(t *testing.T) {
	r := &Run{Config: Config{Rate: 0.01, Epochs: 10, Schedule: Cosine, Warmup: 0.1}}
	before, top := 0.0, 0
	for step := range 200 {
		rate := r.Config.rate(step, 20)
		if !(rate > 0 && rate <= 0.01) {
			t.Fatalf("step %d: rate %v", step, rate)
		}
		if rising := rate > before; step != 20 && rising != (step < 20) {
			t.Errorf("step %d: rate %v after %v", step, rate, before)
		}
		if rate > 0.0099 {
			top++
		}
		before = rate
	}
	if top == 0 || before > 1e-5 {
		t.Errorf("it is near its height for %d steps, and ends at %v", top, before)
	}
	for want, c := range map[float64]Config{
		0.005:  {Rate: 0.01, Epochs: 10, Schedule: Constant, Warmup: 0.5},                                      // halfway up
		0.01:   {Rate: 0.01, Epochs: 10, Schedule: Constant, Warmup: 0.2},                                      // at its height, for good
		0.0075: {Rate: 0.01, Epochs: 5, Schedule: Constant, Warmup: 0.5, Method: Finetune, HeadEpochs: 1},      // 30 of the 40 steps of the rise
		0.003:  {Rate: 0.01, Epochs: 12, Schedule: Constant, Method: Finetune, HeadEpochs: 6, HeadRate: 0.003}, // the head's own
	} {
		if got := c.rate(50, 20); math.Abs(got-want) > 0.05*want {
			t.Errorf("after 50 steps of 20 an epoch: rate %v, want %v", got, want)
		}
	}
}

// TestTail: the lowest loss in the middle of the cycle is passed over, and of
// those at its end the lowest is taken.
func TestTail(t *testing.T) {
	r := &Run{Config: Config{Rate: 0.01, Epochs: 40, Tail: 0.1, Schedule: Cosine, Warmup: 0.1}}
	at := &state{}
	var taken []int
	for epoch := 1; epoch <= 40; epoch++ {
		loss := map[int]float64{20: 0.1, 36: 0.4, 38: 0.3, 39: 0.35}[epoch]
		if loss == 0 {
			loss = 0.5
		}
		if at.prefer(r.Config, Epoch{Epoch: epoch, Rate: r.Config.rate(20*epoch-1, 20), Validation: loss}) {
			taken = append(taken, epoch)
		}
	}
	// Half a cosine is a tenth of its height after 0.795 of its length, which
	// here is the last 36 epochs.
	if want := []int{33, 36, 38}; !slices.Equal(taken, want) || at.Best != 38 || at.Loss != 0.3 {
		t.Errorf("epochs %v are taken one after the other, want %v; in the end %d with %v", taken, want, at.Best, at.Loss)
	}
	r.Config.Epochs, at = 1, &state{} // of one epoch the rate never falls so low
	if !at.prefer(r.Config, Epoch{Epoch: 1, Rate: r.Config.rate(19, 20), Validation: 2}) {
		t.Error("the last epoch is not taken, and nothing would be")
	}
}

func TestSum(t *testing.T) {
	r := &Result{Confusion: [][]int{{3, 1, 0}, {0, 2, 0}, {0, 0, 0}}}
	r.sum()
	if want := []float64{0.75, 1, 0}; !slices.Equal(r.Recall, want) || r.Accuracy != 5./6 {
		t.Errorf("recall %v, accuracy %v", r.Recall, r.Accuracy)
	}
}

func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	if s, err := restore(dir); s != nil || err != nil {
		t.Errorf("no checkpoint: %v, %v", s, err)
	}
	want := &state{
		Config: "c", Data: "d", Restarts: 1, Epoch: 3, Step: 12, Best: 2, Loss: 0.5, Seconds: 7,
		History: []Epoch{{Epoch: 1, Seed: 4, Rate: 0.1, Loss: 1.5, Validation: 1.25, Accuracy: 0.5, Seconds: 2}},
		weights: nets.Weights{"a/kernel": {1, -2, float32(math.Inf(1))}, "b": {}},
		slots:   nets.Weights{"a/kernel/adam_m": {0.25}},
		best:    nets.Weights{},
	}
	for range 2 { // the second takes the first one's place
		if err := want.save(dir); err != nil {
			t.Fatal(err)
		}
		got, err := restore(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v comes back as %+v", want, got)
		}
		want.Epoch++
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("saving leaves %v", left)
	}
}
