package look

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"spinebox/explain"
	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/regions"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// Maps of all networks are brought onto one grid over the picture before they
// are measured: fine enough for a vertebra, and upright as spines are.
const gridWidth, gridHeight = 64, 128

// Options of Fold.
type Options struct {
	Dir     string       // the fold's folder, which gets the figures
	Model   string       // the model's folder; "" is model/ in Dir
	Held    *dataset.Set // the pictures to look at
	Fit     *dataset.Set // those whose regions make the average one; nil is none
	Regions *regions.Set // nil is none: what needs a region is left out
	Seed    uint64       // of the random weights
	Threads int          // with 1, the same seed gives the same bytes
	// Faithful is how many of the pictures get insertion and deletion, which
	// ask the network 41 times each; 0 is all, below 0 none. Those with the
	// least SHA-256 are taken: by chance, and the same ones for every network.
	Faithful int
	// Probe is how many pictures the probe set has; 0 is 12.
	Probe int
	// Progress is told how many runs of the network are done, of how many.
	Progress func(done, total int)
}

func (o Options) model() string {
	if o.Model == "" {
		return filepath.Join(o.Dir, "model")
	}
	return o.Model
}

func (o Options) faithful() int {
	if o.Faithful == 0 {
		return len(o.Held.Items)
	}
	return min(max(o.Faithful, 0), len(o.Held.Items))
}

// Fold lets the model look at the held-out pictures the way the box does,
// measures where it looked, and writes the tables and overlays/ into the fold's
// folder, judged.json last. What an earlier judgement left there is replaced.
func Fold(ctx context.Context, o Options) (rows *Rows, err error) {
	start := time.Now()
	if err := o.clear(); err != nil {
		return nil, err
	}
	j, err := o.judge()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	rows = new(Rows)
	if rows.Maps, rows.Floors, err = j.heldOut(ctx); err != nil {
		return nil, err
	}
	probe, err := j.probe(ctx)
	if err != nil {
		return nil, err
	}
	for i, p := range probe {
		rows.Probe = append(rows.Probe, Probed{i, scaled(p.plane)})
	}
	if rows.Sanity, err = j.sanity(ctx, probe); err != nil {
		return nil, err
	}
	judged := Judged{
		Model: j.model.Description().Digest(), Held: o.Held.Digest(), Regions: j.places.digest(),
		Seed: o.Seed, Faithful: o.faithful(), Seconds: time.Since(start).Seconds(), FaithfulSeconds: j.faithful.Seconds(),
	}
	if o.Fit != nil {
		judged.Fit = o.Fit.Digest()
	}
	return rows, rows.write(o.Dir, judged)
}

