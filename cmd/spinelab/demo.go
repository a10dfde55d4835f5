package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
	"spinebox/lab/train"
	"spinebox/lab/trial"
)

func demoCommand() *cobra.Command {
	var dir, bin, model string
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole product on made X-rays: train a model, start hub and box, drop files on the share",
		Long: `Show the whole product on made X-rays. The first time, phantoms are drawn and a
ResNet50 is trained on them (a few minutes); it is kept in --dir for the next
time. Then a hub with an embedded broker and a box are started, a dozen files are
dropped on the box's share one by one, and each result is printed as it comes
over MQTT.`,
		Example: `  spinelab demo
  spinelab demo --once`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if bin == "" {
				self, err := os.Executable()
				if err != nil {
					return err
				}
				bin = filepath.Dir(self)
			}
			return demo(cmd, dir, bin, model, once)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "demo", "where phantoms, model and the trial's files go")
	f.StringVar(&bin, "bin", "", "the folder with spinebox and spinehub (default: this program's)")
	f.StringVar(&model, "model", "", "show this model folder instead of training one")
	f.BoolVar(&once, "once", false, "end after the dozen files; fail unless each got what it should")
	return cmd
}

func demo(cmd *cobra.Command, dir, bin, model string, once bool) (err error) {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	if model == "" {
		if model, err = demoModel(cmd, dir); err != nil {
			return err
		}
	}
	t := &trial.Trial{Bin: bin, Dir: filepath.Join(dir, "trial"), Model: model, Kiosk: "127.0.0.1:8480"}
	defer func() { err = errors.Join(err, t.Stop()) }()
	if err := t.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nThe room's page is at http://%s/ while the demo runs. Files dropped on %s:\n\n", t.Kiosk, t.Share())
	count, err := t.Demo(ctx, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n", spine.IntendedUse)
	if once {
		return judge(out, count)
	}
	fmt.Fprintf(out, "The box's commands know it by its configuration: %s status --config %s\n", filepath.Join(bin, "spinebox"), filepath.Join(t.Dir, "spinebox.yml"))
	err = judge(out, count)
	fmt.Fprintf(out, "\nThe box goes on watching %s: drop X-rays of your own there; their answers are on the page. Ctrl-C ends the demo.\n", t.Share())
	<-ctx.Done()
	return err
}

func judge(out io.Writer, c *trial.Count) error {
	for _, wrong := range c.Wrong {
		fmt.Fprintln(out, "NOT AS IT SHOULD BE:", wrong)
	}
	fmt.Fprintf(out, "%d files: %d classified (%d with the right label), %d refused, %d failed, %d duplicate\n",
		c.Files, c.Classified, c.Right, c.Refused, c.Failed, c.Duplicates)
	if len(c.Wrong) > 0 {
		return fmt.Errorf("%d things were not as they should be", len(c.Wrong))
	}
	return nil
}

// demoConfig trains in less than four minutes on two cores. Phantoms differ
// enough from one another: they need little augmentation.
func demoConfig() train.Config {
	c := train.Default()
	c.Input.Height, c.Input.Width = 128, 48
	c.Epochs, c.Batch, c.Seed = 15, 8, 1
	c.LabelSmoothing, c.Dropout, c.WeightDecay = 0, 0, 0
	c.ZeroResiduals = true
	c.Augment = train.Augment{Flip: true, Rotate: 2, Scale: 0.05, Stretch: 0.05, Shift: 0.04, Contrast: 0.1, Light: 0.05, Gamma: 0.1}
	return c
}

// demoPhantoms is how many the demo's network sees, the held-out fifth among
// them.
const demoPhantoms = 640

func demoModel(cmd *cobra.Command, dir string) (string, error) {
	out := cmd.ErrOrStderr()
	run := train.Run{
		Config: demoConfig(), Dir: filepath.Join(dir, "training"), Resume: true, Cores: runtime.NumCPU(),
		Phantom: true, Progress: trainingProgress(out),
	}
	set, err := demoData(cmd.Context(), filepath.Join(dir, "phantoms"), out)
	if err != nil {
		return "", err
	}
	run.Data = set
	if _, err := os.Stat(filepath.Join(run.Dir, "done.json")); err != nil {
		fmt.Fprintf(out, "training the demo's ResNet50 on %d phantoms, once (about four minutes)\n", demoPhantoms)
	}
	result, err := run.Train(cmd.Context())
	if err != nil {
		return "", fmt.Errorf("train the demo's model: %w", err)
	}
	printResult(out, result)
	return result.Model, nil
}

func demoData(ctx context.Context, dir string, out io.Writer) (*dataset.Set, error) {
	if _, err := os.Stat(filepath.Join(dir, "manifest.csv")); err != nil {
		fmt.Fprintf(out, "drawing %d phantoms, once\n", demoPhantoms)
		bar := newBar(out, demoPhantoms)
		set := phantom.Set{
			Dir: dir, Count: demoPhantoms, Seed: 1, Format: phantom.JPEG, Sizing: phantom.Sizing{Kind: phantom.FixedSize, Width: 180, Height: 480},
			Cobb: trial.EasyCobb(), Slip: trial.EasySlip(), Shortcut: phantom.NoShortcut, Force: true, Workers: runtime.NumCPU(),
			Drawn: func(*phantom.Phantom) { bar.Add(1) },
		}
		if err := set.Write(ctx); err != nil {
			return nil, err
		}
		fmt.Fprintln(out)
	}
	return dataset.Read(dir)
}
