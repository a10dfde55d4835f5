package study

import (
	"path/filepath"
	"slices"
	"time"

	"spinebox/lab/look"
	"spinebox/lab/train"
)

// Overall is how a study stands.
type Overall struct {
	Finished, Failed, Total int
	Running                 []Running
	// Left is the time until the last fold is finished. It is known when an
	// epoch of each kind has been measured.
	Left  time.Duration
	Known bool
}

// Running is a fold at work.
type Running struct {
	Task          Task
	Epoch, Epochs int     // epochs that are over, of how many at most
	Measured      float64 // of where the network looked, 0 to 1
}

// clock knows how long an epoch of each variant takes, and from that how long
// all that is left will.
type clock struct {
	study    *Study
	parallel int
	epoch    map[Task]int // that are over
	measured map[Task]float64
	done     map[Task]bool
	failed   map[Task]bool
	running  []Task
	spent    map[Variant]pace // on epochs
	looked   map[Variant]pace // on whole folds
}

// pace is the time that so many took.
type pace struct {
	n       int
	seconds float64
}

func (p pace) and(n int, seconds float64) pace { return pace{p.n + n, p.seconds + seconds} }

// newClock looks at what is there. Folds that are finished tell what an epoch
// takes before the first one of this start is over.
func newClock(s *Study, parallel int) (*clock, error) {
	c := &clock{
		study: s, parallel: max(parallel, 1), epoch: map[Task]int{}, measured: map[Task]float64{},
		done: map[Task]bool{}, failed: map[Task]bool{}, spent: map[Variant]pace{}, looked: map[Variant]pace{},
	}
	for _, t := range s.Tasks {
		dir := filepath.Join(s.Dir, t.Path())
		stage, err := stageOf(dir)
		if err != nil {
			return nil, err
		}
		c.epoch[t] = lastEpoch(dir)
		if stage < Trained {
			continue
		}
		result, err := readDone(dir)
		if err != nil {
			return nil, err
		}
		c.spent[t.Variant] = c.spent[t.Variant].and(c.epoch[t], result.Seconds)
		if stage == Finished {
			c.done[t] = true
			c.look(t)
		}
	}
	return c, nil
}

// look notes how long it took to measure where a finished fold's network looked.
func (c *clock) look(t Task) {
	if judged, err := look.ReadJudged(filepath.Join(c.study.Dir, t.Path())); err == nil {
		c.looked[t.Variant] = c.looked[t.Variant].and(1, judged.Seconds)
	}
}

func (c *clock) start(t Task) { c.running = append(c.running, t) }

func (c *clock) advance(t Task, r Report) {
	if r.Measured > 0 {
		c.measured[t] = r.Measured
		return
	}
	c.epoch[t] = r.Epoch
	c.spent[t.Variant] = c.spent[t.Variant].and(1, r.Seconds)
}

func (c *clock) end(t Task, well bool) {
	c.running = slices.DeleteFunc(c.running, func(other Task) bool { return other == t })
	c.done[t], c.failed[t] = well, !well
	if well {
		c.look(t)
	}
}

func (c *clock) overall() Overall {
	o := Overall{Total: len(c.study.Tasks), Known: true}
	var seconds float64
	for _, t := range c.study.Tasks {
		switch {
		case c.done[t]:
			o.Finished++
		case c.failed[t]:
			o.Failed++
		default:
			each, known := c.left(t)
			seconds += each
			o.Known = o.Known && known
		}
	}
	for _, t := range c.running {
		o.Running = append(o.Running, Running{t, c.epoch[t], c.study.training(t).Epochs, c.measured[t]})
	}
	o.Left = time.Duration(seconds / float64(c.parallel) * float64(time.Second)).Round(time.Second)
	return o
}

// left is the time that a task takes from here on, in seconds.
func (c *clock) left(t Task) (seconds float64, known bool) {
	p, slowest := c.looked[t.Variant], 0.0
	for _, other := range c.looked {
		slowest = max(slowest, other.seconds/float64(other.n))
	}
	if p.n > 0 {
		slowest = p.seconds / float64(p.n)
	}
	looking := slowest * (1 - c.measured[t])
	if c.measured[t] > 0 { // trained, perhaps in fewer epochs
		return looking, true
	}
	each, known := c.secondsPerEpoch(t.Variant)
	return looking + each*float64(max(c.study.training(t).Epochs-c.epoch[t], 0)), known
}

// secondsPerEpoch of the variant as measured; before it is, of the dearest of
// the others. A head on features takes nothing to speak of.
func (c *clock) secondsPerEpoch(v Variant) (seconds float64, known bool) {
	for other, p := range c.spent {
		switch each := p.seconds / float64(max(p.n, 1)); {
		case p.n == 0:
		case other == v:
			return each, true
		case other.Method != train.Features:
			seconds = max(seconds, each)
		}
	}
	if v.Method == train.Features {
		return 0, true
	}
	return seconds, seconds > 0
}
