package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"spinebox/models/slots"
)

func deactivateCommand() *cobra.Command {
	return modelSubcommand(&cobra.Command{
		Use:   "deactivate",
		Short: "Let the second reader read no more",
		Long: `Let the second reader read no more: the first answers alone from the next X-ray
on. Its model stays installed, for ` + "`spinebox model rollback --reader second`" + `.`,
		Example: "  sudo -u spinebox spinebox model deactivate",
		Args:    arguments(cobra.NoArgs),
	}, false, func(ctx context.Context, c *config, o modelOptions, _ []string) error {
		former, err := c.slots().Active(slots.Second)
		if err == nil {
			err = c.changeable()
		}
		if err != nil {
			return err
		}
		err = ask(ctx, c.Data, "model/deactivate", struct{}{}, new(struct{}))
		if errors.Is(err, errNotRunning) {
			err = c.slots().Deactivate(slots.Second)
		}
		if err != nil {
			return err
		}
		return printOne(c, o, filepath.Base(former), "reads no more: the first reader answers alone")
	})
}

func removeCommand() *cobra.Command {
	return modelSubcommand(&cobra.Command{
		Use:   "remove MODEL",
		Short: "Remove an installed model for good",
		Long:  "Remove an installed model for good. One that is active stays. " + namesOfModels,
		Example: `  sudo -u spinebox spinebox model remove resnet50@6
  sudo -u spinebox spinebox model remove 3f2a`,
		Args: arguments(cobra.ExactArgs(1)),
	}, false, func(_ context.Context, c *config, o modelOptions, args []string) error {
		digest, err := c.findModel(args[0])
		if err == nil {
			err = c.asOwner()
		}
		if err == nil {
			err = c.slots().Remove(digest)
		}
		if errors.Is(err, slots.ErrActive) {
			return withHint(err, "activate another one first, or `spinebox model deactivate` for the second reader")
		}
		if err != nil {
			return err
		}
		if o.json {
			return printJSON(o.out, map[string]string{"removed": digest})
		}
		_, err = fmt.Fprintf(o.out, "%.12s is removed\n", digest)
		return err
	})
}
