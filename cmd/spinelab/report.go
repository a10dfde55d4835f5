package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spinebox/lab/audit"
	"spinebox/lab/dataset"
	"spinebox/lab/release"
	"spinebox/lab/report"
	"spinebox/lab/study"
)

func reportCommand() *cobra.Command {
	var out, data string
	var asJSON bool
	o := report.Options{Gate: release.Default()}
	cmd := &cobra.Command{
		Use:   "report RUNS",
		Short: "Say how often each variant of a study is right, where it looked, and which may be released",
		Long: `Make one page, tables and JSON from the folds that "spinelab cv" has finished in
the folder RUNS, or from the small files that it has landed elsewhere: the
paper's table with ours beside it, floors, tests, curves, where each network
looked, a contact sheet with the errors first, and a verdict on each variant.

The folder --out gets report.html (one page that needs nothing else, and prints),
report.json and tables/*.csv. With --data, the floors include classifiers that
see a file's size and brightness and no spine. Pictures are called by their
SHA-256, and no file's name is repeated; but the page shows X-rays where their
overlays are on this machine: keep it where the data set is kept.`,
		Example: `  spinelab report runs --data xrays
  spinelab report docs/study/folds --out report
  spinelab report runs --json | jq '.variants[] | {name, accuracy, words}'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Gate.Validate(); err != nil {
				return usageError{err}
			}
			if out == "" {
				out = filepath.Join(args[0], "report")
			}
			r, err := makeReport(cmd.Context(), args[0], data, o, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := r.Write(out); err != nil {
				return err
			}
			if asJSON {
				return r.JSON(cmd.OutOrStdout())
			}
			printReport(cmd.OutOrStdout(), r)
			fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(out, "report.html"))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "folder for the page, the JSON and the tables (default RUNS/report)")
	f.StringVar(&data, "data", "", "the study's pictures, for the floors")
	f.BoolVar(&asJSON, "json", false, "print the figures as JSON")
	gateFlags(f, &o.Gate)
	return cmd
}

// gateFlags are the release gate's thresholds.
func gateFlags(f *pflag.FlagSet, t *release.Thresholds) {
	f.Float64Var(&t.Accuracy, "min-accuracy", t.Accuracy, "gate: least lower end of the accuracy's 95 % interval, 0 to 1")
	f.Float64Var(&t.Lift, "min-lift", t.Lift, "gate: least lower end of the mean lift's interval; 1 is chance")
	f.Float64Var(&t.Border, "max-border", t.Border, "gate: greatest upper end of the maps' mean share in the outer tenth; an even map has 0.36")
	f.Float64Var(&t.Padding, "max-padding", t.Padding, "gate: greatest upper end of the maps' mean share beside the picture")
}

// makeReport reads the runs and computes the figures; data may be empty.
func makeReport(ctx context.Context, dir, data string, o report.Options, errw io.Writer) (*report.Report, error) {
	runs, err := report.Read(dir)
	if errors.Is(err, report.ErrNothing) {
		return nil, fmt.Errorf("%w\nhint: `spinelab cv --out %s` trains folds there; `spinelab cv status %s` says how far they are", err, dir, dir)
	}
	if err != nil {
		return nil, err
	}
	if data != "" {
		if o.Floors, err = studyFloors(ctx, dir, data, errw); err != nil {
			return nil, err
		}
	}
	return report.Make(runs, o)
}

// studyFloors cross-validates the classifiers that see no spine on the study's
// own folds.
func studyFloors(ctx context.Context, dir, data string, errw io.Writer) ([]audit.Floor, error) {
	set, err := dataset.Read(data)
	if err != nil {
		return nil, err
	}
	splits, err := study.ReadSplits(dir)
	if err != nil {
		return nil, err
	}
	if splits.Data != set.Digest() {
		return nil, fmt.Errorf("the pictures in %s are not those of the study\nhint: give the folder that the study was made with; splits.json has its digest", data)
	}
	o := audit.Options{Cores: runtime.NumCPU(), Seed: splits.Seed, Folds: map[string]int{}}
	for _, item := range splits.Items {
		o.Folds[item.SHA256] = item.Fold
	}
	bar := newBar(errw, len(set.Items))
	o.Done = func(done, _ int) { _ = bar.Set(done) }
	a, err := audit.Look(ctx, set, o)
	if err = errors.Join(err, bar.Finish()); err != nil {
		return nil, err
	}
	return a.Floors, nil
}

func printReport(w io.Writer, r *report.Report) {
	for _, note := range r.Notes {
		fmt.Fprintln(w, "! "+note)
	}
	for _, v := range r.Variants {
		fmt.Fprintf(w, "\n%s\n  accurate?  %s\n  looking?   %s\n  %s\n", v.Name, v.Words.Accurate, v.Words.Looking, v.Words.Release)
	}
	answer := "Release none."
	if r.Release != "" {
		answer = "Release " + r.Release + "."
	}
	fmt.Fprintf(w, "\n%s %s\n%s\n\n", answer, r.Why, r.Use)
}
