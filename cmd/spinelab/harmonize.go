package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"spinebox/lab/dataset"
	"spinebox/lab/harmonize"
)

func harmonizeCommand() *cobra.Command {
	var data, out, size string
	o := harmonize.Options{}
	cmd := &cobra.Command{
		Use:   "harmonize --data DIR --out DIR --size HxW",
		Short: "Copy a data set without what tells how its pictures were acquired",
		Long: `Copy a data set so that all its pictures have one shape (cut from the middle), one
size, one spread of greys (the 1st to the 99th percentile) and one JPEG quality,
and nothing of their files' metadata. What a network still tells apart on the
copies, it does not tell by those.

The copies are called by numbers, and manifest.csv keeps the pictures of one
patient together in one fold; a list's masks are not copied. They are X-rays: keep them where the data set is
kept.`,
		Example: `  spinelab harmonize --data xrays --out even --size 384x160
  spinelab inspect even      # what could a network cheat with now?
  spinelab cv --data even --config study.yaml --out runs/even`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Height, o.Width, err = parseSize(size); err != nil {
				return err
			}
			set, err := dataset.Read(data)
			if err != nil {
				return err
			}
			bar := newBar(cmd.ErrOrStderr(), len(set.Items))
			o.Done = func(done int) { _ = bar.Set(done) }
			if err := errors.Join(harmonize.Write(cmd.Context(), set, out, o), bar.Finish()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d pictures of %d×%d pixels\n%s\n", len(set.Items), o.Height, o.Width, out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data set: its folder, or a CSV list")
	f.StringVar(&out, "out", "", "the folder to make")
	f.StringVar(&size, "size", "", "of the copies, HEIGHTxWIDTH in pixels")
	f.IntVar(&o.Quality, "quality", 85, "of the JPEGs, 1 to 100")
	f.IntVar(&o.Cores, "threads", runtime.NumCPU(), "for decoding")
	for _, name := range []string{"data", "out", "size"} {
		must(cmd.MarkFlagRequired(name))
	}
	return cmd
}
