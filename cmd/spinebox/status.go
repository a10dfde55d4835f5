package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"spinebox/internal/spine"
)

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
			if config.Kiosk.Listen == "" {
				return withHint(errors.New("the configuration has no kiosk, so there is nobody to ask"),
					"give kiosk.listen an address such as 127.0.0.1:8480, or look with `systemctl status spinebox`")
			}
			raw, err := askStatus(config.Kiosk.Listen)
			if err != nil {
				return withHint(err, "`systemctl status spinebox` says whether it runs, `journalctl -u spinebox` why not")
			}
			if asJSON {
				_, err = c.OutOrStdout().Write(raw)
				return err
			}
			var s spine.Status
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("understand the service's answer: %w", err)
			}
			return printStatus(c.OutOrStdout(), s)
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE` of the service")
	c.Flags().BoolVar(&asJSON, "json", false, "print the service's own JSON")
	return c
}

// askStatus returns the service's status as JSON.
func askStatus(address string) ([]byte, error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + address + "/api/status")
	if err != nil {
		return nil, fmt.Errorf("no service answers: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("what answers at %s is not spinebox (%s)", address, response.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the service's answer: %w", err)
	}
	return raw, nil
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
	line("results", "%d classified, %d refused, %d failed; %d duplicates", s.Classified, s.Refused, s.Failed, s.Duplicates)
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
