package study

import (
	"path/filepath"
	"slices"
	"time"

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
	Epoch, Epochs int // epochs that are over, of how many at most
}

// clock knows how long an epoch of each variant takes, and from that how long
// all that is left will.
type clock struct {
	study    *Study
	parallel int
	epoch    map[Task]int // that are over
	done     map[Task]bool
	failed   map[Task]bool
	running  []Task
	spent    map[Variant]pace
}

// pace is time measured on so many epochs.
type pace struct {
	epochs  int
	seconds float64
}

// newClock looks at what is there. Folds that are finished tell what an epoch
// takes before the first one of this start is over.
func newClock(s *Study, parallel int) (*clock, error) {
	c := &clock{study: s, parallel: max(parallel, 1), epoch: map[Task]int{}, done: map[Task]bool{}, failed: map[Task]bool{}, spent: map[Variant]pace{}}
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
		c.done[t] = stage == Finished
		c.add(t.Variant, c.epoch[t], result.Seconds)
	}
	return c, nil
}

func (c *clock) add(v Variant, epochs int, seconds float64) {
	p := c.spent[v]
	c.spent[v] = pace{p.epochs + epochs, p.seconds + seconds}
}

func (c *clock) start(t Task) { c.running = append(c.running, t) }

func (c *clock) advance(t Task, r Report) {
	c.epoch[t] = r.Epoch
	c.add(t.Variant, 1, r.Seconds)
}

func (c *clock) end(t Task, well bool) {
	c.running = slices.DeleteFunc(c.running, func(other Task) bool { return other == t })
	c.done[t], c.failed[t] = well, !well
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
			left := c.study.training(t).Epochs - c.epoch[t]
			each, known := c.secondsPerEpoch(t.Variant)
			seconds += float64(max(left, 0)) * each
			o.Known = o.Known && known
		}
	}
	for _, t := range c.running {
		o.Running = append(o.Running, Running{t, c.epoch[t], c.study.training(t).Epochs})
	}
	o.Left = time.Duration(seconds / float64(c.parallel) * float64(time.Second)).Round(time.Second)
	return o
}

// secondsPerEpoch of the variant as measured; before it is, of the dearest of
// the others. A head on features takes nothing to speak of.
func (c *clock) secondsPerEpoch(v Variant) (seconds float64, known bool) {
	for other, p := range c.spent {
		switch each := p.seconds / float64(max(p.epochs, 1)); {
		case p.epochs == 0:
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
