package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"spinebox/lab/dataset"
	"spinebox/lab/outline"
	"spinebox/lab/regions"
)

func regionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "regions",
		Short: "Say where in each picture a network ought to look",
		Long: `Regions say where in each picture a network ought to look: what heatmaps are
measured against. They come from LabelMe or COCO (import), or the program outlines
the column itself (outline); sheet draws them on the pictures to be looked at.
Phantoms bring their own, and need none of this.`,
	}
	cmd.AddCommand(regionsOutlineCommand(), regionsImportCommand(), regionsSheetCommand())
	return cmd
}

func regionsOutlineCommand() *cobra.Command {
	var data, out string
	o := outline.Options{}
	cmd := &cobra.Command{
		Use:   "outline --data DIR --out FILE",
		Short: "Outline the column in each picture by a program: weak regions",
		Long: `Outline the column in each picture: the band from top to bottom whose two edges
stand out the most, found by dynamic programming, as wide as the rhythm of the
discs tells. It knows nothing of vertebrae. The regions are called weak for it, in
the file and wherever figures rest on them.

Look at them before anything is measured with them: spinelab regions sheet. What
is wrong goes into a text file, one picture a line, by its SHA-256 or the first 12
digits; all numbers are fractions of the picture's height (FROM, TO, Y) or width:

  SHA256 drop
  SHA256 cut FROM TO
  SHA256 band X,Y,HALF X,Y,HALF ...`,
		Example: `  spinelab regions outline --data xrays --out weak.json
  spinelab regions sheet --data xrays --regions weak.json --out weak.png
  spinelab regions outline --data xrays --out weak.json --corrections seen.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := dataset.Read(data)
			if err != nil {
				return err
			}
			bar := newBar(cmd.ErrOrStderr(), len(set.Items))
			o.Done = func(done int) { _ = bar.Set(done) }
			found, err := outline.All(cmd.Context(), set, o)
			if err = errors.Join(err, bar.Finish()); err != nil {
				return err
			}
			if err := writeRegions(out, found.Set); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s with a region, of them %d cut and %d drawn anew; %d without a column that stands out, %d dropped\n%s\n",
				english.Plural(len(found.Pictures()), "picture", ""), found.Cut, found.Redrawn, found.Faint, found.Dropped, out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data set: its folder, or a CSV list")
	f.StringVar(&out, "out", "", "the file of regions to write")
	f.StringVar(&o.Corrections, "corrections", "", "a file of what to do with some outlines, after looking at them")
	f.IntVar(&o.Cores, "threads", runtime.NumCPU(), "for decoding and outlining")
	must(cmd.MarkFlagRequired("data"))
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

func regionsImportCommand() *cobra.Command {
	var data, out, kind, only string
	cmd := &cobra.Command{
		Use:   "import FILE --data DIR --out FILE",
		Short: "Take over what was drawn with LabelMe or written as COCO",
		Long: `Take over regions from LabelMe's JSON (one file, or a folder of them) or COCO's.
Both name pictures by their files: the pictures are looked for in the data set, the
result knows them by their SHA-256, and the names are dropped. Polygons, rectangles,
circles and masks are read. What is labelled "marker" is kept as burned-in letters.

A region of another size than its picture is refused.`,
		Example: `  spinelab regions import labelme/ --data xrays --out drawn.json
  spinelab regions import instances.json --data xrays --only column --out drawn.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := dataset.Read(data)
			if err != nil {
				return err
			}
			found, err := regions.Import(args[0], set, regions.Kind(kind), only)
			if err != nil {
				return err
			}
			if err := writeRegions(out, found.Set); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s with a region of %d in the data set; %d drawn on that it does not have\n%s\n",
				english.Plural(len(found.Pictures()), "picture", ""), len(set.Items), found.Missing, out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data set: its folder, or a CSV list")
	f.StringVar(&out, "out", "", "the file of regions to write")
	f.StringVar(&kind, "kind", string(regions.Drawn), "drawn by a person, or weak: by a program")
	f.StringVar(&only, "only", "", "take shapes of this label alone")
	must(cmd.MarkFlagRequired("data"))
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

func regionsSheetCommand() *cobra.Command {
	var data, file, out string
	cmd := &cobra.Command{
		Use:   "sheet --data DIR --regions FILE --out PNG",
		Short: "Draw regions on their pictures, to be looked at",
		Long: `Draw each picture with the border of its region, in pages of 36: sheet.png becomes
sheet-01.png, sheet-02.png and so on. The pictures are called by the first digits
of their SHA-256. The sheets hold X-rays: keep them where the data set is kept.`,
		Example: `  spinelab regions sheet --data xrays --regions weak.json --out weak.png
  spinelab regions sheet --data phantoms --regions phantoms --out truth.png`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := dataset.Read(data)
			if err != nil {
				return err
			}
			from, err := regions.Read(file)
			if err != nil {
				return err
			}
			return drawSheets(cmd, set, from, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data set: its folder, or a CSV list")
	f.StringVar(&file, "regions", "", "the file of regions, or a folder of phantoms")
	f.StringVar(&out, "out", "", "the PNG file to write")
	must(cmd.MarkFlagRequired("data"))
	must(cmd.MarkFlagRequired("regions"))
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

// drawSheets writes one page after the other, so that no more X-rays than a
// page's are held at a time.
func drawSheets(cmd *cobra.Command, set *dataset.Set, from *regions.Set, out string) error {
	const onPage, columns = 36, 12
	bar := newBar(cmd.ErrOrStderr(), len(set.Items))
	base := strings.TrimSuffix(out, filepath.Ext(out))
	for page, first := 1, 0; first < len(set.Items); page, first = page+1, first+onPage {
		part := &dataset.Set{Items: set.Items[first:min(first+onPage, len(set.Items))]}
		sheet, err := from.Sheet(part, columns, func() { _ = bar.Add(1) })
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%02d.png", base, page)
		if err := writeFile(name, func(w io.Writer) error { return png.Encode(w, sheet) }); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), name)
	}
	return bar.Finish()
}

func writeRegions(name string, set *regions.Set) error { return writeFile(name, set.Write) }

// writeFile writes a file whole or not at all.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".spinelab-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
