// Command spinehub is the hospital's server: it takes the results of all boxes
// from the broker, keeps them, and sends the receipts that let the boxes
// forget. `spinehub --help` lists its commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"spinebox/hub/store"
	"spinebox/internal/spine"
)

// version is set by the linker: -ldflags "-X main.version=…".
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := newCommand().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "spinehub:", err)
		if hint := hintFor(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
	}
	os.Exit(exitCode(err))
}

// The exit codes, the same in all three programs (docs/formats.md).
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitError
}

// usageError is a command line that makes no sense, to a command.
type usageError struct {
	error
	command string
}

func (e *usageError) Unwrap() error { return e.error }

func asUsage(c *cobra.Command, err error) error { return &usageError{err, c.CommandPath()} }

// hintFor says what to do about an error, if that is known.
func hintFor(err error) string {
	usage, ok := errors.AsType[*usageError](err)
	switch {
	case ok:
		return fmt.Sprintf("`%s --help` shows how it is used", usage.command)
	case errors.Is(err, store.ErrInUse):
		return "stop the other spinehub, or give this one another --store"
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens there: stop it, give another --embedded-broker address, or, if it is a broker, use it with --broker"
	case errors.Is(err, store.ErrLost):
		return "look at the disk of the store, then start spinehub again: it keeps what is whole"
	case errors.Is(err, fs.ErrNotExist):
		return "`spinehub serve --store DIR` makes the store"
	}
	return ""
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:     "spinehub",
		Version: version,
		Short:   "Keep the results of all boxes",
		Long: "Spinehub takes the results of all boxes from an MQTT broker, keeps them, and sends each box the\n" +
			"receipts that let it forget.\n" + spine.IntendedUse,
		Example: `  spinehub serve --broker tcp://broker:1883 --store /var/lib/spinehub
  spinehub results --store /var/lib/spinehub`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return asUsage(c, fmt.Errorf("there is no command %q", args[0]))
			}
			return nil
		},
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(asUsage)
	root.AddCommand(serveCommand(), resultsCommand(), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  spinehub version",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "spinehub", version)
			return err
		},
	}
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return asUsage(c, fmt.Errorf("%q is one argument too many", args[0]))
	}
	return nil
}
