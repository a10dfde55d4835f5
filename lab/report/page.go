package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"spinebox/internal/spine"
	"spinebox/lab/look"
)

//go:embed page.html
var pageText string

// Write writes report.html, report.json and tables/*.csv into the folder. The
// page holds X-rays where their overlays are at hand: it belongs where the data
// set belongs.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "tables"), 0o755); err != nil {
		return err
	}
	files := map[string]func(io.Writer) error{"report.html": r.Page, "report.json": r.JSON}
	for _, t := range r.Tables() {
		files[filepath.Join("tables", t.Name+".csv")] = t.CSV
	}
	for name, to := range files {
		if err := write(filepath.Join(dir, name), to); err != nil {
			return err
		}
	}
	return nil
}

// write leaves the old file or the whole new one: who reads the page while it
// is made again sees no half of it.
func write(name string, to func(io.Writer) error) error {
	f, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	err = to(f)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(name+".part", name)
}

// JSON writes all figures.
func (r *Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(r)
}

// Page writes the report as one page that needs nothing else.
func (r *Report) Page(w io.Writer) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"percent":  percent,
		"number":   func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) },
		"short2":   func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) },
		"p":        pValue,
		"px":       func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) },
		"labels":   spine.Labels,
		"colour":   classColour,
		"roc":      rocPlot,
		"reliable": reliabilityPlot,
		"learning": learningPlot,
		"risk":     r.riskPlots,
		"sanity":   r.sanityPlots,
		"forests":  r.forests,
		"beside":   r.beside,
		"groups":   groups,
		"classes":  classes,
		"figure":   func(g look.Group, m look.Measure) look.Estimate { return g.Figures[m] },
		"centred":  func(g look.Group, m look.Measure) look.Estimate { return g.Floors[look.Centred][m] },
		"mapRows":  mapRows,
		"measures": measureNames,
		"halves":   halves,
		"sheets":   r.sheets,
		"strength": strength,
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(w, r)
}

