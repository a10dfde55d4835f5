package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"spinebox/internal/spine"
)

// statusWait is how long the service may take to answer.
const statusWait = 5 * time.Second

func statusCommand() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Ask the running service how it fares",
		Example: `  spinebox status
  spinebox status --json | jq .outbox`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := loadConfig(path)
			if err != nil {
				return err
			}
			ctx, stop := context.WithTimeout(c.Context(), statusWait)
			defer stop()
			var s spine.Status
			err = ask(ctx, config.Data, "status", struct{}{}, &s)
			if errors.Is(err, errNotRunning) {
				return withHint(err, "`systemctl status spinebox` says whether it runs, `journalctl -u spinebox` why not")
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), struct {
					spine.Status
					Use string `json:"use"`
				}{s, spine.IntendedUse})
			}
			return printStatus(c.OutOrStdout(), s)
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE` of the service")
	c.Flags().BoolVar(&asJSON, "json", false, "print the service's own JSON")
	return c
}

func printStatus(out io.Writer, s spine.Status) error {
	var err error
	line := func(what, format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(out, "%-12s%s\n", what, fmt.Sprintf(format, args...))
		}
	}
	switch {
	case s.Trouble != "":
		line("state", "NEEDS SOMEBODY: %s", s.Trouble)
	case !s.Ready:
		line("state", "starting")
	case s.Busy:
		line("state", "working")
	default:
		line("state", "ready")
	}
	line("version", "%s, running since %s", s.Version, s.Started.Local().Format("2006-01-02 15:04:05"))
	for _, m := range s.Models {
		line("model", "%s %s (%.12s)%s", m.Name, m.Version, m.Digest, map[bool]string{true: ", not signed"}[s.Unsigned])
	}
	if len(s.Gaps) > 0 {
		line("no limits", "for %s", strings.Join(s.Gaps, "; "))
	}
	if s.Reading != "" {
		line("reading", "%s", s.Reading)
	}
	line("decoding", "%s", describeDecoder(s.Decoder))
	for _, name := range slices.Sorted(maps.Keys(s.Shares)) {
		line("share", "%s %s", name, describeShare(s.Shares[name]))
	}
	line("broker", "%s", describeLink(s.Broker))
	for _, p := range [][2]string{{"lamps", s.Panel.Lamps}, {"display", s.Panel.Display}} {
		if p[1] != "" {
			line(p[0], "DO NOT OBEY: %s", p[1])
		}
	}
	if s.Disk.Size > 0 {
		line("disk", "%s of %s free", humanize.Bytes(uint64(s.Disk.Free)), humanize.Bytes(uint64(s.Disk.Size)))
	}
	line("to send", "%d", s.Outbox)
	line("quarantine", "%d", s.Quarantine)
	line("results", "%d classified, %d refused, %d failed; %s", s.Classified, s.Refused, s.Failed, english.Plural(int(s.Duplicates), "duplicate", ""))
	line("", "%s", spine.IntendedUse)
	return err
}

func describeDecoder(d spine.DecoderStatus) string {
	text := "confined"
	switch {
	case d.Landlock == 0 && !d.Seccomp:
		text = "LIMITED ONLY: this kernel has neither Landlock nor seccomp"
	case d.Landlock == 0:
		text = "confined by seccomp; this kernel has no Landlock"
	case !d.Seccomp:
		text = "confined by Landlock; this kernel has no seccomp"
	}
	if !d.Compressed {
		text += "; no compressed DICOM (install libgdcm-tools)"
	}
	return text
}

func describeShare(s spine.ShareStatus) string {
	text := "online"
	if !s.Online {
		text = "OFFLINE"
	}
	if s.Waiting > 0 {
		text += fmt.Sprintf(", %d waiting", s.Waiting)
	}
	if s.Error != "" {
		text += ": " + s.Error
	}
	return text
}

func describeLink(l spine.LinkStatus) string {
	switch {
	case !l.Configured:
		return "none configured"
	case l.Online:
		return "online"
	case l.Error != "":
		return "OFFLINE: " + l.Error
	}
	return "OFFLINE"
}
