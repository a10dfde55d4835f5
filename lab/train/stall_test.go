package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"spinebox/models/nets"
)

func TestConstantLoss(t *testing.T) {
	c := smallConfig()
	c.LabelSmoothing = 0
	samples := planes(10, 32, 48) // 6, 2 and 2
	if got := newFeeder(c, samples, 3).constantLoss(); math.Abs(got-math.Log(3)) > 1e-6 {
		t.Errorf("classes that weigh alike: %v, want ln 3", got)
	}
	c.ClassWeights = false
	want := -(0.6*math.Log(0.6) + 2*0.2*math.Log(0.2))
	if got := newFeeder(c, samples, 3).constantLoss(); math.Abs(got-want) > 1e-6 {
		t.Errorf("as they are: %v, want %v", got, want)
	}
	c.LabelSmoothing = 0.3 // shares 0.7*0.6 + 0.1 and so on
	want = -(0.52*math.Log(0.52) + 2*0.24*math.Log(0.24))
	if got := newFeeder(c, samples, 3).constantLoss(); math.Abs(got-want) > 1e-6 {
		t.Errorf("smoothed: %v, want %v", got, want)
	}
}

// seeds lists what seed each line of the history was trained with.
func seeds(t *testing.T, r *Run) (all []string) {
	t.Helper()
	for _, row := range table(t, r, "history.csv")[1:] {
		all = append(all, row[len(row)-1])
	}
	return all
}

// deaf is a training that cannot learn: its rate is as good as none.
func deaf(t *testing.T, data string, said *[]string) *Run {
	r := tiny(t, data)
	r.Config.Rate, r.Config.WeightDecay, r.Config.StallEpochs, r.Config.Restarts = 1e-30, 0, 2, 2
	r.Config.Seed = 22 // with this one and the next two, what it knows from the start is worse than nothing
	r.Progress.Say = func(format string, args ...any) { *said = append(*said, fmt.Sprintf(format, args...)) }
	return r
}

func TestAStalledTrainingBeginsAgain(t *testing.T) {
	data := pictures(t)
	var said []string
	r := deaf(t, data, &said)
	want := trained(t, r)
	if got := strings.Join(seeds(t, r), " "); got != "22 22 23 23 24 24 24" {
		t.Errorf("the epochs' seeds are %s", got)
	}
	all := strings.Join(said, "\n")
	for _, part := range []string{"begins again with seed 23 (restart 1 of at most 2)", "begins again with seed 24 (restart 2 of at most 2)", "stalled once more, after 2 restarts"} {
		if strings.Count(all, part) != 1 {
			t.Errorf("it does not say %q once: %s", part, all)
		}
	}
	kernel := "conv4_block1_2_conv/kernel"
	if got := best(t, r)[kernel]; !slices.Equal(got, nets.Initial(r.Config.specs(3), 24)[kernel]) {
		t.Error("the last start is not that of seed 24")
	}

	// Stopped among the restarts and resumed, it is the same training.
	halved := deaf(t, data, &said)
	ctx, cancel := context.WithCancel(context.Background())
	epochs := 0
	halved.Progress.Epoch = func(Epoch, bool) {
		if epochs++; epochs == 3 {
			cancel()
		}
	}
	if _, err := halved.Train(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	halved.Resume, halved.Progress.Epoch = true, nil
	if got := trained(t, halved); got.Digest != want.Digest {
		t.Error("the resumed training made another model")
	}
	if a, b := content(t, r, "history.csv"), content(t, halved, "history.csv"); a != b {
		t.Errorf("history, undisturbed:\n%s\nresumed:\n%s", a, b)
	}
}

func TestATrainingThatLearnsIsLeftAlone(t *testing.T) {
	r := tiny(t, pictures(t))
	r.Config.Epochs, r.Config.Rate, r.Config.StallEpochs, r.Cores = 12, 1e-2, 10, 2
	trained(t, r)
	if got := slices.Compact(seeds(t, r)); len(got) != 1 || got[0] != "1" {
		t.Errorf("seeds %v", got)
	}
	if r.stalled(&state{Epoch: 10, History: make([]Epoch, 10)}, r.feeder(&state{})) {
		t.Error("a loss of zero is taken for a stall")
	}
}

// TestPatience: three epochs of the tail without a lower loss end a training,
// and no epoch before the tail counts.
func TestPatience(t *testing.T) {
	c := Config{Rate: 0.01, Epochs: 40, Tail: 0.1, Schedule: Cosine, Warmup: 0.1, Patience: 3}
	at := &state{}
	for !at.ended(c) {
		at.Epoch++
		loss := 1.0
		if at.Epoch == 10 {
			loss = 0.1 // in the middle of the cycle
		}
		at.prefer(c, Epoch{Epoch: at.Epoch, Rate: c.rate(20*at.Epoch-1, 20), Validation: loss})
	}
	if at.Epoch != 36 || at.Best != 33 {
		t.Errorf("it ends with epoch %d, the best one is %d; want 36 and 33", at.Epoch, at.Best)
	}

	r := descended(t, pictures(t), Features, backbone(t))
	r.Config.Epochs, r.Config.Rate, r.Config.WeightDecay, r.Config.Tail, r.Config.Patience = 10, 1e-30, 0, 1, 3
	var said string
	r.Progress.Say = func(format string, args ...any) { said += fmt.Sprintf(format, args...) + "\n" }
	result := trained(t, r)
	if rows := table(t, r, "history.csv"); len(rows) != 1+4 || result.BestEpoch != 1 {
		t.Errorf("a training that learns nothing runs %d epochs, best %d; want 4 and 1", len(rows)-1, result.BestEpoch)
	}
	if !strings.Contains(said, "ends with epoch 4 of 10") {
		t.Errorf("it says %q", said)
	}
}
