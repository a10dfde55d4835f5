package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"spinebox/lab/study"
)

func cvStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status RUNS",
		Short: "Show how a study stands, without touching it",
		Example: `  spinelab cv status runs/study
  spinelab cv status runs/study --json | jq .count`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := study.ReadStatus(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(s)
			}
			printStatus(cmd.OutOrStdout(), s)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(w io.Writer, s *study.Status) {
	for _, t := range s.Tasks {
		line := fmt.Sprintf("%-20s fold %d  %-9s", t.Variant, t.Fold, t.State)
		if t.Accuracy > 0 {
			line += fmt.Sprintf(" %5.1f %% of the held-out right, %s of training", 100*t.Accuracy, roughly(time.Duration(t.Seconds*float64(time.Second))))
		} else if t.Epoch > 0 {
			line += fmt.Sprintf(" epoch %d of %d", t.Epoch, t.Epochs)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		if t.Failure != "" {
			fmt.Fprintln(w, "    "+strings.ReplaceAll(t.Failure, "\n", "\n    "))
		}
	}
	fmt.Fprintf(w, "%d of %d folds finished, %d running, %d failed\n", s.Count.Finished, len(s.Tasks), s.Count.Running, s.Count.Failed)
}

// cvProgress shows how a study goes: on a terminal one line that changes and
// one for each fold that ends, elsewhere a line now and then.
type cvProgress struct {
	w        io.Writer
	terminal bool
	last     time.Time
}

func newCVProgress(w io.Writer) *cvProgress { return &cvProgress{w: w, terminal: isTerminal(w)} }

// everyLine is how often a log is told about epochs.
const everyLine = time.Minute

func (p *cvProgress) show(e study.Event) {
	switch e.What {
	case study.Started:
		p.line("%s begins", e.Task)
	case study.Ended:
		p.line("%s is finished", e.Task)
	case study.Failed:
		p.line("%s FAILED: %v", e.Task, e.Err)
	case study.Advanced:
		if !p.terminal && time.Since(p.last) < everyLine {
			return
		}
	}
	p.last = time.Now()
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", fitting(overall(e.Overall), p.w))
	} else {
		fmt.Fprintln(p.w, time.Now().Format(time.TimeOnly), overall(e.Overall))
	}
}

// line writes a line that stays.
func (p *cvProgress) line(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func (p *cvProgress) end() {
	if p.terminal && !p.last.IsZero() {
		fmt.Fprintln(p.w)
	}
}

// fitting cuts the text to the terminal's width: a line that wraps cannot be
// taken back.
func fitting(text string, w io.Writer) string {
	width := 80
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			width = int(size.Col)
		}
	}
	if runes := []rune(text); len(runes) >= width {
		return string(runes[:width-2]) + "…"
	}
	return text
}

// roughly writes a time as a person would say it.
func roughly(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= 100*time.Second:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

func overall(o study.Overall) string {
	text := fmt.Sprintf("%d of %d folds", o.Finished, o.Total)
	if o.Failed > 0 {
		text += fmt.Sprintf(", %d failed", o.Failed)
	}
	if o.Known && o.Left > 0 {
		text += fmt.Sprintf(", about %s left", roughly(o.Left))
	}
	for _, r := range o.Running {
		if r.Measured > 0 {
			text += fmt.Sprintf(" · %s: %.0f %% measured", r.Task, 100*r.Measured)
		} else {
			text += fmt.Sprintf(" · %s: %d/%d", r.Task, r.Epoch, r.Epochs)
		}
	}
	return text
}
