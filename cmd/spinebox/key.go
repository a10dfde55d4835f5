package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"spinebox/sync/wire"
)

func keyCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "key",
		Short:   "Make the site's key",
		Example: "  spinebox key init",
	}, keyInitCommand())
}

func keyInitCommand() *cobra.Command {
	var configPath string
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Make the site's key, once for all boxes of the site",
		Long: `Make the site's key where the configuration wants it, or in FILE. There is one
key for each site: make it on the first box and carry it to the others. With
another key, the same X-ray would become another image at the hub. An existing
key is never overwritten.`,
		Example: `  sudo spinebox key init
  spinebox key init --config demo/trial/spinebox.yml
  spinebox key init site.key`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			} else {
				config, _, err := readConfig(configPath) // the key may be all that is missing
				if err != nil {
					return err
				}
				path = config.Key
			}
			err := wire.CreateSiteKey(path)
			if errors.Is(err, fs.ErrExist) {
				return withHint(fmt.Errorf("there is a key at %s already", path),
					"keep it: what was sent under it can be found under no other")
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "made %s\nGive it to the service's user (chown spinebox: %[1]s) and copy it to the site's other boxes, by hand.\n", path)
			return err
		},
	}
	c.Flags().StringVar(&configPath, "config", defaultPath, "configuration `FILE` that names the key's place")
	return c
}
