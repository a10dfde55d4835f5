package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/look"
	"spinebox/lab/regions"
	"spinebox/lab/statistics"
	"spinebox/lab/study"
	"spinebox/models/description"
)

func lookCommand() *cobra.Command {
	o := look.Options{}
	l := looking{}
	cmd := &cobra.Command{
		Use:   "look RUN-OR-MODEL --data DIR",
		Short: "Measure where one trained network looked, and whether its heatmaps can be believed",
		Long: `Measure where one trained network looked: on the held-out pictures of a run of
"spinelab train", or with a model folder on all pictures of --data (with --fold k,
on one of five folds, split with the model's own seed). Figures stand beside floors:
maps that know nothing, and the same network untrained.

The run's folder, or --out, gets heatmaps.csv, floors.csv, sanity.csv, probe.csv,
overlays/ and judged.json. Overlays are X-rays; keep them where the data set is
kept.

Without --regions, regions are those that the data bring along: the truth of a
folder of phantoms, the masks of a list. Without any, what needs a region is left
out.
Insertion and deletion ask the network 41 times for each picture: --faithful
says for how many.`,
		Example: `  spinelab look runs/first --data xrays
  spinelab look runs/first --data xrays --regions regions.json --faithful 20
  spinelab look bought/model --data xrays --out looked --json | jq .summary.right`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Probe < 1 {
				return usageError{errors.New("--probe counts pictures: 1 or more")}
			}
			l.subject = args[0]
			return l.run(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.data, "data", "", "the data set's folder, or a CSV list of pictures")
	f.StringVar(&l.regions, "regions", "", "where to look: a file of regions, or a folder of phantoms")
	f.StringVar(&o.Dir, "out", "", "folder for the figures (default: the run's)")
	f.IntVar(&l.fold, "fold", -1, "with a model folder: look at this fold alone, 0 to 4")
	f.IntVar(&o.Faithful, "faithful", 0, "pictures for insertion and deletion; 0 is all, -1 is none")
	f.IntVar(&o.Probe, "probe", 12, "phantoms in the probe set")
	f.Uint64Var(&o.Seed, "seed", 1, "of the random weights")
	f.IntVar(&o.Threads, "threads", runtime.NumCPU(), "for decoding and for TensorFlow; with 1, the same seed gives the same bytes")
	f.BoolVar(&l.asJSON, "json", false, "print the figures as JSON")
	must(cmd.MarkFlagRequired("data"))
	return cmd
}

// looking is what the command line asks for.
type looking struct {
	subject, data, regions string
	fold                   int
	asJSON                 bool
}

func (l looking) run(cmd *cobra.Command, o look.Options) error {
	set, err := dataset.Read(l.data)
	if err != nil {
		return err
	}
	if err := l.pictures(&o, set); err != nil {
		return err
	}
	if o.Regions, err = knownRegions(l.regions, l.data, set); err != nil {
		return err
	}
	errw := cmd.ErrOrStderr()
	bar := newBar(errw, 1)
	o.Progress = func(done, total int) {
		bar.ChangeMax(total)
		_ = bar.Set(done)
	}
	rows, err := look.Fold(cmd.Context(), o)
	if err = errors.Join(err, bar.Finish()); err != nil {
		return err
	}
	summary := look.Summarise([]*look.Rows{rows}, o.Seed)
	if l.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			Dir     string        `json:"dir"`
			Summary *look.Summary `json:"summary"`
			Use     string        `json:"use"`
		}{o.Dir, summary, spine.IntendedUse})
	}
	return printLooked(cmd.OutOrStdout(), o.Dir, summary)
}

