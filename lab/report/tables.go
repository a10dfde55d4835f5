package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"spinebox/internal/spine"
	"spinebox/lab/look"
	"spinebox/lab/statistics"
)

// Table is one of the report's tables, as it goes into a CSV file. Numbers have
// six decimals; what is not known is empty.
type Table struct {
	Name    string // of the file, without .csv
	Columns []string
	Rows    [][]string
}

// CSV writes the table.
func (t Table) CSV(w io.Writer) error {
	return csv.NewWriter(w).WriteAll(append([][]string{t.Columns}, t.Rows...))
}

func (t *Table) row(fields ...any) {
	row := make([]string, 0, len(fields))
	for _, f := range fields {
		switch v := f.(type) {
		case float64:
			row = append(row, strconv.FormatFloat(v, 'f', 6, 64))
		case Estimate:
			row = append(row, fields6(v.Value, v.Low, v.High)...)
		case []string:
			row = append(row, v...)
		default:
			row = append(row, fmt.Sprint(v))
		}
	}
	t.Rows = append(t.Rows, row)
}

func fields6(v ...float64) []string {
	all := make([]string, len(v))
	for i, x := range v {
		all[i] = strconv.FormatFloat(x, 'f', 6, 64)
	}
	return all
}

// interval names the three columns of an estimate.
func interval(name string) []string { return []string{name, name + "_low", name + "_high"} }

// Tables returns everything that the report says in numbers.
func (r *Report) Tables() []Table {
	return []Table{r.accuracyTable(), r.foldTable(), r.paperTable(), r.floorTable(), r.pairTable(), r.confusionTable(),
		r.curveTable(), r.learningTable(), r.mapTable(), r.sanityTable(), r.similarityTable(), r.gateTable(), r.errorTable()}
}

func (r *Report) accuracyTable() Table {
	t := Table{Name: "accuracy", Columns: slices.Concat([]string{"variant", "folds", "pictures", "right"}, interval("accuracy"),
		[]string{"fold_mean", "fold_sd"}, interval("macro_f1"), interval("auc"), interval("ece"), interval("brier"), interval("nll"))}
	for _, l := range spine.Labels() {
		t.Columns = append(t.Columns, interval("recall_"+string(l))...)
	}
	for _, v := range r.Variants {
		row := []any{v.Name, len(v.Folds), v.Pictures, v.Right, v.Accuracy, v.FoldMean, v.FoldSD, v.MacroF1, v.AUC, v.ECE, v.Brier, v.NLL}
		for _, e := range v.Recall {
			row = append(row, e)
		}
		t.row(row...)
	}
	return t
}

func (r *Report) foldTable() Table {
	t := Table{Name: "folds", Columns: []string{"variant", "fold", "pictures", "right", "accuracy", "best_epoch", "temperature", "seconds"}}
	for _, v := range r.Variants {
		for _, f := range v.Folds {
			t.row(v.Name, f.Fold, f.Pictures, f.Right, f.Accuracy, f.BestEpoch, f.Temperature, f.Seconds)
		}
	}
	return t
}

func (r *Report) paperTable() Table {
	t := Table{Name: "paper", Columns: slices.Concat([]string{"variant", "pictures", "right", "fold_mean"}, interval("accuracy"))}
	for _, p := range r.Paper {
		if p.Known {
			t.row(p.Variant, p.Pictures, p.Right, p.FoldMean, p.Accuracy)
		} else {
			t.row(p.Variant, make([]string, 6))
		}
	}
	return t
}

func (r *Report) floorTable() Table {
	t := Table{Name: "floors", Columns: slices.Concat([]string{"floor", "pictures", "right"}, interval("accuracy"))}
	for _, f := range r.Floors {
		t.row(f.Name, f.Pictures, f.Right, f.Accuracy)
	}
	return t
}

func (r *Report) pairTable() Table {
	t := Table{Name: "pairs", Columns: slices.Concat([]string{"first", "second", "pictures", "only_first", "only_second", "p", "p_holm"}, interval("lift_difference"))}
	for _, q := range r.Pairs {
		difference := make([]string, 3)
		if q.Lift != nil {
			difference = fields6(q.Lift.Value, q.Lift.Low, q.Lift.High)
		}
		t.row(q.First, q.Second, q.Pictures, q.OnlyFirst, q.OnlySecond, q.P, q.Holm, difference)
	}
	return t
}

func (r *Report) confusionTable() Table {
	t := Table{Name: "confusion", Columns: []string{"variant", "label", "answer", "pictures"}}
	for _, v := range r.Variants {
		for i, row := range v.Confusion {
			for k, n := range row {
				t.row(v.Name, spine.Labels()[i], spine.Labels()[k], n)
			}
		}
	}
	return t
}

