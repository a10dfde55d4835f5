package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/study"
)

// cvFlags are what "cv" and "cv plan" are told about a study.
type cvFlags struct {
	data, regions string
	o             study.Options
}

func (c *cvFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.data, "data", "", "the data set's folder, or a CSV list of pictures")
	f.StringVar(&c.o.Config, "config", "", "the configuration (default: the one that --out keeps)")
	f.StringVar(&c.o.Dir, "out", "", "the folder of the runs")
	f.StringSliceVar(&c.o.Variants, "variants", nil, "only these, e.g. vgg16-random,resnet50-finetune (default: all of the configuration)")
	f.IntVar(&c.o.Folds, "folds", 0, fmt.Sprintf("how many parts; each is held out once (default: %d, or as many as --out keeps)", dataset.Folds))
	f.StringVar(&c.o.Land, "land", "", "also keep each finished fold's small files here; a study goes on from them on any machine")
	f.StringVar(&c.regions, "regions", "", "where networks ought to look: a file of regions, or a folder of phantoms (default: what the data bring along)")
	f.IntVar(&c.o.Cores, "threads", 1, "of one fold; with 1, the same seed gives the same bytes")
	must(cmd.MarkFlagRequired("data"))
	must(cmd.MarkFlagRequired("out"))
}

func (c *cvFlags) open() (*study.Study, error) {
	if c.o.Folds < 0 || c.o.Folds == 1 || c.o.Cores < 1 {
		return nil, usageError{errors.New("--folds must be 2 at least, and --threads 1")}
	}
	set, err := dataset.Read(c.data)
	if err != nil {
		return nil, err
	}
	c.o.Data, c.o.Phantom = set, isPhantom(set)
	if c.o.Regions, err = knownRegions(c.regions, c.data, set); err != nil {
		return nil, err
	}
	s, err := study.Open(c.o)
	if err != nil {
		return nil, err
	}
	c.o.Folds = s.Folds
	return s, nil
}

// args returns the command line that opens the same study, but for --threads.
func (c *cvFlags) args() []string {
	args := []string{"--data", c.data, "--out", c.o.Dir, "--folds", strconv.Itoa(c.o.Folds)}
	if c.o.Config != "" {
		args = append(args, "--config", c.o.Config)
	}
	if c.o.Land != "" {
		args = append(args, "--land", c.o.Land)
	}
	if c.regions != "" {
		args = append(args, "--regions", c.regions)
	}
	for _, v := range c.o.Variants {
		args = append(args, "--variants", v)
	}
	return args
}

