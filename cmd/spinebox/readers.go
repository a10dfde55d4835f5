package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/slots"
	"spinebox/runtime/infer"
	"spinebox/runtime/pipeline"
)

// readers are the box's one or two networks, opened.
type readers struct {
	pipeline.Readers
	opened []reader
	way    string // how two of them read, for people; empty for one
}

// heatmapReaders and readingOrders are what models.heatmap and models.order
// may say.
func heatmapReaders() []string { return []string{"first", "second", "both"} }
func readingOrders() []string  { return []string{"measured", "together", "in-turn"} }

// errModel says that there is no model that may be run. A service that was
// started again would find the same.
var errModel = errors.New("no model can be run")

// inferOptions are those of the session of one of n readers, the first being
// 0. One who reads alone always shows where it looked.
func (c *config) inferOptions(reader, n int) infer.Options {
	other := map[string]int{"first": 1, "second": 0} // who then has no heatmap
	without, one := other[c.Models.Heatmap]
	return infer.Options{
		Threads: c.Inference.Threads, GPU: c.Inference.GPU, AllowGrowth: c.Inference.MemoryGrowth, Frozen: true,
		NoHeatmaps: n > 1 && one && without == reader,
	}
}

// processor is what the networks run on.
func (c *config) processor() string {
	if on, err := c.inferOptions(0, 1).OnGPU(); err == nil && on {
		return "GPU"
	}
	return "CPU"
}

// modelFolders returns the folders of the one or two readers' models: those
// that the configuration names, or the active ones of those that are installed.
func (c *config) modelFolders() ([]string, error) {
	if c.Models.Path != "" {
		return slices.DeleteFunc([]string{c.Models.Path, c.Models.Second}, func(dir string) bool { return dir == "" }), nil
	}
	first, err := c.slots().Active(slots.First)
	if errors.Is(err, slots.ErrEmpty) {
		return nil, withHint(err, "install one with `spinebox model install DIR --activate`, or name a folder in models.path or with --model")
	}
	if err != nil {
		return nil, err
	}
	second, err := c.slots().Active(slots.Second)
	if errors.Is(err, slots.ErrEmpty) {
		return []string{first}, nil
	}
	return []string{first, second}, err
}

// openReaders loads the box's models and settles how two of them read. Every
// error is errModel, and without a model folder description.ErrMissing, too.
func openReaders(ctx context.Context, c *config) (readers, error) {
	folders, err := c.modelFolders()
	if err != nil {
		return readers{}, fmt.Errorf("%w: %w", errModel, err)
	}
	var r readers
	for i, dir := range folders {
		m, err := openReader(c, dir, c.inferOptions(i, len(folders)))
		if err != nil {
			return readers{}, errors.Join(err, r.Close())
		}
		r = r.with(i, m)
	}
	if err := r.settle(ctx, c); err != nil {
		return readers{}, errors.Join(fmt.Errorf("%w: %w", errModel, err), r.Close())
	}
	return r, nil
}

// with returns the readers with another one in the place i, or added there.
func (r readers) with(i int, m reader) readers {
	r.opened = append(slices.Clone(r.opened[:i]), append([]reader{m}, r.opened[min(i+1, len(r.opened)):]...)...)
	r.List = nil
	for _, m := range r.opened {
		r.List = append(r.List, m)
	}
	return r
}

func openReader(c *config, dir string, o infer.Options) (reader, error) {
	m, err := infer.Open(dir, o)
	if errors.Is(err, description.ErrMissing) {
		return reader{}, withHint(fmt.Errorf("%w: %w", errModel, err), "put a model folder there, or name another in models.path or with --model")
	}
	if err != nil {
		return reader{}, withHint(fmt.Errorf("%w: %w", errModel, err), "copy the whole model folder again; `config check` looks at it without starting the service")
	}
	if err := c.allowed(m.Description()); err != nil {
		return reader{}, errors.Join(fmt.Errorf("%w: %w", errModel, err), m.Close())
	}
	return reader{m}, nil
}

// openBehind opens a model that is to take another one's place, if its golden
// cases are answered here as where it was made.
func (c *config) openBehind(ctx context.Context, dir string, o infer.Options, decode pipeline.Decoder) (*infer.Model, error) {
	d, err := description.Read(dir)
	if err == nil {
		err = c.allowed(d)
	}
	if err != nil {
		return nil, err
	}
	m, err := infer.OpenBehind(dir, o, tried(ctx, dir, decode))
	if err != nil {
		return nil, fmt.Errorf("the model %s %s is not used: %w", d.Name, d.Version, err)
	}
	return m, nil
}

// settle decides whether two readers read side by side or one after the other.
func (r *readers) settle(ctx context.Context, c *config) error {
	if len(r.List) < 2 {
		return nil
	}
	ways := map[bool]string{true: "side by side", false: "one after the other"}
	if c.Models.Order != "measured" {
		r.Together = c.Models.Order == "together"
		r.way = ways[r.Together] + ", as configured"
		return nil
	}
	in := r.opened[0].Description().Input
	grey := &spine.Picture{Width: in.Width, Height: in.Height, Pix: make([]float32, in.Width*in.Height)}
	set, together, inTurn, err := r.Faster(ctx, grey, explain.Method(c.Inference.Method))
	if err != nil {
		return err
	}
	r.Readers = set
	r.way = fmt.Sprintf("%s: side by side took %s, one after the other %s",
		ways[r.Together], together.Round(time.Millisecond), inTurn.Round(time.Millisecond))
	return nil
}

// Close closes every network.
func (r readers) Close() error {
	var errs []error
	for _, m := range r.opened {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

func (r readers) ids() []spine.ModelID {
	var ids []spine.ModelID
	for _, m := range r.opened {
		ids = append(ids, m.id())
	}
	return ids
}

// unsigned reports whether nobody vouches for one of the models.
func (r readers) unsigned() bool {
	return slices.ContainsFunc(r.opened, reader.unsigned)
}

// phantom reports whether one of the models was trained on made X-rays.
func (r readers) phantom() bool {
	return slices.ContainsFunc(r.opened, func(m reader) bool { return m.Description().Phantom })
}

// gaps says in words what the models have no limits for.
func (r readers) gaps() []string {
	var gaps []string
	for _, m := range r.opened {
		for _, gap := range m.Description().Gaps() {
			if !slices.Contains(gaps, gap) {
				gaps = append(gaps, gap)
			}
		}
	}
	return gaps
}

// thresholds are everything that decides, by name, beside the networks: the
// fixed rules and each reader's limits.
func (r readers) thresholds(rules pipeline.Rules) map[string]float64 {
	all := rules.Gate.Map()
	for i, m := range r.opened {
		for name, v := range m.Thresholds().Map() {
			all[fmt.Sprintf("%s_%d", name, i+1)] = v
		}
	}
	return all
}
