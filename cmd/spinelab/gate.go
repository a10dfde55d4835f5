package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/limits"
	"spinebox/models/description"
)

func gateCommand() *cobra.Command {
	m := limits.Measurement{}
	var data, out string
	cmd := &cobra.Command{
		Use:   "gate --run DIR --data DIR",
		Short: "Measure what a trained model refuses, and what each threshold costs",
		Long: `Measure what a trained model refuses: of its validation and held-out pictures, of
strangers that are made for it (pictures of anything but a spine), and of the
pictures in --against. "spinelab train" has set the limits; this changes none.
Prints what is refused, and writes a table of what each threshold costs.`,
		Example: `  spinelab gate --run runs/first --data xrays
  spinelab gate --run runs/first --data xrays --against not-spine --out gate.md`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if m.Each < 1 || m.Each > 1000 {
				return usageError{fmt.Errorf("--strangers %d is outside 1 to 1000", m.Each)}
			}
			set, err := dataset.Read(data)
			if err != nil {
				return err
			}
			m.Data, m.Cores = set, runtime.NumCPU()
			d, groups, err := m.Do(cmd.Context())
			if err != nil {
				return err
			}
			return reportGate(cmd.OutOrStdout(), out, d, groups)
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Run, "run", "", "the training's folder")
	f.StringVar(&data, "data", "", "the data set's folder that it was trained on")
	f.StringVar(&m.Against, "against", "", "a folder of pictures that are no spines")
	f.IntVar(&m.Each, "strangers", 20, "made strangers of each kind")
	f.StringVar(&out, "out", "", "write the tables into this Markdown file")
	must(cmd.MarkFlagRequired("run"))
	must(cmd.MarkFlagRequired("data"))
	return cmd
}

func reportGate(w io.Writer, file string, d *description.Model, groups []limits.Group) error {
	for _, gap := range d.Gaps() {
		fmt.Fprintf(w, "no limit for: %s\n", gap)
	}
	for _, g := range groups {
		fmt.Fprintf(w, "%-28s %s\n", g.Name, g.Codes(d.Thresholds))
	}
	if file != "" {
		var page bytes.Buffer
		fmt.Fprintf(&page, "Model %s %s (`%.12s`).\n\n", d.Name, d.Version, d.Digest())
		if err := limits.WriteCost(&page, d.Thresholds, groups); err != nil {
			return err
		}
		fmt.Fprint(&page, "\nRisk and coverage of the answers:\n\n")
		if err := limits.WriteRisk(&page, groups[:2]); err != nil {
			return err
		}
		if err := replaceTables(file, page.Bytes()); err != nil {
			return err
		}
		fmt.Fprintf(w, "tables: %s\n", file)
	}
	fmt.Fprintln(w, spine.IntendedUse)
	return nil
}

// The lines between which a page holds the command's tables.
const (
	tablesBegin = "<!-- spinelab gate writes from here -->\n"
	tablesEnd   = "<!-- to here -->\n"
)

// replaceTables writes the tables into the file, between its two marks if it
// has them, so that what people wrote around them stays.
func replaceTables(file string, tables []byte) error {
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	before, rest, begun := bytes.Cut(old, []byte(tablesBegin))
	_, after, ended := bytes.Cut(rest, []byte(tablesEnd))
	if len(old) > 0 && !(begun && ended) {
		return fmt.Errorf("%s exists and has no lines %q and %q: its text would be lost", file, tablesBegin[:len(tablesBegin)-1], tablesEnd[:len(tablesEnd)-1])
	}
	page := bytes.Join([][]byte{before, []byte(tablesBegin), tables, []byte(tablesEnd), after}, nil)
	return os.WriteFile(file, page, 0o644)
}
