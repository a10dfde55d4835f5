package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/gate"
)

// Rules are what decides about one picture, apart from the network itself.
type Rules struct {
	Gate   gate.Rules
	Method explain.Method // of the heatmap
	Limit  time.Duration  // for decoding and reading one image together

	// Network is the longest that the network alone may read; 0 leaves it to
	// Limit. A run inside TensorFlow cannot be interrupted: Stuck, which may be
	// nil, is called when one is given up, and the reader stays taken.
	Network time.Duration
	Stuck   func()
}

// Decoder turns the file at path into a picture. It MUST return a spine.Fault
// for a file that it cannot read; any other error counts as the box's own. It
// is called with one file at a time, and MAY go on after ctx is done: the next
// file waits for it.
type Decoder func(ctx context.Context, path string) (*spine.Picture, error)

// Judge decodes one file, asks the network and decides. It keeps nothing and
// writes nothing, so that one-shot commands and the service decide alike.
//
// It works in two stages, so that one image is decoded while the network reads
// others: up to abreast of them. More than one decoded picture never waits for the
// network: each takes up to 160 MB.
type Judge struct {
	decode  Decoder
	readers Readers
	rules   Rules
	log     *slog.Logger

	decoding, reading turn
}

// abreast is how many images the network reads at once: while one is between two of
// its operations, or waits for a core that decodes, the other has the cores
// (docs/decisions/inference-speed.md).
const abreast = 2

// NewJudge returns a judge.
func NewJudge(decode Decoder, readers Readers, rules Rules, log *slog.Logger) *Judge {
	return &Judge{decode: decode, readers: readers, rules: rules, log: log, decoding: make(turn, 1), reading: make(turn, abreast)}
}

// Verdict is what the judge found in one file.
type Verdict struct {
	Picture  *spine.Picture // nil when the file could not be decoded
	Readings []spine.Reading
	Decision spine.Decision
	Timings  spine.Timings // Total is left to the caller

	trouble error // the box's own, which is no word about the image
}

// Judge gives the verdict on the file at path. Whatever goes wrong with the
// file, the network or the time limit is a verdict; the error is that of ctx,
// which ends the wait for a stage that another image holds, or spine.ErrBox. A
// stage that has begun is finished within the limit even if ctx ends.
//
// The limit is for both stages together. Waiting for them does not count.
func (j *Judge) Judge(ctx context.Context, path string) (Verdict, error) {
	return j.judge(ctx, path, false, func() func() { return func() {} })
}

// judge is Judge for somebody who wants to know when the network begins to read
// (the picture waits for it) and when it has ended. An image may be read alone.
func (j *Judge) judge(ctx context.Context, path string, alone bool, begin func() (end func())) (Verdict, error) {
	if ctx.Err() != nil {
		return Verdict{}, ctx.Err()
	}
	if err := j.decoding.take(ctx); err != nil {
		return Verdict{}, err
	}
	began := time.Now()
	v, inTime := within(j.rules.Limit, j.decoding.give, func(ctx context.Context) Verdict {
		return j.guard(func(v *Verdict) error { return j.see(ctx, path, v) })
	})
	if !inTime {
		return Verdict{Decision: at(spine.Decode, j.late())}, nil
	}
	if v.trouble != nil {
		j.decoding.give()
		return Verdict{}, v.trouble
	}
	v.Decision = at(spine.Decode, v.Decision)
	left := j.rules.Limit - time.Since(began)
	if v.Decision.Outcome == "" && left <= 0 {
		v.Decision = at(spine.Decode, j.late())
	}
	if v.Decision.Outcome != "" {
		j.decoding.give()
		return v, nil
	}
	done, err := j.mayRead(ctx, alone)
	j.decoding.give()
	if err != nil {
		return Verdict{}, err
	}
	if j.rules.Network > 0 {
		left = min(left, j.rules.Network)
	}
	read, inTime := within(left, done, func(ctx context.Context) Verdict {
		return j.guard(func(r *Verdict) error {
			defer begin()()
			return j.ask(ctx, v.Picture, r)
		})
	})
	if !inTime {
		read = Verdict{Decision: decline(spine.Faultf(spine.Timeout, "the network did not answer within %s", left.Round(time.Millisecond)))}
		if j.rules.Stuck != nil {
			j.rules.Stuck()
		}
	} else {
		done()
	}
	read.Decision = at(spine.Network, read.Decision)
	read.Picture, read.Timings.Decode = v.Picture, v.Timings.Decode
	return read, nil
}

