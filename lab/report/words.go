package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"spinebox/lab/look"
)

// Words are a variant's verdict in plain language. Each sentence begins with
// its answer.
type Words struct {
	Accurate string `json:"accurate"`
	Looking  string `json:"looking"`
	Release  string `json:"release"`
}

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

func (r *Report) words(v Variant) Words {
	return Words{r.accurate(v), looking(v), releasable(v)}
}

func (r *Report) accurate(v Variant) string {
	answer, why := "Yes.", ""
	blind := r.blind()
	switch {
	case v.Accuracy.Low <= blind.Accuracy.Value:
		answer, why = "No.", fmt.Sprintf(" That is not clearly more than the %s of a classifier that never sees the spine (%s).", percent(blind.Accuracy.Value), lower(blind.Name))
	case !v.Verdict.Passed("accuracy"):
		answer, why = "Not enough.", fmt.Sprintf(" The interval would have to begin at %s, and begins at %.2f %%.", percent(r.Gate.Accuracy), 100*v.Accuracy.Low)
	}
	return fmt.Sprintf("%s %d of %d right: %s (95 %% interval %s to %s).%s", answer, v.Right, v.Pictures,
		percent(v.Accuracy.Value), percent(v.Accuracy.Low), percent(v.Accuracy.High), why)
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// looking says whether the maps lie where they should.
func looking(v Variant) string {
	if v.Maps == nil {
		return "Not known: its heatmaps are not measured."
	}
	f := v.Maps.All.Figures
	lift, ok := f[look.Lift]
	elsewhere := fmt.Sprintf("%s of the maps lie in the picture's outer tenth (an even map: 36 %%), %s beside the picture.", percent(f[look.Border].Mean), percent(f[look.Padding].Mean))
	if !ok || lift.Interval == nil {
		return "Not known: no picture has a region to look at. " + elsewhere
	}
	answer := "Yes."
	switch {
	case !v.Verdict.Passed("lift") && lift.Interval.High < 1:
		answer = "No, it looks elsewhere."
	case !v.Verdict.Passed("lift") && lift.Interval.Low <= 1:
		answer = "No, no more than by chance."
	case !v.Verdict.Passed("lift"):
		answer = "Not enough."
	case !v.Verdict.Passed("border") || !v.Verdict.Passed("padding"):
		answer = "No, too much of the maps lies at the edge or outside."
	}
	s := fmt.Sprintf("%s Its maps put %.2f times as much on the clinical region as chance would (%.2f to %.2f); %s", answer, lift.Mean, lift.Interval.Low, lift.Interval.High, elsewhere)
	if centred, ok := v.Maps.All.Floors[look.Centred][look.Lift]; ok && lift.Mean <= centred.Mean {
		s += fmt.Sprintf(" A blob in the middle of every picture would reach %.2f.", centred.Mean)
	}
	if n := v.Maps.All.Empty; n > 0 {
		s += fmt.Sprintf(" %d of %d maps are empty.", n, v.Maps.All.Pictures)
	}
	return s
}

func releasable(v Variant) string {
	if v.Verdict.Released {
		return "May be released."
	}
	accurate := v.Verdict.Passed("accuracy")
	looks := v.Verdict.Passed("lift") && v.Verdict.Passed("border") && v.Verdict.Passed("padding")
	measured := !slices.ContainsFunc(v.Verdict.Failed(), func(s string) bool { return strings.HasSuffix(s, "not measured") })
	switch {
	case !measured:
		return "Must not be released: where it looks is not known."
	case accurate && !looks:
		return "Must not be released: it is accurate, but not for the right reason."
	case !accurate && looks:
		return "Must not be released: it looks at the right place, but is wrong too often."
	case !accurate:
		return "Must not be released: it is wrong too often, and does not look at the right place."
	}
	return "Must not be released yet: folds are missing."
}

// choose names the variant to release. Among those that clear the gate it is
// the one whose maps agree best with the clinical regions, of those whose
// accuracy cannot be told from the best one's.
func (r *Report) choose() {
	var cleared []Variant
	for _, v := range r.Variants {
		if v.Verdict.Released {
			cleared = append(cleared, v)
		}
	}
	if len(cleared) == 0 {
		r.Why = "What keeps them out: " + r.refusals()
		return
	}
	best := slices.MaxFunc(cleared, func(a, b Variant) int { return cmp.Compare(a.Accuracy.Value, b.Accuracy.Value) })
	var peers []Variant
	for _, v := range cleared {
		if !r.differ(best.Name, v.Name) {
			peers = append(peers, v)
		}
	}
	lift := func(v Variant) float64 { return v.Maps.All.Figures[look.Lift].Mean }
	chosen := slices.MaxFunc(peers, func(a, b Variant) int { return cmp.Compare(lift(a), lift(b)) })
	r.Release = chosen.Name
	switch {
	case len(cleared) == 1:
		r.Why = "It alone clears the gate."
	case len(peers) == 1:
		r.Why = fmt.Sprintf("Of the %d that clear the gate it is the most accurate, and the difference is no chance.", len(cleared))
	default:
		r.Why = fmt.Sprintf("Accuracy alone does not tell %s apart (exact McNemar, Holm); of these, its maps agree best with the clinical regions (lift %.2f).",
			join(names(peers)), lift(chosen))
	}
}

func names(variants []Variant) []string {
	var all []string
	for _, v := range variants {
		all = append(all, v.Name)
	}
	return all
}

func join(s []string) string {
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}

// refusals says what keeps the variants out.
func (r *Report) refusals() string {
	const unknown = "unknown"
	count := map[string]int{}
	for _, v := range r.Variants {
		without := false
		for _, c := range v.Verdict.Checks {
			switch {
			case c.Passed:
			case c.Measured:
				count[c.Name]++
			default:
				without = true
			}
		}
		if without {
			count[unknown]++
		}
	}
	words := map[string]string{"folds": "folds are missing", "accuracy": "accuracy is too low", "lift": "the maps lie too little on the clinical region",
		"border": "the maps lie too much at the picture's edge", "padding": "the maps lie too much beside the picture",
		unknown: "where the maps lie was not measured in full"}
	var all []string
	for _, name := range []string{"folds", "accuracy", "lift", "border", "padding", unknown} {
		if n := count[name]; n > 0 {
			all = append(all, fmt.Sprintf("%s (%d of %d variants)", words[name], n, len(r.Variants)))
		}
	}
	return join(all) + "."
}
