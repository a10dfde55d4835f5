// Command spinebox is the box beside the X-ray unit: it watches a scanner's
// share, answers each X-ray with a class and a heatmap or says why not, and
// sends the results on. `spinebox --help` lists its commands.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
)

// version is set by the linker: -ldflags "-X main.version=…".
var version = "development"

func main() { os.Exit(run(nil)) }

// run is main with something between the pipeline and the network, and returns
// the exit code.
func run(decorate decorator) int {
	err := newCommand(decorate).Execute()
	if err != nil {
		fmt.Fprintln(os.Stderr, "spinebox:", err)
		if h, ok := errors.AsType[*hinted](err); ok {
			fmt.Fprintln(os.Stderr, "hint:", h.hint)
		}
	}
	return exitCode(err)
}

// The exit codes, the same in all three programs (docs/formats.md).
const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2
	exitPartial = 3 // some files failed
	exitNoModel = 5
)

// errPartial says that some files failed, and not all.
var errPartial = errors.New("some files failed")

// errNoModel says that nothing names a model.
var errNoModel = errors.New("no model is given, and there is no configuration that names one")

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	_, usage := errors.AsType[*usageError](err)
	switch {
	case err == nil:
		return exitOK
	case usage, errors.Is(err, errNoConfig):
		return exitUsage
	case errors.Is(err, errPartial):
		return exitPartial
	case errors.Is(err, errModel), errors.Is(err, errNoModel):
		return exitNoModel
	}
	return exitError
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// hinted is an error with what to do about it.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

func withHint(err error, hint string) error { return &hinted{err, hint} }

func newCommand(decorate decorator) *cobra.Command {
	root := &cobra.Command{
		Use:     "spinebox",
		Version: version,
		Short:   "Classify spine X-rays and show where the network looked",
		Long: "Spinebox watches the folder that an X-ray unit writes to, classifies each spine X-ray as normal,\n" +
			"scoliosis or spondylolisthesis with a heatmap, or says why it does not answer.\n" + spine.IntendedUse,
		Example: `  spinebox classify x-ray.dcm              # one answer, now
  spinebox serve --config spinebox.yml     # the service
  spinebox status                          # how the service fares`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return asUsage(c, err) })
	group(root, serveCommand(decorate), classifyCommand(), statusCommand(), doctorCommand(), queueCommand(), modelCommand(), backupCommand(), restoreCommand(), configCommand(), keyCommand(), panelCommand(), versionCommand())
	return root
}

// group makes parent a command that only has others beneath it.
func group(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.AddCommand(children...)
	parent.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return asUsage(c, fmt.Errorf("there is no command %q", args[0]))
		}
		return nil
	}
	parent.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return parent
}

// arguments makes a violation of check a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return asUsage(c, err)
		}
		return nil
	}
}

func asUsage(c *cobra.Command, err error) error {
	return withHint(&usageError{err}, fmt.Sprintf("`%s --help` shows how it is used", c.CommandPath()))
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  spinebox version",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "spinebox", version)
			return err
		},
	}
}
