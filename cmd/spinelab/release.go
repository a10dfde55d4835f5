package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/release"
	"spinebox/lab/report"
	"spinebox/lab/study"
	"spinebox/lab/train"
	"spinebox/models/weights"
)

// releaseOptions are the command's flags.
type releaseOptions struct {
	runs, variant, data, weights, why string
	override, check, asJSON           bool
	gate                              release.Thresholds
	final                             release.Final
}

// refusedError is the gate's refusal.
type refusedError struct{ error }

func releaseCommand() *cobra.Command {
	o := releaseOptions{gate: release.Default()}
	cmd := &cobra.Command{
		Use:   "release RUNS --variant V --data DIR --out DIR",
		Short: "Train the final model of a variant on all pictures, if its folds clear the gate",
		Long: `Hold the cross-validated figures of a variant against the release gate, and train
its final model: on all pictures, for the median of the folds' best epochs, with
the folds' median temperature. Its description carries the figures, what the gate
said, and twelve golden cases (phantoms).

The gate looks at the unfavourable end of each 95 % interval: of accuracy (at
least 0.90: the paper's weakest known variant clears it, so that accuracy does not
stand in for a look at the maps), of lift (at least 1.20; 1 is chance), and of the
share of the maps in the picture's outer tenth (at most 0.29; an even map has
0.36) and beside the picture (at most 0.25). What is not measured is not cleared.

A person may overrule it with --override --why TEXT; the reason is printed into
the description. Exit code 4: the gate refuses.`,
		Example: `  spinelab release runs --variant resnet50-finetune --data xrays --out release
  spinelab release runs --variant vgg16-random --check
  spinelab release runs --variant vgg16-random --data xrays --out release --min-lift 1.1
  spinelab release runs --variant vgg16-random --data xrays --out release --override --why "for the comparison in the ward round, not for use"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.runs = args[0]
			if err := o.validate(); err != nil {
				return usageError{err}
			}
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.variant, "variant", "", "which, e.g. resnet50-finetune")
	f.StringVar(&o.data, "data", "", "the study's pictures")
	f.StringVar(&o.final.Dir, "out", "", "folder for the training and model/")
	f.StringVar(&o.weights, "weights", "", "the pretrained backbone that the folds began with (default: the study's)")
	f.IntVar(&o.final.Number, "number", 1, "of the release; counts up")
	f.BoolVar(&o.check, "check", false, "only ask the gate, and train nothing")
	f.BoolVar(&o.override, "override", false, "release against the gate; needs --why")
	f.StringVar(&o.why, "why", "", "the reason for --override, printed into the description")
	f.BoolVar(&o.final.Resume, "resume", false, "go on from the checkpoint in --out")
	f.IntVar(&o.final.Cores, "threads", runtime.NumCPU(), "for decoding and for TensorFlow")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	gateFlags(f, &o.gate)
	must(cmd.MarkFlagRequired("variant"))
	return cmd
}

func (o *releaseOptions) validate() error {
	switch {
	case o.override && strings.TrimSpace(o.why) == "":
		return errors.New("--override needs --why: whoever releases against the gate gives the reason")
	case !o.override && o.why != "":
		return errors.New("--why is the reason for --override, which is not given")
	case !o.check && (o.data == "" || o.final.Dir == ""):
		return errors.New("--data and --out are needed to train the final model; --check only asks the gate")
	case o.final.Number < 1:
		return errors.New("--number counts from 1")
	}
	return o.gate.Validate()
}

func (o *releaseOptions) run(ctx context.Context, out, errw io.Writer) error {
	r, err := makeReport(ctx, o.runs, "", report.Options{Gate: o.gate}, errw)
	if err != nil {
		return err
	}
	v, ok := r.Variant(o.variant)
	if !ok {
		return fmt.Errorf("no fold of %s is finished in %s: there are %s", o.variant, o.runs, strings.Join(r.Names(), ", "))
	}
	refused := v.Verdict.Failed()
	if o.check {
		return o.answer(out, v, nil)
	}
	if len(refused) > 0 && !o.override {
		return o.refusal(v)
	}
	why := o.why
	if len(refused) == 0 {
		why = "" // there is nothing to overrule
	} else {
		fmt.Fprintf(errw, "RELEASED AGAINST THE GATE: %s\n%s\n", why, because(refused))
	}
	if err := o.prepare(r, v, why); err != nil {
		return err
	}
	o.final.Progress = trainingProgress(errw)
	result, err := o.final.Train(ctx)
	switch {
	case errors.Is(err, train.ErrExists):
		return fmt.Errorf("%s already holds a training\nhint: --resume goes on with it; another --out begins a new one", o.final.Dir)
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return fmt.Errorf("train the final model: %w", err)
	}
	return o.answer(out, v, result)
}

// refusal is the gate's answer as an error.
func (o *releaseOptions) refusal(v *report.Variant) error {
	return refusedError{fmt.Errorf("the gate refuses %s:\n%s\nhint: `spinelab report %s` shows where it looked; a person may overrule the gate with --override --why TEXT",
		o.variant, because(v.Verdict.Failed()), o.runs)}
}

// prepare collects what the final training needs.
func (o *releaseOptions) prepare(r *report.Report, v *report.Variant, why string) error {
	var err error
	if o.final.Data, err = dataset.Read(o.data); err != nil {
		return err
	}
	if o.final.Data.Digest() != r.Study.Data {
		return fmt.Errorf("the pictures in %s are not those of the study\nhint: give the folder that the study was made with; splits.json has its digest", o.data)
	}
	if o.final.Plan, err = release.NewPlan(r.Folds(o.variant)); err != nil {
		return err
	}
	if len(o.final.Backbones) > 0 {
		if o.final.Backbone, err = o.backbone(); err != nil {
			return err
		}
	}
	if err := o.final.Begin(o.final.Backbone); err != nil {
		return fmt.Errorf("%w\nhint: --weights FILE names them", err)
	}
	o.final.Figures = v.Figures()
	o.final.Judgement = v.Verdict.Describe(o.gate, v.Regions(), why)
	return nil
}

// backbone reads the weights that --weights names, or the study's.
func (o *releaseOptions) backbone() (*weights.File, error) {
	name := o.weights
	if name == "" {
		config, _, err := study.ReadConfig(filepath.Join(o.runs, "study.yaml"))
		if err != nil {
			return nil, err
		}
		name = config.Weights[o.final.Config.Network]
	}
	if name == "" {
		return nil, nil
	}
	return weights.Read(name)
}

// released is the command's result for scripts.
type released struct {
	Variant string             `json:"variant"`
	Verdict release.Verdict    `json:"verdict"`
	Gate    release.Thresholds `json:"gate"`
	Why     string             `json:"why,omitempty"` // it is released against the gate
	Model   string             `json:"model,omitempty"`
	Digest  string             `json:"digest,omitempty"`
	Use     string             `json:"use"`
}

// answer says what the gate says and, when there is one, what the model is.
func (o *releaseOptions) answer(out io.Writer, v *report.Variant, result *train.Result) error {
	a := released{Variant: v.Name, Verdict: v.Verdict, Gate: o.gate, Use: spine.IntendedUse}
	if result != nil {
		a.Model, a.Digest, a.Why = result.Model, result.Digest, o.final.Judgement.Why
	}
	var err error
	switch {
	case o.asJSON:
		err = json.NewEncoder(out).Encode(a)
	case result != nil:
		_, err = fmt.Fprintf(out, "model: %s\ndigest: %s\n%s\n", a.Model, a.Digest, a.Use)
	case v.Verdict.Released:
		_, err = fmt.Fprintf(out, "the gate clears %s\n%s\n", v.Name, a.Use)
	}
	if result == nil && !v.Verdict.Released {
		err = errors.Join(err, o.refusal(v))
	}
	return err
}

// because lists reasons, one a line.
func because(reasons []string) string { return "  - " + strings.Join(reasons, "\n  - ") }