func (r *Report) curveTable() Table {
	t := Table{Name: "curves", Columns: []string{"variant", "curve", "label", "x", "y", "pictures"}}
	points := func(v Variant, curve string, label spine.Label, all []statistics.Point) {
		for _, p := range all {
			t.row(v.Name, curve, label, p.X, p.Y, "")
		}
	}
	for _, v := range r.Variants {
		for k, curve := range v.ROC {
			points(v, "roc", spine.Labels()[k], curve)
		}
		points(v, "risk-coverage", "", v.RiskCoverage)
		for _, b := range v.Reliability {
			t.row(v.Name, "reliability", "", b.Confidence, b.Accuracy, b.Count)
		}
	}
	return t
}

func (r *Report) learningTable() Table {
	t := Table{Name: "learning", Columns: []string{"variant", "fold", "epoch", "rate", "loss", "validation_loss", "validation_accuracy"}}
	for _, v := range r.Variants {
		for _, f := range v.Folds {
			for _, e := range f.History {
				t.row(v.Name, f.Fold, e.Epoch, e.Rate, e.Loss, e.Validation, e.Accuracy)
			}
		}
	}
	return t
}

// mapTable has one line for each measure of the maps of a variant and of its
// floors, over all pictures, those answered right and wrong, and those of a class.
func (r *Report) mapTable() Table {
	t := Table{Name: "heatmaps", Columns: append([]string{"variant", "maps", "of", "measure", "pictures"}, interval("mean")...)}
	add := func(variant, maps, of string, figures map[look.Measure]look.Estimate) {
		for _, m := range look.Measures() {
			if e, ok := figures[m]; ok {
				t.row(variant, maps, of, m, e.N, e.Mean, bounds(e))
			}
		}
	}
	for _, v := range r.Variants {
		if v.Maps == nil {
			continue
		}
		for _, g := range append(groups(v.Maps), classes(v.Maps)...) {
			t.row(v.Name, "network", g.Name, "empty", g.Pictures, float64(g.Empty)/float64(max(g.Pictures, 1)), make([]string, 2))
			add(v.Name, "network", g.Name, g.Figures)
			for _, kind := range look.FloorKinds() {
				add(v.Name, string(kind), g.Name, g.Floors[kind])
			}
		}
	}
	return t
}

func bounds(e look.Estimate) []string {
	if e.Interval == nil {
		return make([]string, 2)
	}
	return fields6(e.Interval.Low, e.Interval.High)
}

// namedGroup is a group of pictures and what it is.
type namedGroup struct {
	Name string
	look.Group
}

func groups(s *look.Summary) []namedGroup {
	return []namedGroup{{"all", s.All}, {"right", s.Right}, {"wrong", s.Wrong}}
}

func classes(s *look.Summary) (all []namedGroup) {
	for _, l := range spine.Labels() {
		if g, ok := s.Classes[l]; ok {
			all = append(all, namedGroup{string(l), g})
		}
	}
	return all
}

func (r *Report) sanityTable() Table {
	t := Table{Name: "sanity", Columns: []string{"variant", "step", "layer", "ssim", "spearman"}}
	for _, v := range r.Variants {
		if v.Maps != nil {
			for _, s := range v.Maps.Sanity {
				t.row(v.Name, s.Step, s.Layer, s.SSIM, s.Spearman)
			}
		}
	}
	return t
}

func (r *Report) similarityTable() Table {
	t := Table{Name: "similarity", Columns: []string{"first", "second", "what", "pictures", "ssim", "ssim_low", "ssim_high"}}
	for _, s := range r.Similar {
		t.row(s.First, s.Second, s.What, s.SSIM.N, s.SSIM.Mean, bounds(s.SSIM))
	}
	return t
}

func (r *Report) gateTable() Table {
	t := Table{Name: "gate", Columns: []string{"variant", "released", "check", "passed", "measured", "value", "threshold"}}
	for _, v := range r.Variants {
		for _, c := range v.Verdict.Checks {
			t.row(v.Name, v.Verdict.Released, c.Name, c.Passed, c.Measured, c.Value, c.Threshold)
		}
	}
	return t
}

func (r *Report) errorTable() Table {
	t := Table{Name: "errors", Columns: []string{"sha12", "label"}}
	for _, v := range r.Variants {
		t.Columns = append(t.Columns, v.Name)
	}
	for _, w := range r.Errors {
		var row []string
		for _, v := range r.Variants {
			row = append(row, string(w.Answers[v.Name]))
		}
		t.row(w.SHA12, w.Label, row)
	}
	return t
}
