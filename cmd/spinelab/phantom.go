package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"spinebox/lab/phantom"
)

func phantomCommand() *cobra.Command {
	set := phantom.Set{
		Count: 300, Seed: 1, Cobb: phantom.AnyCobb(), Slip: phantom.AnySlip(),
		Strength: 1, Workers: runtime.GOMAXPROCS(0),
	}
	var format, size, cobb, slip, shortcut, sheet string
	var outline bool
	cmd := &cobra.Command{
		Use:   "phantom --out DIR",
		Short: "Draw made X-rays whose truth is known",
		Long: `Draw made X-rays of the spine whose truth is known, in the layout of the paper's
archive (folders NormalFinal, ScolFinal, SpondFinal), so that "spinelab train"
reads them as it reads real ones. Beside the pictures: masks of the column and
of the abnormal levels, truth.jsonl and manifest.csv.

A third of them are normal (half in AP, half in a lateral view), a third have a
scoliosis (AP), a third a spondylolisthesis (lateral). The same seed gives the
same bytes, and a longer set begins with the shorter one. Every file says that
it is a phantom; they are never to be mixed with real X-rays.`,
		Example: `  spinelab phantom --out phantoms --count 600
  spinelab phantom --out easy --count 600 --cobb 25-60 --slip 30-60 --sheet easy.png
  spinelab phantom --out dicom --count 12 --format dicom-mono1
  spinelab phantom --out cheat --shortcut marker --shortcut-strength 0.8`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set.Format, set.Shortcut = phantom.Format(format), phantom.Shortcut(shortcut)
			var err error
			if set.Cobb, err = parseRange("--cobb", cobb); err != nil {
				return usageError{err}
			}
			if set.Slip, err = parseRange("--slip", slip); err != nil {
				return usageError{err}
			}
			if set.Sizing, err = parseSizing(size); err != nil {
				return usageError{err}
			}
			if err := set.Validate(); err != nil {
				return usageError{err}
			}
			return drawPhantoms(cmd, set, sheet, outline)
		},
	}
	f := cmd.Flags()
	f.StringVar(&set.Dir, "out", "", "the folder to write")
	f.IntVar(&set.Count, "count", set.Count, "how many")
	f.Uint64Var(&set.Seed, "seed", set.Seed, "another seed, other phantoms")
	f.StringVar(&format, "format", string(phantom.JPEG), "jpeg, png, tiff (16 bits), dicom or dicom-mono1")
	f.StringVar(&size, "size", phantom.PACSSizes, "pacs or archive (sizes as in the data set's files), or HEIGHTxWIDTH in pixels")
	f.StringVar(&cobb, "cobb", "12-60", "Cobb angles of the scolioses, degrees")
	f.StringVar(&slip, "slip", "10-60", "slips, per cent of the endplate's depth")
	f.StringVar(&shortcut, "shortcut", string(phantom.NoShortcut), "let the classes be told apart without the spine: marker, jpeg, width or none")
	f.Float64Var(&set.Strength, "shortcut-strength", set.Strength, "share of the pictures that carry the shortcut, 0 to 1")
	f.StringVar(&sheet, "sheet", "", "also write a contact sheet of the first 24 to this PNG file")
	f.BoolVar(&outline, "outline", false, "draw on the sheet where to look")
	f.BoolVar(&set.Force, "force", false, "replace the phantoms that the folder already holds")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

// drawPhantoms writes the set and the contact sheet, and says how far it is.
func drawPhantoms(cmd *cobra.Command, set phantom.Set, sheetFile string, outline bool) error {
	const onSheet = 24
	sheet := phantom.Sheet{Height: 420, Columns: 8, Outline: outline}
	advance := phantomProgress(cmd.ErrOrStderr(), set.Count)
	set.Drawn = func(p *phantom.Phantom) {
		if sheetFile != "" && p.Truth.Index < onSheet {
			sheet.Add(p)
		}
		advance()
	}
	err := set.Write(cmd.Context())
	switch {
	case errors.Is(err, phantom.ErrNotEmpty):
		return fmt.Errorf("%w\nhint: choose another --out, or pass --force to replace the phantoms in it", err)
	case errors.Is(err, phantom.ErrNotPhantoms):
		return fmt.Errorf("%w\nhint: choose another --out; phantoms are never mixed with real X-rays", err)
	case err != nil:
		return fmt.Errorf("draw phantoms: %w", err)
	}
	if sheetFile != "" {
		if err := writeSheet(sheetFile, &sheet); err != nil {
			return err
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s in %s\n", english.Plural(set.Count, "phantom", ""), set.Dir)
	return nil
}

func writeSheet(name string, sheet *phantom.Sheet) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the contact sheet: %w", err)
	}
	defer f.Close()
	if err := png.Encode(f, sheet.Image()); err != nil {
		return fmt.Errorf("write the contact sheet %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write the contact sheet: %w", err)
	}
	return nil
}

// phantomProgress returns what to call after each of total phantoms: a bar on a
// terminal, a line for every tenth elsewhere.
func phantomProgress(w io.Writer, total int) func() {
	if isTerminal(w) {
		bar := newBar(w, total)
		bar.Describe("drawing")
		return func() {
			bar.Add(1)
			if bar.IsFinished() {
				fmt.Fprintln(w)
			}
		}
	}
	done := 0
	return func() {
		done++
		if done*10/total != (done-1)*10/total {
			fmt.Fprintf(w, "%d of %s drawn\n", done, english.Plural(total, "phantom", ""))
		}
	}
}

// parseRange reads "LOW-HIGH" or one number.
func parseRange(flag, s string) (phantom.Range, error) {
	low, high, two := strings.Cut(s, "-")
	if !two {
		high = low
	}
	from, err1 := strconv.ParseFloat(low, 64)
	to, err2 := strconv.ParseFloat(high, 64)
	if err1 != nil || err2 != nil || from > to {
		return phantom.Range{}, fmt.Errorf("%s %q is not LOW-HIGH, like 25-60", flag, s)
	}
	return phantom.Range{Min: from, Max: to}, nil
}

func parseSizing(s string) (phantom.Sizing, error) {
	if s == phantom.PACSSizes || s == phantom.ArchiveSizes {
		return phantom.Sizing{Kind: s}, nil
	}
	h, w, err := parseSize(s)
	if err != nil {
		return phantom.Sizing{}, fmt.Errorf("--size %q is neither %s nor %s nor HEIGHTxWIDTH, like 700x260", s, phantom.PACSSizes, phantom.ArchiveSizes)
	}
	return phantom.Sizing{Kind: phantom.FixedSize, Width: w, Height: h}, nil
}
