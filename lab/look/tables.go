package look

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"spinebox/explain/relevance"
	"spinebox/internal/spine"
)

// The tables' names in a fold's folder.
const (
	mapsFile   = "heatmaps.csv"
	floorsFile = "floors.csv"
	sanityFile = "sanity.csv"
	probeFile  = "probe.csv"
)

// Tables lists the files in a fold's folder that Fold writes and ReadFold
// needs, judged.json last. The folder with overlays is not among them.
func Tables() []string { return append(tableNames(), judgedFile) }

func tableNames() []string { return []string{mapsFile, floorsFile, sanityFile, probeFile} }

func mapsHeader() []string {
	header := []string{"sha256", "label", "answer", "empty"}
	for _, m := range Measures() {
		if m == Area {
			header = append(header, "region")
		}
		header = append(header, string(m))
	}
	return header
}

func floorsHeader() []string {
	header := []string{"floor", "sha256"}
	for _, m := range located() {
		header = append(header, string(m))
	}
	return header
}

func sanityHeader() []string { return []string{"step", "layer", "ssim", "spearman"} }

func probeHeader() []string {
	header := []string{"picture"}
	for y := range ProbeSide {
		for x := range ProbeSide {
			header = append(header, fmt.Sprintf("r%dc%d", y, x))
		}
	}
	return header
}

// tables returns the files' contents.
func (r *Rows) tables() (map[string][]byte, error) {
	maps, floors := [][]string{mapsHeader()}, [][]string{floorsHeader()}
	for _, m := range r.Maps {
		row := row{}
		row.text("sha256", m.SHA256)
		row.text("label", string(m.Label))
		row.text("answer", string(m.Answer))
		row.text("empty", strconv.FormatBool(m.Empty))
		row.text("region", m.Region)
		row.figures(m.Figures)
		maps = append(maps, row.cells(maps[0]))
	}
	for _, f := range r.Floors {
		row := row{}
		row.text("floor", string(f.Kind))
		row.text("sha256", f.SHA256)
		row.figures(f.Figures)
		floors = append(floors, row.cells(floors[0]))
	}
	sanity, probe := [][]string{sanityHeader()}, [][]string{probeHeader()}
	for _, s := range r.Sanity {
		sanity = append(sanity, []string{strconv.Itoa(s.Step), s.Layer, number(s.SSIM), number(s.Spearman)})
	}
	for _, p := range r.Probe {
		line := []string{strconv.Itoa(p.Picture)}
		for _, v := range p.Map.Values {
			line = append(line, number(float64(v)))
		}
		probe = append(probe, line)
	}
	files := map[string][]byte{}
	for name, rows := range map[string][][]string{mapsFile: maps, floorsFile: floors, sanityFile: sanity, probeFile: probe} {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.WriteAll(rows); err != nil {
			return nil, err
		}
		if bytes.Contains(b.Bytes(), []byte("NaN")) || bytes.Contains(b.Bytes(), []byte("Inf")) {
			return nil, fmt.Errorf("%s would hold a figure that is no number", name)
		}
		files[name] = b.Bytes()
	}
	return files, nil
}

// row is one line of a table by its columns' names; a column without a value
// is empty.
type row map[string]string

func (r row) text(column, value string) { r[column] = value }

func (r row) figures(f Figures) {
	for m, v := range f {
		r[string(m)] = number(v)
	}
}

func (r row) cells(header []string) []string {
	cells := make([]string, len(header))
	for i, column := range header {
		cells[i] = r[column]
	}
	return cells
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }

// readTables reads the four tables of a fold's folder.
func readTables(dir string) (*Rows, error) {
	r := new(Rows)
	err := readTable(dir, mapsFile, mapsHeader(), func(row row) error {
		m := Map{SHA256: row["sha256"], Label: spine.Label(row["label"]), Answer: spine.Label(row["answer"]), Region: row["region"]}
		for _, l := range []spine.Label{m.Label, m.Answer} {
			if !slices.Contains(spine.Labels(), l) {
				return fmt.Errorf("no class is called %q", l)
			}
		}
		var err error
		if m.Empty, err = strconv.ParseBool(row["empty"]); err != nil {
			return err
		}
		m.Figures, err = row.read(Measures())
		r.Maps = append(r.Maps, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = readTable(dir, floorsFile, floorsHeader(), func(row row) error {
		f := Floor{Kind: FloorKind(row["floor"]), SHA256: row["sha256"]}
		if !slices.Contains(FloorKinds(), f.Kind) {
			return fmt.Errorf("no floor is called %q", f.Kind)
		}
		var err error
		f.Figures, err = row.read(located())
		r.Floors = append(r.Floors, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = readTable(dir, sanityFile, sanityHeader(), func(row row) error {
		step, err := strconv.Atoi(row["step"])
		if err != nil {
			return err
		}
		similar, err := row.read([]Measure{"ssim", "spearman"})
		r.Sanity = append(r.Sanity, Step{step, row["layer"], similar["ssim"], similar["spearman"]})
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, readTable(dir, probeFile, probeHeader(), func(row row) error {
		picture, err := strconv.Atoi(row["picture"])
		if err != nil {
			return err
		}
		p := Probed{picture, relevance.NewPlane(ProbeSide, ProbeSide)}
		for i, column := range probeHeader()[1:] {
			v, err := parse(row[column])
			if err != nil {
				return err
			}
			p.Map.Values[i] = float32(v)
		}
		r.Probe = append(r.Probe, p)
		return nil
	})
}

// read returns the figures that the row has of these.
func (r row) read(measures []Measure) (Figures, error) {
	f := Figures{}
	for _, m := range measures {
		if r[string(m)] == "" {
			continue
		}
		v, err := parse(r[string(m)])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m, err)
		}
		f[m] = v
	}
	return f, nil
}

func parse(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = fmt.Errorf("%s is no number", s)
	}
	return v, err
}

// readTable hands each line below the header to each.
func readTable(dir, name string, header []string, each func(row) error) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(rows) == 0 || !slices.Equal(rows[0], header) {
		return fmt.Errorf("%s has other columns than this program writes: judge the fold again", name)
	}
	for i, cells := range rows[1:] {
		row := row{}
		for k, column := range header {
			row[column] = cells[k]
		}
		if err := each(row); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, i+2, err)
		}
	}
	return nil
}
