// Command spinelab makes and judges models: phantoms, training, and later the
// whole study of the paper. It is for a workstation or a cluster, never for
// the box.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
)

// version is set by the build.
var version = "development"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end, a second one ends at once.
	context.AfterFunc(ctx, stop)
	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "spinelab:", err)
	if _, refused := errors.AsType[refusedError](err); refused {
		return exitNotVerified
	}
	if usage := (usageError{}); errors.As(err, &usage) || isCobraUsage(err) {
		fmt.Fprintln(os.Stderr, "hint: spinelab --help, or spinelab COMMAND --help, shows examples")
		return 2
	}
	return 1
}

// exitNotVerified says that the release gate refuses (docs/formats.md, "Exit
// codes").
const exitNotVerified = 4

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "spinelab",
		Short: "Make and judge the models that Spinebox runs",
		Long:  "Make and judge the models that Spinebox runs.\n" + spine.IntendedUse,
		Example: `  spinelab demo
  spinelab phantom --out phantoms --count 600
  spinelab train --data phantoms --out runs/first`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(versionCommand(), auditCommand(), harmonizeCommand(), phantomCommand(), trainCommand(), cvCommand(), pretrainCommand(), weightsCommand(), modelCommand(), gateCommand(), lookCommand(), reportCommand(), releaseCommand(), demoCommand(), realCommand(), regionsCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  spinelab version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "spinelab", version)
			return err
		},
	}
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// isCobraUsage recognises cobra's own complaints, which have no type.
func isCobraUsage(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand", "required flag", "invalid argument", "accepts ", "requires ", "flag needs"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

// must panics on errors that only a mistake in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