// pictures finds out which of the data set's pictures the subject has not
// learned from.
func (l looking) pictures(o *look.Options, set *dataset.Set) error {
	if _, err := os.Stat(filepath.Join(l.subject, description.FileName)); err != nil {
		parts, err := set.ReadParts(filepath.Join(l.subject, "splits.json"))
		if err != nil {
			return fmt.Errorf("%s is neither a model folder nor a finished run: %w", l.subject, err)
		}
		if l.fold >= 0 {
			return usageError{errors.New("--fold is for a model folder: a run has a fold of its own")}
		}
		o.Model = filepath.Join(l.subject, "model")
		if o.Dir == "" {
			if study.Holds(l.subject) {
				return usageError{errors.New("it is a fold of a study, which measures all its folds alike (spinelab cv --measure-again): --out names another folder for the figures")}
			}
			o.Dir = l.subject
		}
		o.Held, o.Fit = set.Only(parts, dataset.HeldOut), set.Only(parts, dataset.Fit)
		return nil
	}
	if o.Dir == "" {
		return usageError{errors.New("with a model folder, --out names where the figures go: the folder itself is sealed")}
	}
	o.Model, o.Held = l.subject, set
	if l.fold < 0 {
		return nil
	}
	d, err := description.Read(l.subject)
	if err != nil {
		return err
	}
	parts, err := set.Split(dataset.Folds, l.fold, d.Training.Seed)
	if err != nil {
		return err
	}
	o.Held, o.Fit = set.Only(parts, dataset.HeldOut), set.Only(parts, dataset.Fit)
	return nil
}

// knownRegions reads the regions that the command line names, or those that the
// data set brings along: masks of a list, the truth of phantoms. It is nil
// where there are none.
func knownRegions(path, data string, set *dataset.Set) (*regions.Set, error) {
	if path != "" {
		return regions.Read(path)
	}
	if slices.ContainsFunc(set.Items, func(i dataset.Item) bool { return i.Mask != "" }) {
		return regions.Of(set)
	}
	if _, err := os.Stat(filepath.Join(data, "truth.jsonl")); err == nil {
		return regions.Read(data)
	}
	return nil, nil
}

func printLooked(w io.Writer, dir string, s *look.Summary) error {
	right, n := s.Right.Pictures, s.All.Pictures
	accuracy := statistics.Wilson(right, n)
	fmt.Fprintf(w, "%s, %d answered right: %.1f %% (95 %% interval %.1f to %.1f)\n",
		english.Plural(n, "picture", ""), right, 100*float64(right)/float64(n), 100*accuracy.Low, 100*accuracy.High)
	fmt.Fprintf(w, "maps that show nothing: %d\n", s.All.Empty)
	if s.Regions[""] == n {
		fmt.Fprintln(w, "no picture has a region: lift and what else needs one is not measured")
	} else {
		fmt.Fprintf(w, "regions, by how far they can be trusted: %s\n", kinds(s.Regions))
	}
	fmt.Fprintln(w, "\nmeans with 95 % intervals, and the floors' means on the same pictures as all:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\tall\tright\twrong\t")
	for _, kind := range look.FloorKinds() {
		fmt.Fprintf(t, "%s\t", kind)
	}
	fmt.Fprintln(t)
	for _, m := range look.Measures() {
		if _, ok := s.All.Figures[m]; !ok {
			continue
		}
		fmt.Fprintf(t, "%s\t", m)
		for _, g := range []look.Group{s.All, s.Right, s.Wrong} {
			fmt.Fprintf(t, "%s\t", withInterval(g.Figures[m]))
		}
		for _, kind := range look.FloorKinds() {
			fmt.Fprintf(t, "%s\t", meanAlone(s.All.Floors[kind][m]))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printSanity(w, s.Sanity)
	_, err := fmt.Fprintf(w, "\n%s\n%s\n", dir, spine.IntendedUse)
	return err
}

// kinds says how many pictures have which kind of region.
func kinds(regions map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(regions)) {
		part := fmt.Sprintf("%d %s", regions[kind], kind)
		if kind == "" {
			part = fmt.Sprintf("%d without", regions[kind])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func withInterval(e look.Estimate) string {
	if e.Interval == nil {
		return meanAlone(e)
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", e.Mean, e.Interval.Low, e.Interval.High)
}

func meanAlone(e look.Estimate) string {
	if e.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", e.Mean)
}

func printSanity(w io.Writer, steps []look.Step) {
	if len(steps) == 0 {
		fmt.Fprintln(w, "\nevery map of the probe set shows nothing: the sanity check has nothing to compare")
		return
	}
	fmt.Fprintln(w, "\nsimilarity to the trained network's maps when weights are random from the top down to:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "layer\tSSIM\trank correlation")
	for _, s := range steps {
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\n", s.Layer, s.SSIM, s.Spearman)
	}
	_ = t.Flush()
}
