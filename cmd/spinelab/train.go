package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
	"spinebox/lab/train"
	"spinebox/models/input"
	"spinebox/models/nets"
)

func trainCommand() *cobra.Command {
	c := train.Default()
	run := train.Run{}
	var network, method, data, size, resize, pretrained string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "train --data DIR --out DIR",
		Short: "Train one network on four fifths of a data set, and judge it on the rest",
		Long: `Train one network on a data set in the layout of the paper's archive (folders
NormalFinal, ScolFinal, SpondFinal). One of five folds is held out: the finished
model reads it at the end, the way the box will. Best epoch and temperature come
from a validation part inside the other four.

The folder --out gets config.json, splits.json, history.csv, predictions.csv,
a checkpoint, and model/: a SavedModel with its description, which
"spinebox classify --model" takes as it is.`,
		Example: `  spinelab train --data xrays --out runs/first
  spinelab train --data xrays --net vgg16 --size 224x224 --resize squash --out runs/vgg
  spinelab train --data xrays --method finetune --weights backbone.safetensors --out runs/tuned
  spinelab train --data xrays --out runs/first --resume`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Network, err = nets.ParseArchitecture(network); err != nil {
				return usageError{err}
			}
			if c.Input.Height, c.Input.Width, err = parseSize(size); err != nil {
				return usageError{err}
			}
			c.Input.Resize = input.Resize(resize)
			if run.Backbone, err = methodOf(cmd, &c, method, pretrained); err != nil {
				return err
			}
			if err := c.Validate(); err != nil {
				return usageError{err}
			}
			if err := checkNames(run.Name, run.Version); err != nil {
				return usageError{err}
			}
			run.Config = c
			return runTraining(cmd, run, data, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data set: its folder, or a CSV list")
	f.StringVar(&run.Dir, "out", "", "the run's folder")
	f.StringVar(&network, "net", string(c.Network), "resnet50 or vgg16")
	f.StringVar(&method, "method", string(c.Method), "random: from random weights; features: a head on a pretrained backbone; finetune: the backbone too")
	f.StringVar(&pretrained, "weights", "", "the pretrained backbone, for features and finetune (from spinelab weights import, or spinelab pretrain)")
	f.StringVar(&run.Cache, "cache", "", "a folder that keeps a backbone's features, for features")
	f.StringVar(&c.Optimizer, "optimizer", c.Optimizer, "adam or sgd")
	f.StringVar(&size, "size", fmt.Sprintf("%dx%d", c.Input.Height, c.Input.Width), "input as HEIGHTxWIDTH in pixels")
	f.StringVar(&resize, "resize", string(c.Input.Resize), "letterbox keeps the picture's shape, squash does not")
	f.IntVar(&c.Epochs, "epochs", c.Epochs, "passes over the training pictures")
	f.IntVar(&c.Batch, "batch", c.Batch, "pictures in one step")
	f.Float64Var(&c.Rate, "rate", c.Rate, "highest learning rate")
	f.StringVar((*string)(&c.Initializer), "initializer", string(c.Initializer), "of the first weights, for random: he or glorot")
	f.StringVar(&c.From, "from", c.From, "train the layers from this one on, for finetune: conv5, block5_conv1 (default: all)")
	f.IntVar(&c.Patience, "patience", c.Patience, "end after so many epochs of the rate's tail without a lower validation loss; 0: never")
	f.Float64Var(&c.WeightDecay, "weight-decay", c.WeightDecay, "decoupled, on kernels")
	f.Float64Var(&c.LabelSmoothing, "label-smoothing", c.LabelSmoothing, "0 to 1")
	f.Float64Var(&c.Dropout, "dropout", c.Dropout, "of the features before the head, 0 to 1")
	f.IntVar(&c.Fold, "fold", c.Fold, "which of the five folds is held out, 0 to 4")
	f.Uint64Var(&c.Seed, "seed", c.Seed, "of the split, the first weights and the augmentation")
	f.StringVar(&run.Name, "name", "", "the model's name (default: its network and method)")
	f.StringVar(&run.Version, "version", "", "the model's version (default: its seed and fold)")
	f.BoolVar(&run.Resume, "resume", false, "go on from the checkpoint in --out")
	f.IntVar(&run.Cores, "threads", runtime.NumCPU(), "for decoding and for TensorFlow")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	must(cmd.MarkFlagRequired("data"))
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

var plain = regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`)

// checkNames wants words that fit into messages, file names and captions.
func checkNames(name, version string) error {
	for flag, text := range map[string]string{"--name": name, "--version": version} {
		if !plain.MatchString(text) {
			return fmt.Errorf("%s %q is not made of letters, digits, dots, dashes and underlines, 64 at most", flag, text)
		}
	}
	return nil
}

func parseSize(s string) (height, width int, err error) {
	h, w, _ := strings.Cut(strings.ToLower(s), "x")
	height, err1 := strconv.Atoi(h)
	width, err2 := strconv.Atoi(w)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("size %q is not HEIGHTxWIDTH, like 320x128", s)
	}
	return height, width, nil
}

func runTraining(cmd *cobra.Command, run train.Run, data string, asJSON bool) error {
	set, err := dataset.Read(data)
	if err != nil {
		return err
	}
	if err := set.HasAll(); err != nil {
		return err
	}
	run.Data = set
	run.Phantom = isPhantom(set)
	errw := cmd.ErrOrStderr()
	n := set.Count()
	fmt.Fprintf(errw, "%s: %d normal, %d scoliosis, %d spondylolisthesis\n",
		english.Plural(len(set.Items), "picture", ""), n[spine.Normal], n[spine.Scoliosis], n[spine.Spondylolisthesis])
	run.Progress = trainingProgress(errw)
	result, err := run.Train(cmd.Context())
	switch {
	case errors.Is(err, train.ErrExists):
		return fmt.Errorf("%s already holds a training\nhint: --resume goes on with it; another --out begins a new one", run.Dir)
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return fmt.Errorf("train: %w", err)
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			*train.Result
			Use string `json:"use"`
		}{result, spine.IntendedUse})
	}
	printResult(cmd.OutOrStdout(), result)
	return nil
}

// isPhantom reports whether any picture says by its name that it is made: a
// model of made pictures must say so, too.
func isPhantom(set *dataset.Set) bool {
	return slices.ContainsFunc(set.Items, func(i dataset.Item) bool { return phantom.Made(i.Path) })
}

func trainingProgress(w io.Writer) train.Progress {
	var bar *progressbar.ProgressBar
	show := func(done, total int, what string) {
		if bar == nil {
			bar = newBar(w, total)
		}
		bar.Describe(what)
		bar.Set(done)
		if done == total {
			bar.Finish()
			fmt.Fprintln(w)
			bar = nil
		}
	}
	last := ""
	return train.Progress{
		Decoded: func(done, total int) { show(done, total, "decoding") },
		Step:    func(done, total int, loss float64) { show(done, total, fmt.Sprintf("training%s", last)) },
		Epoch: func(e train.Epoch, best bool) {
			last = fmt.Sprintf(" (epoch %d: loss %.3f, validation %.3f, %.0f %% right)", e.Epoch, e.Loss, e.Validation, 100*e.Accuracy)
			if !isTerminal(w) {
				fmt.Fprintf(w, "%s epoch %d: loss %.3f, validation loss %.3f, %.1f %% right, %.1f s\n",
					time.Now().Format(time.TimeOnly), e.Epoch, e.Loss, e.Validation, 100*e.Accuracy, e.Seconds)
			}
		},
		Say: func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) },
	}
}

func printResult(w io.Writer, r *train.Result) {
	fmt.Fprintf(w, "held out: %.1f %% right (best epoch %d, temperature %.2f, %.0f s of training)\n\n",
		100*r.Accuracy, r.BestEpoch, r.Temperature, r.Seconds)
	fmt.Fprintf(w, "%-20s", "true \\ answer")
	for _, l := range r.Labels {
		fmt.Fprintf(w, "%18s", l)
	}
	fmt.Fprintf(w, "%10s\n", "recall")
	for k, row := range r.Confusion {
		fmt.Fprintf(w, "%-20s", r.Labels[k])
		for _, n := range row {
			fmt.Fprintf(w, "%18d", n)
		}
		fmt.Fprintf(w, "%8.1f %%\n", 100*r.Recall[k])
	}
	fmt.Fprintf(w, "\nmodel: %s\n%s\n", r.Model, spine.IntendedUse)
}

func newBar(w io.Writer, total int) *progressbar.ProgressBar {
	if !isTerminal(w) {
		return progressbar.DefaultSilent(int64(total))
	}
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth())
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
