package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"spinebox/hub/store"
	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

func resultsCommand() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "results --store DIR",
		Short: "List the current result of every image",
		Long: "List the current result of every image, in the order of their arrival. A result that a later\n" +
			"attempt superseded is left out. The store may be in use.\n" + spine.IntendedUse,
		Example: `  spinehub results --store /var/lib/spinehub
  spinehub results --store /var/lib/spinehub --json | jq .label`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return asUsage(c, errors.New("--store is missing"))
			}
			out := c.OutOrStdout()
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			err := store.Current(dir, log, func(e store.Entry) error { return show(out, e.Result, asJSON) })
			if err == nil && !asJSON {
				_, err = fmt.Fprintln(out, spine.IntendedUse)
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "store", "", "the `folder` with the results")
	c.Flags().BoolVar(&asJSON, "json", false, "print the messages, one a line")
	return c
}

// show writes one result on one line, as the message or for people.
func show(out io.Writer, r wire.Result, asJSON bool) error {
	text := describe(r)
	if asJSON {
		message, err := r.Encode()
		if err != nil {
			return err
		}
		text = string(message)
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// describe says in one line when, where and what; the beginning of the image's
// identifier is there to tell two apart.
func describe(r wire.Result) string {
	answer := fmt.Sprintf("%s: %s", r.Outcome, r.Code)
	if r.Outcome == spine.Classified {
		answer = string(r.Label)
	}
	probability := ""
	for _, reading := range r.Readings {
		if p, ok := reading.Probabilities[r.Label]; ok {
			probability = fmt.Sprintf("%.1f %%", 100*p)
			break // the first reader's: the one for classes
		}
	}
	waited := ""
	if r.Historical {
		waited = "  (waited)"
	}
	return fmt.Sprintf("%s  %-20s  %-28s %7s  image %.12s%s",
		r.Finished.Local().Format("2006-01-02 15:04:05"), r.Site+"/"+r.Device, answer, probability, r.Image, waited)
}
