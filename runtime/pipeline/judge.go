package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
)

// Reader is one network. Read MUST return a spine.Fault for a picture that it
// cannot judge; any other error counts as the box's own. It is called with one
// picture at a time, and MAY go on after ctx is done (a run inside TensorFlow
// cannot be interrupted): the next picture waits for it.
type Reader interface {
	Read(ctx context.Context, p *spine.Picture, m explain.Method) (*spine.Reading, spine.Timings, error)
	// Confidence is the least calibrated probability that the network's
	// description lets it answer with, 0 to 1.
	Confidence() float64
}

// Gate is the fixed rules that say whether a picture may be judged at all.
type Gate struct {
	MaxHues float64 // spine.Facts.Hues above this is a colour picture, not an X-ray
	MinSide int     // pixels of the shorter side

	// MaxShape is the most that the longer side may have of the shorter. The
	// tallest of the paper's 338 X-rays has 6.2.
	MaxShape float64
	// MinContrast is the least difference between the 1st and the 99th
	// percentile of the grey values, 0 to 1. A network answers for an empty
	// picture, too.
	MinContrast float64
}

// Rules are what decides about one picture, apart from the network itself.
type Rules struct {
	Gate   Gate
	Method explain.Method // of the heatmap
	Limit  time.Duration  // for decoding and reading one image together
}

// Judge decodes one file, asks the network and decides. It keeps nothing and
// writes nothing, so that one-shot commands and the service decide alike.
type Judge struct {
	decode func(path string) (*spine.Picture, error)
	reader Reader
	rules  Rules
	log    *slog.Logger

	// turn holds one token while a picture is being worked on. Work that
	// outlives its limit keeps the token, so stragglers never pile up; if
	// it never ends, nothing beats any more and the watchdog restarts the
	// box, whose ledger already holds the straggler's failure.
	turn chan struct{}
}

// NewJudge returns a judge. decode MUST return a spine.Fault for a file that
// it cannot read.
func NewJudge(decode func(path string) (*spine.Picture, error), reader Reader, rules Rules, log *slog.Logger) *Judge {
	return &Judge{decode: decode, reader: reader, rules: rules, log: log, turn: make(chan struct{}, 1)}
}

// Verdict is what the judge found in one file.
type Verdict struct {
	Picture  *spine.Picture // nil when the file could not be decoded
	Readings []spine.Reading
	Decision spine.Decision
	Timings  spine.Timings // Total is left to the caller
}

// Judge gives the verdict on the file at path. Whatever goes wrong with the
// file, the network or the time limit is a verdict; the error is only ever
// that of ctx, which ends the wait for the turn. Once begun, a judgement is
// finished within the limit even if ctx ends: the image in hand is answered.
func (j *Judge) Judge(ctx context.Context, path string) (Verdict, error) {
	select {
	case j.turn <- struct{}{}:
	case <-ctx.Done():
		return Verdict{}, ctx.Err()
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), j.rules.Limit)
	defer stop()
	finished := make(chan Verdict, 1)
	go func() {
		defer func() { <-j.turn }()
		finished <- j.work(ctx, path)
	}()
	select {
	case v := <-finished:
		return v, nil
	case <-ctx.Done():
		late := spine.Faultf(spine.Timeout, "not done after %s", j.rules.Limit)
		return Verdict{Decision: decline(late)}, nil
	}
}

// work does the judging in order; the first step that objects decides.
func (j *Judge) work(ctx context.Context, path string) (v Verdict) {
	defer func() {
		// A decoder that panics on one stranger's file must not take the
		// service, and the next patient's image, down with it.
		if cause := recover(); cause != nil {
			j.log.Error("an image's processing panicked", "cause", cause, "stack", string(debug.Stack()))
			v.Decision = decline(fmt.Errorf("panic: %v", cause))
		}
	}()
	began := time.Now()
	picture, err := j.decode(path)
	v.Timings.Decode = milliseconds(time.Since(began))
	if err != nil {
		v.Decision = decline(err)
		return v
	}
	v.Picture = picture
	if err := j.rules.Gate.check(picture); err != nil {
		v.Decision = decline(err)
		return v
	}
	if ctx.Err() != nil { // the limit went by while decoding: spare the network
		v.Decision = decline(spine.Faultf(spine.Timeout, "decoding took longer than %s", j.rules.Limit))
		return v
	}
	reading, timings, err := j.reader.Read(ctx, picture, j.rules.Method)
	v.Timings.Infer, v.Timings.Explain = timings.Infer, timings.Explain
	if err != nil {
		v.Decision = decline(err)
		return v
	}
	v.Decision = decide(reading, j.reader.Confidence())
	if v.Decision.Outcome != spine.Failed {
		v.Readings = []spine.Reading{*reading}
	}
	return v
}

// check returns the refusal for a picture that is no X-ray or too small.
func (g Gate) check(p *spine.Picture) error {
	shape := float64(max(p.Width, p.Height)) / float64(max(min(p.Width, p.Height), 1))
	switch {
	case p.Facts.Hues > g.MaxHues:
		return spine.Faultf(spine.NotXray, "colours of several tints (%.2f, an X-ray has at most %.2f)", p.Facts.Hues, g.MaxHues)
	case min(p.Width, p.Height) < g.MinSide:
		return spine.Faultf(spine.TooSmall, "%d by %d pixels, the shorter side must have %d", p.Width, p.Height, g.MinSide)
	case g.MaxShape > 0 && shape > g.MaxShape:
		return spine.Faultf(spine.NotXray, "%d by %d pixels is no X-ray's shape", p.Width, p.Height)
	case contrast(p) < g.MinContrast:
		return spine.Faultf(spine.NotXray, "the picture is empty: all of it has the same grey")
	}
	return nil
}

// contrast is the difference between the 1st and the 99th percentile of the
// grey values on a grid of 64 by 64 places.
func contrast(p *spine.Picture) float64 {
	const grid = 64
	var sample []float32
	for y := range grid {
		for x := range grid {
			sample = append(sample, p.Pix[(2*y+1)*p.Height/(2*grid)*p.Width+(2*x+1)*p.Width/(2*grid)])
		}
	}
	slices.Sort(sample)
	last := len(sample) - 1
	return float64(sample[last*99/100] - sample[last/100])
}

// decide turns a reading into an answer or a refusal. A model without an
// explain signature has no heatmap and is answered without one; a heatmap that
// should be there and shows nothing withholds the answer.
func decide(reading *spine.Reading, confidence float64) spine.Decision {
	probability := reading.Probability()
	switch {
	case !finite(reading):
		return decline(errors.New("the network's output is not a number"))
	case reading.Heatmap != nil && reading.Heatmap.Empty():
		return decline(spine.Faultf(spine.HeatmapEmpty, "the class activation map is all zero"))
	case probability < confidence:
		return decline(spine.Faultf(spine.LowConfidence, "probability %.3f, the model answers from %.3f", probability, confidence))
	}
	return spine.Decision{Outcome: spine.Classified, Label: reading.Label}
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

// decline returns the refusal or failure that err stands for.
func decline(err error) spine.Decision {
	code := spine.CodeOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		code = spine.Timeout
	}
	reason := err.Error()
	if f, ok := errors.AsType[*spine.Fault](err); ok {
		reason = f.Reason
	}
	return spine.Decision{Outcome: code.Outcome(), Code: code, Reason: reason}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
