package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"spinebox/lab/audit"
	"spinebox/lab/dataset"
	"spinebox/lab/regions"
)

func auditCommand() *cobra.Command {
	var out string
	var asJSON bool
	o := audit.Options{}
	cmd := &cobra.Command{
		Use:   "inspect DIR|LIST.csv",
		Short: "Look at a data set before training on it: sizes, duplicates, persons, and what a network could cheat with",
		Long: `Look at a data set in the layout of the paper's archive (folders NormalFinal,
ScolFinal, SpondFinal, or Normal, Scol, Spond, in any case), or on a CSV list with the columns
file, label and perhaps group, view and mask: counts and sizes,
exact and near duplicates, groups, JPEG settings and cameras, signs of persons in
names and metadata, and what classifiers reach that see the file's size and
brightness and no picture.

With --out, the folder gets audit.html (a page with pictures), audit.json and
manifest.csv (SHA-256, class, group and size of each picture). File names are
repeated nowhere: they may tell of persons. The page holds X-rays; keep it where
the data set is kept.`,
		Example: `  spinelab inspect xrays
  spinelab inspect xrays --out audit
  spinelab inspect archive/list.csv
  spinelab inspect xrays --json | jq .floors`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := dataset.Read(args[0])
			if err != nil {
				return err
			}
			if _, err := regions.Of(set); err != nil { // a list's masks must fit their pictures
				return err
			}
			bar := newBar(cmd.ErrOrStderr(), len(set.Items))
			o.Done = func(done, _ int) { _ = bar.Set(done) }
			a, err := audit.Look(cmd.Context(), set, o)
			if err = errors.Join(err, bar.Finish()); err != nil {
				return err
			}
			if out != "" {
				if err := writeAudit(out, a); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(a)
			}
			a.Summary(cmd.OutOrStdout())
			if out != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", filepath.Join(out, "audit.html"))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "folder for the page, the JSON and the manifest")
	f.Uint64Var(&o.Seed, "seed", 1, "of the folds")
	f.IntVar(&o.Cores, "threads", runtime.NumCPU(), "for decoding")
	f.BoolVar(&asJSON, "json", false, "print what was found as JSON")
	return cmd
}

func writeAudit(dir string, a *audit.Audit) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"audit.html":   a.Page,
		"manifest.csv": a.Manifest,
		"audit.json":   func(w io.Writer) error { return json.NewEncoder(w).Encode(a) },
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
