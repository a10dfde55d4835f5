package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/gate"
)

// Reader is one network. Read MUST return a spine.Fault for a picture that it
// cannot judge; any other error counts as the box's own. It is called with up
// to abreast pictures at a time, and MAY go on after ctx is done (a run inside
// TensorFlow cannot be interrupted): until then there is room for one picture less.
type Reader interface {
	Read(ctx context.Context, p *spine.Picture, m explain.Method) (*spine.Reading, spine.Timings, error)
	// Thresholds are what the network's description lets it answer within.
	Thresholds() description.Thresholds
}

// Readers are the networks that read each picture: one, or a first and a
// second, which must agree.
type Readers struct {
	List     []Reader
	Together bool // side by side; otherwise one after the other
}

// Read lets every reader read the picture and returns the readings in the
// readers' order. Timings are sums when they take turns, and the slowest one's
// when they read side by side. The first reader's error goes before the second's.
func (r Readers) Read(ctx context.Context, p *spine.Picture, m explain.Method) ([]spine.Reading, spine.Timings, error) {
	readings := make([]spine.Reading, len(r.List))
	times := make([]spine.Timings, len(r.List))
	errs := make([]error, len(r.List))
	read := func(i int) {
		// A panic in a goroutine of its own would end the service.
		defer func() {
			if cause := recover(); cause != nil {
				errs[i] = fmt.Errorf("panic in reader %d: %v\n%s", i+1, cause, debug.Stack())
			}
		}()
		reading, t, err := r.List[i].Read(ctx, p, m)
		if err == nil && reading == nil {
			err = fmt.Errorf("reader %d gives no reading", i+1)
		}
		if times[i], errs[i] = t, err; err == nil {
			readings[i] = *reading
		}
	}
	var all spine.Timings
	if !r.Together {
		for i := range r.List {
			read(i)
			all.Infer += times[i].Infer
			all.Explain += times[i].Explain
		}
		return readings, all, first(errs)
	}
	done := make(chan struct{})
	for i := 1; i < len(r.List); i++ {
		go func() {
			read(i)
			done <- struct{}{}
		}()
	}
	read(0)
	for range r.List[1:] {
		<-done
	}
	for _, t := range times {
		all.Infer, all.Explain = max(all.Infer, t.Infer), max(all.Explain, t.Explain)
	}
	return readings, all, first(errs)
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Faster measures which way the readers are faster on this machine, with the
// given picture, and returns them set so, with the best time of each way.
func (r Readers) Faster(ctx context.Context, p *spine.Picture, m explain.Method) (set Readers, together, inTurn time.Duration, err error) {
	const rounds = 3
	best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
	for range rounds {
		for i, way := range []bool{true, false} {
			began := time.Now()
			if _, _, err := (Readers{r.List, way}).Read(ctx, p, m); err != nil {
				return r, 0, 0, err
			}
			best[i] = min(best[i], time.Since(began))
		}
	}
	return Readers{r.List, best[0] < best[1]}, best[0], best[1], nil
}

// decide turns the readings into an answer or a refusal: each must be within
// its own model's thresholds, and all must give the same label.
func (r Readers) decide(readings []spine.Reading) spine.Decision {
	for i := range readings {
		if !finite(&readings[i]) {
			return decline(errors.New("the network's output is not a number"))
		}
		if err := gate.Judge(&readings[i], r.List[i].Thresholds()); err != nil {
			return decline(err)
		}
	}
	label := readings[0].Label
	for _, other := range readings[1:] {
		if other.Label != label {
			return decline(spine.Faultf(spine.ReadersDisagree, "%s says %s, %s says %s",
				readings[0].Model.Name, label, other.Model.Name, other.Label))
		}
	}
	return spine.Decision{Outcome: spine.Classified, Label: label}
}

// finite reports whether every number of the reading is one. NaN compares as
// false with everything: unchecked, it would pass for sure of itself.
func finite(r *spine.Reading) bool {
	number := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	for _, p := range r.Probabilities {
		if !number(p) {
			return false
		}
	}
	if r.Heatmap == nil {
		return true
	}
	for _, v := range r.Heatmap.Values {
		if !number(float64(v)) {
			return false
		}
	}
	return number(float64(r.Heatmap.Max))
}