// clear takes away what says that the fold is judged, and the overlays.
func (o Options) clear() error {
	if err := os.Remove(filepath.Join(o.Dir, judgedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	overlays := filepath.Join(o.Dir, overlaysDir)
	return errors.Join(os.RemoveAll(overlays), os.MkdirAll(overlays, 0o755))
}

// judge is a fold that is being judged.
type judge struct {
	Options
	model     *infer.Model // as the box runs it
	plain     *infer.Model // the same, for other weights
	untrained *infer.Altered
	places    *places
	average   relevance.Plane // zeros without regions

	progress sync.Mutex
	done     int
	faithful time.Duration // spent on insertion and deletion
}

func (o Options) judge() (*judge, error) {
	model, err := infer.Open(o.model(), infer.Options{Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	plain := model
	if !model.Plain() {
		if plain, err = infer.Open(o.model(), infer.Options{Threads: o.Threads, Plain: true}); err != nil {
			return nil, errors.Join(err, model.Close())
		}
	}
	j := &judge{Options: o, model: model, plain: plain}
	if err := j.prepare(); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

func (j *judge) close() error { return errors.Join(j.model.Close(), j.plain.Close()) }

func (j *judge) prepare() (err error) {
	if !j.model.Heatmaps() {
		return fmt.Errorf("model %s has no explain signature: where it looks cannot be measured", j.Options.model())
	}
	if j.untrained, err = j.plain.With(initial(j.model.Description(), j.Seed)); err != nil {
		return err
	}
	if j.places, err = newPlaces(j.Regions, j.Held, j.Fit); err != nil {
		return err
	}
	j.average, err = relevance.Average(j.places.fit)
	return err
}

// runs is how often the network is asked in all.
func (j *judge) runs() int {
	return 2*len(j.Held.Items) + j.Options.faithful()*relevance.Asked + j.probeCount() + len(layers(j.model.Description()))*j.sanityCount()
}

// ran counts runs of the network.
func (j *judge) ran(n int, faithful time.Duration) {
	j.progress.Lock()
	defer j.progress.Unlock()
	j.done += n
	j.faithful += faithful
	if j.Progress != nil {
		j.Progress(j.done, j.runs())
	}
}

// looked is what one held-out picture came to.
type looked struct {
	m      Map
	floors []Floor
}

func (j *judge) heldOut(ctx context.Context) ([]Map, []Floor, error) {
	sampled := map[string]bool{}
	for _, item := range j.Held.Items[:j.Options.faithful()] {
		sampled[item.SHA256] = true
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all, err := dataset.Decode(j.Held, max(j.Threads, 1), func(item dataset.Item) (l looked, err error) {
		defer func() {
			if err != nil {
				stop() // the others would take minutes, for nothing
			}
		}()
		if err := ctx.Err(); err != nil {
			return l, err
		}
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return l, err
		}
		return j.look(ctx, item, p, sampled[item.SHA256])
	}, func() {})
	if err != nil {
		return nil, nil, err
	}
	var maps []Map
	var floors []Floor
	for _, l := range all {
		maps, floors = append(maps, l.m), append(floors, l.floors...)
	}
	return maps, floors, nil
}

func (j *judge) look(ctx context.Context, item dataset.Item, p *spine.Picture, faithful bool) (looked, error) {
	place, err := j.places.of(item.SHA256, p)
	if err != nil {
		return looked{}, err
	}
	r, _, err := j.model.Read(ctx, p, explain.MethodGradCAM)
	if err != nil {
		return looked{}, err
	}
	l := looked{m: Map{SHA256: item.SHA256, Label: item.Label, Answer: r.Label, Empty: r.Heatmap.Empty(), Region: place.kind}}
	if l.m.Figures, err = place.heatmap(r.Heatmap); err != nil {
		return looked{}, err
	}
	if l.floors, err = j.floors(ctx, item.SHA256, p, place, r.Heatmap.Content); err != nil {
		return looked{}, err
	}
	if err := writeOverlay(j.Dir, item.SHA256, p, r.Heatmap, place); err != nil {
		return looked{}, err
	}
	j.ran(2, 0)
	if faithful {
		start := time.Now()
		if err := j.probability(ctx, p, r, l.m.Figures); err != nil {
			return looked{}, err
		}
		j.ran(relevance.Asked, time.Since(start))
	}
	return l, nil
}

// floors measures the maps that know nothing on the same picture. Of padding,
// the uniform map has as much as there is, and the two that are drawn on the
// picture alone have none to speak of.
func (j *judge) floors(ctx context.Context, sha256 string, p *spine.Picture, place place, content spine.Rect) ([]Floor, error) {
	var floors []Floor
	for _, f := range []struct {
		kind  FloorKind
		plane relevance.Plane
	}{
		{Uniform, relevance.Uniform(gridWidth, gridHeight)},
		{Centred, relevance.Centred(gridWidth, gridHeight)},
		{Average, j.average},
	} {
		if len(f.plane.Values) == 0 {
			continue // no region to make an average of
		}
		figures, err := place.measure(f.plane)
		if err != nil {
			return nil, err
		}
		if f.kind == Uniform {
			figures[Padding] = 1 - (content.X1-content.X0)*(content.Y1-content.Y0)
		}
		floors = append(floors, Floor{f.kind, sha256, figures})
	}
	h, err := j.untrained.Heatmap(ctx, p, "", explain.MethodGradCAM)
	if err != nil {
		return nil, err
	}
	figures, err := place.heatmap(h)
	return append(floors, Floor{Untrained, sha256, figures}), err
}
