package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"spinebox/internal/spine"
)

func queueCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "queue",
		Short: "Look after the files that failed, and see what waits for the hub",
		Long: `Look after the files that failed. The box keeps each in quarantine with the
reason, until a retry succeeds or somebody discards it. It works beside the
running service, and without it.`,
		Example: `  spinebox queue list
  spinebox queue retry 3f9a1c`,
	}
	return group(c,
		queueAction("list", "", "List the files in quarantine", printQueue),
		queueAction("show", "ID", "Show one file in quarantine: where it came from, and each attempt", printFile),
		queueAction("retry", "ID", "Judge a file in quarantine once more", printRetry),
		queueAction("discard", "ID", "Remove a file from quarantine for good", printDiscard),
	)
}

// queueAction makes a command that asks the desk one thing. ID is the beginning
// of a file's digest.
func queueAction[T any](name, id, short string, show func(io.Writer, *T) error) *cobra.Command {
	var path string
	var asJSON bool
	use, check, example := name, arguments(cobra.NoArgs), "  spinebox queue "+name
	if id != "" {
		use, check, example = name+" "+id, arguments(cobra.ExactArgs(1)), example+" 3f9a1c"
	}
	c := &cobra.Command{
		Use: use, Short: short, Example: example + "\n" + example + " --json", Args: check,
		RunE: func(c *cobra.Command, args []string) error {
			config, err := loadConfig(path)
			if err != nil {
				return err
			}
			var request aboutFile
			if len(args) == 1 {
				request.ID = args[0]
			}
			answer := new(T)
			err = ask(c.Context(), config.Data, "queue-"+name, request, answer)
			if errors.Is(err, errNotRunning) {
				err = atDesk(config, func(d *desk) error {
					direct, err := d.actions()["queue-"+name](request)
					if err == nil {
						answer = direct.(*T)
					}
					return err
				})
			}
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(c.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(answer)
			}
			return show(c.OutOrStdout(), answer)
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE` of the service")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printQueue(out io.Writer, q *queue) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(q.Files) > 0 {
		fmt.Fprintln(table, "ID\tRECEIVED\tSHARE\tATTEMPTS\tSTAGE\tCODE\t")
	}
	for _, f := range q.Files {
		last, note := f.Last(), ""
		if f.Requested {
			note = "retry asked for"
		}
		fmt.Fprintf(table, "%.12s\t%s\t%s\t%d\t%s\t%s\t%s\n", f.Digest, clock(f.Received), f.Source, len(f.Attempts), last.Stage, last.Code, note)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if q.Full != "" {
		fmt.Fprintf(out, "%s: new X-rays stay on the share\n", q.Full)
	}
	_, err := fmt.Fprintf(out, "%s in quarantine, %s for the hub\n%s\n",
		english.Plural(len(q.Files), "file", ""), english.Plural(q.Outbox, "result waits", "results wait"), q.Use)
	return err
}

func printFile(out io.Writer, f *queuedFile) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) { fmt.Fprintf(table, what+"\t"+format+"\n", args...) }
	line("id", "%s", f.Digest)
	line("file", "%q on share %s, %d bytes", f.Name, f.Source, f.Size) // quoted: a name may hold anything
	line("captured", "%s", clock(f.Captured))
	line("received", "%s", clock(f.Received))
	for _, a := range f.Attempts {
		line(fmt.Sprintf("attempt %d", a.Attempt), "%s, %s at %s: %s", clock(a.Finished), a.Code, a.Stage, a.Reason)
	}
	switch {
	case !f.Delivered.IsZero():
		line("hub", "has this result since %s", clock(f.Delivered))
	case !f.Queued.IsZero():
		line("hub", "the result waits since %s", clock(f.Queued))
	}
	if f.Requested {
		line("retry", "asked for")
	}
	line("", "%s", f.Last().Sentence)
	line("", "%s", spine.IntendedUse)
	return table.Flush()
}

func printRetry(out io.Writer, f *queuedFile) error {
	_, err := fmt.Fprintf(out, "%.12s will be judged once more, within seconds or when the service is next started\n", f.Digest)
	return err
}

func printDiscard(out io.Writer, f *queuedFile) error {
	_, err := fmt.Fprintf(out, "%.12s is discarded; its result stays with the hub\n", f.Digest)
	return err
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
