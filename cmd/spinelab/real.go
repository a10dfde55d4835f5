package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/train"
	"spinebox/lab/trial"
)

func realCommand() *cobra.Command {
	var data, dir, bin string
	cmd := &cobra.Command{
		Use:   "real --data DIR",
		Short: "Train on four fifths of real X-rays, and send the rest through a running box",
		Long: `Train a ResNet50 from random initialisation on four fifths of a data set (grouped,
stratified, with a validation part inside), then drop the other fifth on the
share of a running box, each picture as its own file and wrapped as DICOM. Both
must get the same answer. Prints accuracy by class and milliseconds, and leaves
a contact sheet of the overlays, errors first, in --dir.`,
		Example: `  spinelab real --data xrays`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" {
				return usageError{errors.New("--data names no data set\n" + dataHint)}
			}
			if bin == "" {
				self, err := os.Executable()
				if err != nil {
					return err
				}
				bin = filepath.Dir(self)
			}
			return real(cmd, data, dir, bin)
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data set: its folder, or a CSV list")
	f.StringVar(&dir, "dir", "real", "where the training and the contact sheet go")
	f.StringVar(&bin, "bin", "", "the folder with spinebox and spinehub (default: this program's)")
	return cmd
}

// dataHint says where real X-rays can be had.
const dataHint = `hint: the paper's X-rays are Mendeley Data, doi 10.17632/xkt857dsxk.1 (Fraiwan et al. 2022): unpack
      ImagesOriginalSize.zip and pass --data DIR, or make real XRAYS=DIR, with the folder that
      NormalFinal, ScolFinal and SpondFinal lie in`

func real(cmd *cobra.Command, data, dir, bin string) (err error) {
	ctx, out, errw := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	set, err := dataset.Read(data)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w\n%s", err, dataHint)
	}
	if err != nil {
		return err
	}
	run := train.Run{
		Config: train.Default(), Data: set, Dir: filepath.Join(dir, "training"), Resume: true,
		Cores: runtime.NumCPU(), Phantom: isPhantom(set), Progress: trainingProgress(errw),
	}
	result, err := run.Train(ctx)
	if err != nil {
		return err
	}
	printResult(errw, result)
	parts, err := set.Split(dataset.Folds, run.Config.Fold, run.Config.Seed)
	if err != nil {
		return err
	}
	held := set.Only(parts, dataset.HeldOut)
	t := &trial.Trial{Bin: bin, Dir: filepath.Join(dir, "trial"), Model: result.Model, Kiosk: "127.0.0.1:8480"}
	defer func() { err = errors.Join(err, t.Stop()) }()
	if err := t.Start(ctx); err != nil {
		return err
	}
	bar := newBar(errw, len(held.Items))
	figures, sheet, err := t.Held(ctx, held, func(done, total int) { bar.Set(done) })
	fmt.Fprintln(errw)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "overlays.png")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(png.Encode(f, sheet), f.Close()); err != nil {
		return err
	}
	printFigures(out, figures)
	fmt.Fprintf(out, "\noverlays, errors first: %s\n%s\n", name, spine.IntendedUse)
	if figures.Agree != figures.Files {
		return fmt.Errorf("%d of %d pictures got another answer as DICOM", figures.Files-figures.Agree, figures.Files)
	}
	return nil
}

func printFigures(w io.Writer, f *trial.Figures) {
	fmt.Fprintf(w, "held-out X-rays through the whole line: %.1f %% of %d right\n", 100*f.Accuracy(), f.Files)
	fmt.Fprintf(w, "the same answer as JPEG or PNG and as DICOM: %d of %d\n\n", f.Agree, f.Files)
	for _, line := range f.Disagree {
		fmt.Fprintln(w, " ", line)
	}
	fmt.Fprintf(w, "%-20s", "true \\ answer")
	for _, l := range f.Labels {
		fmt.Fprintf(w, "%18s", l)
	}
	fmt.Fprintf(w, "%12s%10s\n", "no answer", "right")
	for k, row := range f.Confusion {
		n := 0
		fmt.Fprintf(w, "%-20s", f.Labels[k])
		for i, v := range row {
			n += v
			fmt.Fprintf(w, "%*d", []int{18, 12}[i/len(f.Labels)], v)
		}
		fmt.Fprintf(w, "%8.1f %%\n", 100*float64(row[k])/float64(max(n, 1)))
	}
	fmt.Fprintln(w)
	for _, m := range []struct {
		name   string
		values []float64
	}{{"decoding", f.Decode}, {"network and heatmap", f.Infer}, {"from in the spool to the result", f.Total}} {
		slices.Sort(m.values)
		n := len(m.values)
		fmt.Fprintf(w, "%-32s median %.0f ms, worst %.0f ms\n", m.name, m.values[n/2], m.values[n-1])
	}
	fmt.Fprintf(w, "%d files in %.0f s\n", 2*f.Files, f.Seconds)
}