// mayRead waits until the network may read the image, with others or alone, and
// returns what is to be called when it has done so. The image is in the first stage
// still: it is the only one that waits, so that no two gather turns.
func (j *Judge) mayRead(ctx context.Context, alone bool) (done func(), err error) {
	need, taken := 1, 0
	if alone {
		need = abreast
	}
	done = func() {
		for range taken {
			j.reading.give()
		}
	}
	for ; taken < need; taken++ {
		if err := j.reading.take(ctx); err != nil {
			done()
			return nil, err
		}
	}
	return done, nil
}

// at adds to a failure the stage in which it came about.
func at(stage spine.Stage, d spine.Decision) spine.Decision {
	if d.Outcome == spine.Failed {
		d.Stage = stage
	}
	return d
}

func (j *Judge) late() spine.Decision {
	return decline(spine.Faultf(spine.Timeout, "not done after %s", j.rules.Limit))
}

// guard runs one stage and turns what objects in it into its decision. A
// decoder that panics on one stranger's file must not take the service, and
// the next patient's image, down with it.
func (j *Judge) guard(stage func(*Verdict) error) (v Verdict) {
	defer func() {
		if cause := recover(); cause != nil {
			j.log.Error("an image's processing panicked", "cause", cause, "stack", string(debug.Stack()))
			v.Decision = decline(fmt.Errorf("panic: %v", cause))
		}
	}()
	switch err := stage(&v); {
	case errors.Is(err, spine.ErrBox):
		v.trouble = err
	case err != nil:
		v.Decision = decline(err)
	}
	return v
}

// see is the first stage: it decodes the file and asks the gate.
func (j *Judge) see(ctx context.Context, path string, v *Verdict) (err error) {
	began := time.Now()
	v.Picture, err = j.decode(ctx, path)
	v.Timings.Decode = milliseconds(time.Since(began))
	if err != nil {
		return err
	}
	return j.rules.Gate.Check(v.Picture)
}

// ask is the second stage: the networks read the picture, and the answer is
// decided.
func (j *Judge) ask(ctx context.Context, p *spine.Picture, v *Verdict) error {
	readings, timings, err := j.readers.Read(ctx, p, j.rules.Method)
	v.Timings.Infer, v.Timings.Explain = timings.Infer, timings.Explain
	if err != nil {
		return err
	}
	v.Decision = j.readers.decide(readings)
	// What a network for spines makes of something else is no reading of it.
	if v.Decision.Outcome != spine.Failed && v.Decision.Code != spine.NotSpine {
		v.Readings = readings
	}
	return nil
}

// turn holds a token for each image that is in a stage. Work that outlives its
// limit keeps the token, so stragglers never pile up; if it never ends, nothing
// beats any more and the watchdog restarts the box, whose ledger already holds
// the straggler's failure.
type turn chan struct{}

// take waits for the turn until ctx ends. A turn that is free is taken even
// then: an image in hand is finished.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// within runs work, whose turn the caller has taken, and waits for it for no
// longer than the limit. After work that came too late it gives the turn back.
func within(limit time.Duration, give func(), work func(context.Context) Verdict) (v Verdict, inTime bool) {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	finished := make(chan Verdict)
	go func() {
		v := work(ctx)
		select {
		case finished <- v:
		case <-ctx.Done():
			give()
		}
	}()
	select {
	case v = <-finished:
		return v, true
	case <-ctx.Done():
		return Verdict{}, false
	}
}

// decline returns the refusal or failure that err stands for.
func decline(err error) spine.Decision {
	code := spine.CodeOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		code = spine.Timeout
	}
	d := spine.Decision{Outcome: code.Outcome(), Code: code, Reason: err.Error()}
	if f, ok := errors.AsType[*spine.Fault](err); ok {
		d.Reason, d.Foreign = f.Reason, f.Foreign
	}
	return d
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
