package train

import "math"

// The schedules of the learning rate.
const (
	// Cosine is one cycle: a short linear rise, then half a cosine down to zero
	// (Smith and Topin 2019; Loshchilov and Hutter 2017).
	Cosine = "cosine"
	// Constant stays after the rise.
	Constant = "constant"
)

// rate of the step, counted from 0. Fine-tuning's schedule begins when the head
// is there.
func (c Config) rate(step, stepsPerEpoch int) float64 {
	if c.headPhase(step / stepsPerEpoch) {
		return c.HeadRate
	}
	head := 0
	if c.Method == Finetune {
		head = stepsPerEpoch * c.HeadEpochs
	}
	total := float64(stepsPerEpoch*c.Epochs - head)
	rise := c.Warmup * total
	at := float64(step-head) + 0.5
	switch {
	case at < rise:
		return c.Rate * at / rise
	case c.Schedule == Constant:
		return c.Rate
	}
	return c.Rate * 0.5 * (1 + math.Cos(math.Pi*(at-rise)/(total-rise)))
}

// headPhase reports whether the epoch, counted from 0, trains the head alone
// before the backbone joins in.
func (c Config) headPhase(epoch int) bool { return c.Method == Finetune && epoch < c.HeadEpochs }

// settled reports whether the epoch may become the model (see Tail).
func (c Config) settled(e Epoch) bool {
	if c.StopAfter > 0 {
		return e.Epoch == c.StopAfter
	}
	return e.Epoch == c.Epochs || !c.headPhase(e.Epoch-1) && e.Rate <= c.Tail*c.Rate
}

// ended reports whether the training has no more epochs: all are over, or
// Patience is. Only settled epochs are waited for, since no other may become
// the model.
func (s *state) ended(c Config) bool {
	if s.Epoch >= c.last() {
		return true
	}
	return c.Patience > 0 && s.Best > 0 && s.Epoch-s.Best >= c.Patience
}
