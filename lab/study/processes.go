package study

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"spinebox/lab/train"
)

// Processes runs the folds that are left, each in a process of its own: no
// state crosses from one to the next, and one that dies takes no other along.
type Processes struct {
	Study    *Study
	Parallel int // how many at once
	// Command makes the process of one task, which has to call RunFold and to
	// write what it reports to its standard output.
	Command func(task int) *exec.Cmd
	// Watch is called after each change, one call at a time.
	Watch func(Event)

	mu    sync.Mutex
	clock *clock
}

// Event is a change in one task, and how the whole stands after it.
type Event struct {
	Task    Task
	What    What
	Err     error // for Failed
	Overall Overall
}

// What happened to a task.
type What int

const (
	Started What = iota
	Advanced
	Ended
	Failed
)

// Report is a line that the process of a fold writes for the one that has
// started it: an epoch is over, or some more is measured.
type Report struct {
	Epoch    int     `json:"epoch,omitempty"`
	Epochs   int     `json:"epochs,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
	Loss     float64 `json:"loss,omitempty"`
	Accuracy float64 `json:"validation_accuracy,omitempty"`
	Measured float64 `json:"measured,omitempty"` // of where the network looked, 0 to 1
}

// Reporting returns a fold's progress that writes reports.
func Reporting(w io.Writer, epochs int) Progress {
	encoder, measured := json.NewEncoder(w), 0.0
	report := func(r Report) { _ = encoder.Encode(r) } // perhaps nobody listens any more
	var p Progress
	p.Epoch = func(e train.Epoch, _ bool) {
		report(Report{Epoch: e.Epoch, Epochs: epochs, Seconds: e.Seconds, Loss: e.Loss, Accuracy: e.Accuracy})
	}
	p.Measured = func(done, total int) {
		if share := float64(done) / float64(total); share >= measured+0.01 {
			measured = share
			report(Report{Measured: share})
		}
	}
	return p
}

// RunAll runs every task that is not finished. One that fails does not stop the
// others; the error names all that did. When ctx ends, those at work save what
// they have, and the error is ErrStopped.
func (p *Processes) RunAll(ctx context.Context) error {
	left, err := p.left()
	if err != nil || len(left) == 0 {
		return err
	}
	if err := p.Study.checkPictures(p.Study.Data); err != nil {
		return err
	}
	if err := errors.Join(p.Study.needBackbones(), p.Study.keepRegions()); err != nil {
		return err
	}
	queue := make(chan int)
	go func() {
		defer close(queue)
		for _, i := range left {
			select {
			case queue <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	var workers sync.WaitGroup
	failed := map[int]error{}
	for range max(p.Parallel, 1) {
		workers.Go(func() {
			for i := range queue {
				if err := p.run(ctx, i); err != nil && ctx.Err() == nil {
					p.mu.Lock()
					failed[i] = err
					p.mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return ErrStopped
	}
	return p.summary(failed)
}

// left lists the indexes of the tasks that are not finished, and sets the clock.
func (p *Processes) left() ([]int, error) {
	var left []int
	var err error
	if p.clock, err = newClock(p.Study, p.Parallel); err != nil {
		return nil, err
	}
	for i, t := range p.Study.Tasks {
		stage, err := p.Study.stage(t)
		if err != nil {
			return nil, err
		}
		if stage < Finished {
			left = append(left, i)
		}
	}
	return left, nil
}

func (p *Processes) summary(failed map[int]error) error {
	if len(failed) == 0 {
		return nil
	}
	var text strings.Builder
	for i, t := range p.Study.Tasks {
		if err := failed[i]; err != nil {
			fmt.Fprintf(&text, "\n  %s: %s", t, strings.ReplaceAll(err.Error(), "\n", "\n    "))
		}
	}
	return fmt.Errorf("%d of %d folds failed:%s\nhint: what they have trained is kept; the same command tries them again", len(failed), len(p.Study.Tasks), &text)
}

// run runs the process of one task to its end.
func (p *Processes) run(ctx context.Context, index int) error {
	t := p.Study.Tasks[index]
	p.tell(Event{Task: t, What: Started}, func() { p.clock.start(t) })
	err := p.process(ctx, index)
	switch {
	case err == nil:
		p.tell(Event{Task: t, What: Ended}, func() { p.clock.end(t, true) })
	case ctx.Err() == nil:
		p.tell(Event{Task: t, What: Failed, Err: err}, func() { p.clock.end(t, false) })
	}
	return err
}

func (p *Processes) tell(e Event, change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	e.Overall = p.clock.overall()
	if p.Watch != nil {
		p.Watch(e)
	}
}

func (p *Processes) process(ctx context.Context, index int) error {
	t := p.Study.Tasks[index]
	dir := filepath.Join(p.Study.Dir, t.Path())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	var said tail
	cmd := p.Command(index)
	cmd.Stderr = io.MultiWriter(&said, log)
	// A Ctrl-C is for this process alone, which then asks the others; and none
	// of them outlives it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var r Report
		if err := json.Unmarshal(lines.Bytes(), &r); err == nil {
			p.tell(Event{Task: t, What: Advanced}, func() { p.clock.advance(t, r) })
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return errors.New(strings.TrimPrefix(said.sentence(exit), t.String()+": "))
	}
	return err
}

// tail keeps the last that a process has said.
type tail struct{ said []byte }

func (t *tail) Write(b []byte) (int, error) {
	const enough = 4096
	t.said = append(t.said, b...)
	t.said = slices.Clone(t.said[max(0, len(t.said)-enough):])
	return len(b), nil
}

// sentence returns the error that the process ended with: what it has said from
// its own name on, or how it ended when it said nothing.
func (t *tail) sentence(exit *exec.ExitError) string {
	if exit.ExitCode() < 0 {
		return fmt.Sprintf("its process was ended from outside (%v): perhaps the memory did not suffice\nhint: --parallel 1 takes less", exit)
	}
	said := append([]byte("\n"), t.said...)
	if i := bytes.LastIndex(said, []byte("\nspinelab: ")); i >= 0 {
		said = said[i+len("\nspinelab: "):]
	}
	return cmp.Or(strings.TrimSpace(string(said)), exit.Error())
}
