package main

import (
	"fmt"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Check or print the configuration",
		Example: `  spinebox config check --config spinebox.yml
  spinebox config print > spinebox.yml`,
	}, configCheckCommand(), configPrintCommand())
}

func configCheckCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the configuration, and what to do",
		Long: `Say everything that is wrong with the configuration and with what it names
(key, model, certificates, pins), each with what to do. Nothing is started or
changed. A share that is not mounted now is no mistake: the service waits for it.`,
		Example: `  sudo -u spinebox spinebox config check
  spinebox config check --config demo/trial/spinebox.yml`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			config, problems, err := readConfig(path)
			if err != nil {
				return err
			}
			var found []problem
			var notes []string
			if !config.source.broken {
				found, notes = config.inspect()
			}
			for _, p := range append(problems, found...) {
				fmt.Fprintln(c.OutOrStdout(), p)
			}
			for _, n := range notes {
				fmt.Fprintln(c.OutOrStdout(), "note:", n)
			}
			if n := len(problems) + len(found); n > 0 {
				return &usageError{fmt.Errorf("the configuration needs %s", english.Plural(n, "change", ""))}
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is in order\n", path)
			return err
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE`")
	return c
}

func configPrintCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration with its comments",
		Long: `Print the default configuration with its comments, to begin one of your own.
With --config, print that file as the service understands it: the defaults
filled in, paths absolute.`,
		Example: `  spinebox config print > spinebox.yml
  spinebox config print --config /etc/spinebox/spinebox.yml`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			text := defaultConfig
			if path != "" {
				config, err := loadConfig(path)
				if err != nil {
					return err
				}
				if text, err = config.printed(); err != nil {
					return err
				}
			}
			_, err := c.OutOrStdout().Write(text)
			return err
		},
	}
	c.Flags().StringVar(&path, "config", "", "print the effective configuration of `FILE` instead of the default")
	return c
}
