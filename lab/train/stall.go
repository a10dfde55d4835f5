package train

import (
	"errors"
	"math"
)

// A training from random weights may stay where it began: it gives every
// picture the same answer, and its loss is what that costs (VGG16: ln 3). It
// does not recover, and another seed usually does.

// stallMargin is by how much of the best constant answer's loss an epoch's must
// lie below it to have left it. Dropout and the order of the batches move the
// loss by about a hundredth.
const stallMargin = 0.02

// seed of the weights and batches: the configuration's, and the next one after
// each restart. The split keeps the configuration's.
func (s *state) seed(c Config) uint64 { return c.Seed + uint64(s.Restarts) }

// feeder makes the batches of the state's seed.
func (r *Run) feeder(at *state) *feeder {
	c := r.Config
	c.Seed = at.seed(c)
	return newFeeder(c, r.fit, r.classes)
}

// stalled reports whether the last StallEpochs epochs learned nothing, and the
// training is to begin again.
func (r *Run) stalled(at *state, f *feeder) bool {
	n := r.Config.StallEpochs
	if r.Config.Method != Random || n == 0 || at.Epoch < n || at.ended(r.Config) {
		return false
	}
	constant := f.constantLoss()
	for _, e := range at.History[len(at.History)-n:] {
		if e.Loss < constant*(1-stallMargin) {
			return false
		}
	}
	if at.Restarts < r.Config.Restarts {
		return true
	}
	if at.Epoch == n {
		r.say("stalled once more, after %d restarts: it goes on as it is, and another initializer or rate may help", at.Restarts)
	}
	return false
}

// restart begins again with the next seed. The history keeps what was given up.
func (r *Run) restart(g *graph, at *state) error {
	last := at.History[len(at.History)-1]
	at.Restarts++
	r.say("stalled: the loss is %.3f after %d epochs, as with one answer to everything; begins again with seed %d (restart %d of at most %d)",
		last.Loss, at.Epoch, at.seed(r.Config), at.Restarts, r.Config.Restarts)
	at.Epoch, at.Step, at.Best, at.Loss, at.best = 0, 0, 0, 0, nil
	r.fresh(at)
	defer func() { at.weights, at.slots = nil, nil }()
	return errors.Join(g.loader.Load(g.session, at.weights), g.slotsIn.Load(g.session, at.slots))
}

// constantLoss is the training loss of the best answer that is the same for
// every picture: ln of the number of classes when they weigh alike, less when
// one of them is frequent.
func (f *feeder) constantLoss() float64 {
	share := make([]float64, f.classes) // of the labels, weighted and smoothed
	var sum float64
	for _, s := range f.samples {
		w := float64(f.weights[s.label])
		sum += w
		for k := range share {
			share[k] += w * f.config.LabelSmoothing / float64(f.classes)
		}
		share[s.label] += w * (1 - f.config.LabelSmoothing)
	}
	var loss float64
	for _, w := range share {
		if w > 0 {
			loss -= w * math.Log(w/sum)
		}
	}
	return loss / float64(len(f.samples))
}
