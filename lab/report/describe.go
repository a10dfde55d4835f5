package report

import (
	"strings"

	"spinebox/internal/spine"
	"spinebox/lab/look"
)

// Figures returns the variant's cross-validated figures by name, as they go
// into the description of its final model.
func (v *Variant) Figures() map[string]float64 {
	all := map[string]float64{
		"cv_pictures": float64(v.Pictures), "cv_folds": float64(len(v.Folds)), "cv_fold_mean": v.FoldMean, "cv_fold_sd": v.FoldSD,
	}
	add := func(name string, e Estimate) {
		all["cv_"+name], all["cv_"+name+"_low"], all["cv_"+name+"_high"] = e.Value, e.Low, e.High
	}
	add("accuracy", v.Accuracy)
	add("macro_f1", v.MacroF1)
	add("auc", v.AUC)
	add("ece", v.ECE)
	add("brier", v.Brier)
	add("nll", v.NLL)
	for k, e := range v.Recall {
		add("recall_"+string(spine.Labels()[k]), e)
	}
	if v.Maps == nil {
		return all
	}
	g := v.Maps.All
	all["cv_empty_maps"] = float64(g.Empty) / float64(max(g.Pictures, 1))
	for _, m := range look.Measures() {
		if e, ok := g.Figures[m]; ok && e.Interval != nil {
			add(string(m), Estimate{e.Mean, *e.Interval})
		}
	}
	return all
}

// Regions names the kinds of regions that lift is measured against, with a
// comma between them.
func (v *Variant) Regions() string {
	if v.Maps == nil {
		return ""
	}
	var kinds []string
	for _, kind := range sortedKeys(v.Maps.Regions) {
		if kind != "" {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, ",")
}