func cvCommand() *cobra.Command {
	c := &cvFlags{}
	var index string
	var parallel int
	var report bool
	cmd := &cobra.Command{
		Use:   "cv --data DIR --config FILE --out RUNS",
		Short: "Cross-validate: train each variant on each fold, and judge it on the part that was held out",
		Long: `Cross-validate: train each variant (a network and how it is trained) on each fold
of a data set, and judge it on the part that was held out.

Where each fold's network looked is measured on the same part, against --regions
and beside floors (see "spinelab look").

Each fold is trained in a process of its own, --parallel of them at once. Stop it
whenever you like (Ctrl-C saves), or let the power go: the same command goes on,
and does nothing again that is there. A fold that fails does not stop the others.

The folder --out gets study.yaml and splits.json, which are never replaced, and
VARIANT/foldN with what "spinelab train" and "spinelab look" leave, among it a
model folder for "spinebox classify --model".`,
		Example: `  spinelab cv config > study.yaml
  spinelab cv --data xrays --config study.yaml --out runs/study
  spinelab cv --data xrays --out runs/study            # goes on
  spinelab cv --data xrays --out runs/study --variants vgg16-random
  spinelab cv status runs/study
  spinelab cv plan --slurm --data xrays --config study.yaml --out runs/study | sbatch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.open()
			if err != nil {
				return err
			}
			if index != "" {
				return runFold(cmd, s, index, report)
			}
			return runStudy(cmd, c, s, parallel)
		},
	}
	c.add(cmd)
	f := cmd.Flags()
	f.IntVar(&parallel, "parallel", 2, "folds at once")
	f.BoolVar(&c.o.MeasureAgain, "measure-again", false, "measure all folds anew, for instance against other --regions; nothing is trained again")
	f.StringVar(&index, "index", "", "run one fold in this process: its number, or auto for a cluster's task")
	f.BoolVar(&report, "report", false, "with --index: report progress as JSON lines")
	must(f.MarkHidden("report"))
	cmd.AddCommand(cvConfigCommand(), cvStatusCommand(), cvPlanCommand(), cvMergeCommand())
	return cmd
}

// runFold runs one fold in this process: a task of a cluster, or one that
// runStudy has started.
func runFold(cmd *cobra.Command, s *study.Study, index string, report bool) error {
	i, err := s.Index(index, os.Getenv)
	if err != nil {
		return usageError{err}
	}
	task := s.Tasks[i]
	shown := trainingProgress(cmd.ErrOrStderr())
	if report {
		p := study.Reporting(cmd.OutOrStdout(), s.Config.Training(task.Variant).Epochs)
		p.Say = shown.Say
		return s.RunFold(cmd.Context(), task, p)
	}
	bar := newBar(cmd.ErrOrStderr(), 1)
	bar.Describe("where it looked")
	return s.RunFold(cmd.Context(), task, study.Progress{
		Progress: shown,
		Measured: func(done, total int) {
			bar.ChangeMax(total)
			_ = bar.Set(done)
		},
	})
}

func runStudy(cmd *cobra.Command, c *cvFlags, s *study.Study, parallel int) error {
	out := newCVProgress(cmd.ErrOrStderr())
	p := study.Processes{Study: s, Parallel: parallel, Watch: out.show,
		Command: func(task int) *exec.Cmd {
			// This very program, even if another one is built in its place
			// meanwhile: a study is of one version.
			cmd := exec.Command("/proc/self/exe", append([]string{"cv"}, c.args()...)...)
			cmd.Args[0] = os.Args[0]
			cmd.Args = append(cmd.Args, "--threads", strconv.Itoa(c.o.Cores), "--index", strconv.Itoa(task), "--report")
			return cmd
		}}
	err := p.RunAll(cmd.Context())
	out.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "all %d folds are finished: %s\n%s\n", len(s.Tasks), s.Dir, spine.IntendedUse)
	return nil
}

func cvConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "Print the default configuration, with what each key means", Args: cobra.NoArgs,
		Example: "  spinelab cv config > study.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(study.DefaultConfig)
			return err
		},
	}
}

func cvMergeCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "merge DIR… --out DIR",
		Short: "Collect the finished folds of one study from several folders",
		Long: `Collect the finished folds of one study from several folders of runs or landing
folders: their small files, not their weights. Folders of another configuration
or of other folds are refused. What is missing is named, and then the exit code
is 1.`,
		Example: `  spinelab cv merge runs/monday runs/tuesday --out runs/whole`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			missing, err := study.Merge(args, out)
			if err != nil {
				return err
			}
			if len(missing) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "all folds are there: %s\n", out)
				return nil
			}
			text := fmt.Sprintf("missing in %s:", out)
			for _, t := range missing {
				text += "\n  " + t.String()
			}
			return errors.New(text)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the folder to collect in")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

func cvPlanCommand() *cobra.Command {
	c := &cvFlags{}
	var p study.Plan
	var slurm, kubernetes bool
	cmd := &cobra.Command{
		Use:   "plan --slurm | --kubernetes",
		Short: "Print the job that runs a study on a cluster, one task for each fold",
		Long: `Print the job that runs a study on a cluster, one task for each fold: an array
script for Slurm, or an Indexed Job for Kubernetes. Data, configuration and runs
have to lie on a folder that all machines share. Each task calls "spinelab cv
--index auto", which takes its number from SLURM_ARRAY_TASK_ID or
JOB_COMPLETION_INDEX. A task that dies is simply submitted again.`,
		Example: `  spinelab cv plan --slurm --data xrays --config study.yaml --out runs/study | sbatch
  spinelab cv plan --kubernetes --image registry.example/spinelab:1 --claim study \
    --data xrays --config study.yaml --out runs/study | kubectl apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if slurm == kubernetes {
				return usageError{errors.New("give one of --slurm and --kubernetes")}
			}
			s, err := c.open()
			if err != nil {
				return err
			}
			p.Tasks, p.Threads, p.Args, p.Log = len(s.Tasks), c.o.Cores, c.args(), c.o.Dir
			if p.Program, err = os.Executable(); err != nil {
				return err
			}
			if kubernetes {
				if !cmd.Flags().Changed("memory") {
					p.Memory += "i"
				}
				return p.Kubernetes(cmd.OutOrStdout())
			}
			if p.Log, err = filepath.Abs(p.Log); err != nil {
				return err
			}
			return p.Slurm(cmd.OutOrStdout())
		},
	}
	c.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&slurm, "slurm", false, "an array script for sbatch")
	f.BoolVar(&kubernetes, "kubernetes", false, "an Indexed Job for kubectl")
	f.StringVar(&p.Memory, "memory", "6G", "of one task")
	f.StringVar(&p.Image, "image", "", "Kubernetes: the container image with spinelab")
	f.StringVar(&p.Claim, "claim", "", "Kubernetes: the volume claim with data, configuration and runs")
	f.StringVar(&p.Mount, "mount", "/study", "Kubernetes: where that volume is mounted; paths begin there")
	return cmd
}