// pValue as it is written: nothing is certain to three decimals below 0.001.
func pValue(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

func (r *Report) networks() []string {
	var all []string
	for _, v := range r.Variants {
		if !slices.Contains(all, v.Network) {
			all = append(all, v.Network)
		}
	}
	return all
}

func (r *Report) riskPlots() []*Plot {
	var all []*Plot
	for _, n := range r.networks() {
		all = append(all, riskPlot(n, r.Variants))
	}
	return all
}

// forests are the first page's two pictures: how often right, and where the
// maps lie.
func (r *Report) forests() []*forest {
	low := 0.5
	for _, v := range r.Variants {
		low = min(low, v.Accuracy.Low)
	}
	for _, f := range r.Floors {
		low = min(low, f.Accuracy.Value)
	}
	low = math.Floor(10*low) / 10
	accuracy := newForest("How often right", "share right, with 95 % interval", axis{low, 1}, len(r.Variants))
	accuracy.line("without seeing the spine: "+lower(r.blind().Name), grey, "4 3", r.blind().Accuracy.Value)
	accuracy.line("the gate", "#222222", "1 2", r.Gate.Accuracy)
	top := 1.5
	measured := false
	for _, v := range r.Variants {
		if e, ok := liftOf(v); ok {
			top, measured = max(top, e.High), true
		}
	}
	lift := newForest("Where it looked", "lift: times as much of the map on the clinical region as chance", axis{0, math.Ceil(2*top) / 2}, len(r.Variants))
	lift.line("chance", grey, "4 3", 1)
	lift.line("the gate", "#222222", "1 2", r.Gate.Lift)
	for i, v := range r.Variants {
		accuracy.row(i, v.Name, networkColour(v.Network), v.Accuracy)
		if k := slices.IndexFunc(r.Paper, func(p Published) bool { return p.Variant == v.Name && p.Known }); k >= 0 {
			accuracy.Marks = append(accuracy.Marks, mark{X: accuracy.px(r.Paper[k].Accuracy.Value), Y: accuracy.Rows[i].At, Colour: "#222222", Hollow: true})
		}
		if e, ok := liftOf(v); ok {
			lift.row(i, v.Name, networkColour(v.Network), e)
		} else {
			lift.Rows = append(lift.Rows, tick{lift.Top + forestRow*(float64(i)+0.5), v.Name})
		}
	}
	if !measured {
		return []*forest{accuracy}
	}
	return []*forest{accuracy, lift}
}

func liftOf(v Variant) (Estimate, bool) {
	if v.Maps == nil {
		return Estimate{}, false
	}
	e := v.Maps.All.Figures[look.Lift]
	if e.Interval == nil {
		return Estimate{}, false
	}
	return Estimate{e.Mean, *e.Interval}, true
}

// besideRow is the paper's row with ours.
type besideRow struct {
	Published
	Ours   *Variant // nil when none of its folds is finished
	Absent string   // why there is none
}

// beside joins the paper's table with ours, ours alone last.
func (r *Report) beside() []besideRow {
	var rows []besideRow
	for _, p := range r.Paper {
		ours, _ := r.Variant(p.Variant)
		absent := "not in this study"
		if slices.Contains(r.Study.Missing, p.Variant) {
			absent = "not finished"
		}
		rows = append(rows, besideRow{p, ours, absent})
	}
	for i, v := range r.Variants {
		if !slices.ContainsFunc(r.Paper, func(p Published) bool { return p.Variant == v.Name }) {
			rows = append(rows, besideRow{Published: Published{Variant: v.Name}, Ours: &r.Variants[i]})
		}
	}
	return rows
}

// mapRow is a line of a variant's table of heatmap figures.
type mapRow struct {
	Name, Unit string
	Network    look.Estimate
	Floors     []look.Estimate // in the order of look.FloorKinds; N is 0 for what is not measured
}

// mapRows lists what is measured, the network beside its floors.
func mapRows(g look.Group) []mapRow {
	var rows []mapRow
	for _, m := range look.Measures() {
		e, ok := g.Figures[m]
		if !ok {
			continue
		}
		row := mapRow{Name: string(m), Network: e}
		for _, kind := range look.FloorKinds() {
			row.Floors = append(row.Floors, g.Floors[kind][m])
		}
		rows = append(rows, row)
	}
	return rows
}

// halves divides the measures into those that need a region and those that do
// not: one table of all is wider than a sheet of paper.
func halves() [][]look.Measure {
	region := []look.Measure{look.Area, look.Energy, look.Lift, look.Hit, look.IoU, look.AUPRC}
	return [][]look.Measure{region, slices.DeleteFunc(look.Measures(), func(m look.Measure) bool { return slices.Contains(region, m) })}
}

// measureName explains a measure on the page.
type measureName struct{ Name, Meaning string }

func measureNames() []measureName {
	meaning := map[look.Measure]string{
		look.Border:    "share of the map in the picture's outer tenth at each side; an even map has 0.36",
		look.Padding:   "share of the map beside the picture, where letterboxing padded",
		look.Marker:    "share of the map on burned-in markers, where they are known",
		look.Area:      "the region's share of the picture",
		look.Energy:    "share of the map inside the region (energy pointing game, Wang et al. 2020)",
		look.Lift:      "energy divided by area; 1 is chance",
		look.Hit:       "how often the maximum lies in the region (pointing game, Zhang et al. 2016)",
		look.IoU:       "the map above Otsu's threshold against the region (Saporta et al. 2022)",
		look.AUPRC:     "the map as a pixel classifier (Arun et al. 2021)",
		look.Insertion: "area under the answer's probability while what the map marks comes in, 20 steps, from a blurred picture; more is better",
		look.Deletion:  "the same while it is taken away; less is better",
		look.Drop:      "share of the answer's probability that is lost when only what the map marks is shown",
		look.Increase:  "how often the probability is greater then",
	}
	var all []measureName
	for _, m := range look.Measures() {
		all = append(all, measureName{string(m), meaning[m]})
	}
	return all
}

// sanityPlots show how alike the maps stay while the weights are taken away
// from the top (Adebayo et al. 2018): a map that stays the same does not show
// what the network has learned.
func (r *Report) sanityPlots() []*Plot {
	var all []*Plot
	for _, v := range r.Variants {
		if v.Maps != nil && len(v.Maps.Sanity) > 0 {
			all = append(all, sanityPlot(v))
		}
	}
	return all
}

// strength gives a share as an opacity, for a confusion's cells.
func strength(n int, row []int) string {
	sum := 0
	for _, k := range row {
		sum += k
	}
	return strconv.FormatFloat(0.85*float64(n)/float64(max(sum, 1)), 'f', 2, 64)
}
