package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"spinebox/internal/spine"
	"spinebox/lab/audit"
	"spinebox/lab/look"
	"spinebox/lab/release"
	"spinebox/lab/statistics"
	"spinebox/lab/train"
)

// Options of Make.
type Options struct {
	Gate release.Thresholds
	// Floors are classifiers that never see a picture, cross-validated on the
	// study's folds (audit.Floors); nil where the pictures are not at hand.
	Floors []audit.Floor
}

// Make computes the figures.
func Make(runs *Runs, o Options) (*Report, error) {
	r := &Report{Use: spine.IntendedUse, Study: studyOf(runs), Paper: published(), Gate: o.Gate, runs: runs}
	r.floors(o.Floors)
	for _, run := range runs.Variants {
		v, err := figures(run)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", run.Name, err)
		}
		v.Verdict = release.Judge(v.Evidence(), o.Gate)
		v.Words = r.words(v)
		r.Variants = append(r.Variants, v)
	}
	r.Pairs = pairs(r.Variants)
	r.choose()
	r.note()
	r.find()
	r.errors()
	return r, r.similar()
}

// Evidence is what the release gate judges the variant by.
func (v Variant) Evidence() release.Evidence {
	e := release.Evidence{Missing: slices.Concat(v.Missing, v.Unmeasured), Accuracy: v.Accuracy.Interval}
	slices.Sort(e.Missing)
	if v.Maps != nil {
		of := func(m look.Measure) *statistics.Interval { return v.Maps.All.Figures[m].Interval }
		e.Lift, e.Border, e.Padding = of(look.Lift), of(look.Border), of(look.Padding)
	}
	return e
}

// Variant returns the figures of the variant of that name.
func (r *Report) Variant(name string) (*Variant, bool) {
	i := slices.IndexFunc(r.Variants, func(v Variant) bool { return v.Name == name })
	if i < 0 {
		return nil, false
	}
	return &r.Variants[i], true
}

// studyOf counts the pictures, and says what is missing.
func studyOf(runs *Runs) Study {
	s := Study{Labels: map[spine.Label]int{}, Folds: runs.Splits.Folds, Data: runs.Splits.Data, Splits: runs.Splits.Digest}
	seen := map[string]bool{}
	for _, v := range runs.Variants {
		for _, k := range v.Missing {
			s.Missing = append(s.Missing, fmt.Sprintf("%s/fold%d", v.Name, k))
		}
		for _, f := range v.Folds {
			s.Phantom = s.Phantom || f.Done.Phantom
			s.addBackbone(f)
			for _, a := range f.Answers {
				if !seen[a.SHA256] {
					seen[a.SHA256] = true
					s.Labels[spine.Labels()[a.Truth]]++
				}
			}
		}
	}
	s.Missing = append(s.Missing, runs.Waiting...)
	s.Pictures = len(seen)
	return s
}

func (s *Study) addBackbone(f Fold) {
	b := f.Done.Backbone
	if b == nil {
		return
	}
	known := Backbone{string(f.Config.Network), b.Origin, b.Digest, b.StandIn}
	if !slices.Contains(s.Backbones, known) {
		s.Backbones = append(s.Backbones, known)
	}
}

// floors puts the largest class beside what the audit found.
func (r *Report) floors(audited []audit.Floor) {
	for _, f := range audited {
		right, n := 0, 0
		for k, row := range f.Confusion {
			right += row[k]
			for _, m := range row {
				n += m
			}
		}
		r.Floors = append(r.Floors, Floor{f.Name, n, right, share(right, n)})
	}
	if len(audited) == 0 {
		most := 0
		for _, n := range r.Study.Labels {
			most = max(most, n)
		}
		r.Floors = append(r.Floors, Floor{"The largest class", r.Study.Pictures, most, share(most, r.Study.Pictures)})
	}
}

// blind is the best of the floors.
func (r *Report) blind() Floor {
	return slices.MaxFunc(r.Floors, func(a, b Floor) int { return cmp.Compare(a.Accuracy.Value, b.Accuracy.Value) })
}

// note collects what the reader must know before the figures.
func (r *Report) note() {
	say := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	if r.Study.Phantom {
		say("The pictures are phantoms: made X-rays without patients. What stands here tells whether the method works, and nothing about any patient.")
	}
	for _, origin := range standIns(r.Study.Backbones) {
		say("The pretrained weights are a stand-in (%s), and not ImageNet's: what features and finetune reach here is no measure of what they would with ImageNet's.", origin)
	}
	if len(r.Study.Missing) > 0 {
		say("Not finished, and not in the figures: %s. Figures of variants with fewer folds rest on fewer pictures.", strings.Join(r.Study.Missing, ", "))
	}
	for _, v := range r.Variants {
		if len(v.Unmeasured) > 0 {
			say("Where %s looked is not measured in folds %v.", v.Name, v.Unmeasured)
		}
	}
	regions := r.regions()
	switch {
	case regions == nil:
	case regions["weak"] > 0:
		say("The regions of %d pictures are weak: outlined by a program and looked over, not drawn by a radiologist. Lift and hit rate are to be read with that in mind.", regions["weak"])
	case len(regions) == 1 && regions[""] > 0:
		say("No picture has a region: whether the networks looked at the right place is not known.")
	}
	if len(r.Floors) == 1 {
		say("What one gets from file size and brightness alone is not computed: that takes the pictures (--data).")
	}
}

// regions counts the pictures by their region's kind, in the variant that has
// most; nil when no heatmap is measured.
func (r *Report) regions() map[string]int {
	var most map[string]int
	count := func(m map[string]int) (n int) {
		for _, k := range m {
			n += k
		}
		return n
	}
	for _, v := range r.Variants {
		if v.Maps != nil && count(v.Maps.Regions) > count(most) {
			most = v.Maps.Regions
		}
	}
	return most
}

// Similarity of two variants' maps of one probe set, or of one variant's folds.
type Similarity struct {
	First  string        `json:"first"`
	Second string        `json:"second"`
	What   string        `json:"what"` // repeatability: between folds; reproducibility: between networks
	SSIM   look.Estimate `json:"ssim"`
}

// similar compares each variant's folds with each other, and the two networks
// by method, fold by fold.
func (r *Report) similar() error {
	for _, v := range r.Variants {
		if v.Maps != nil && v.Maps.Repeatability.N > 0 {
			r.Similar = append(r.Similar, Similarity{v.Name, v.Name, "repeatability", v.Maps.Repeatability})
		}
	}
	for i, a := range r.Variants {
		for _, b := range r.Variants[i+1:] {
			if a.Method != b.Method || a.Network == b.Network {
				continue
			}
			first, second := r.runs.matched(a.Name, b.Name)
			e, err := look.Reproducibility(first, second, bootstrapSeed)
			if err != nil {
				return err
			}
			if e.N > 0 {
				r.Similar = append(r.Similar, Similarity{a.Name, b.Name, "reproducibility", e})
			}
		}
	}
	return nil
}

// matched returns the heatmaps of the folds that both variants have.
func (r *Runs) matched(a, b string) (first, second []*look.Rows) {
	of := func(name string) map[int]*look.Rows {
		rows := map[int]*look.Rows{}
		for _, v := range r.Variants {
			for _, f := range v.Folds {
				if v.Name == name && f.Maps != nil {
					rows[f.Number] = f.Maps
				}
			}
		}
		return rows
	}
	x, y := of(a), of(b)
	for _, k := range sortedKeys(x) {
		if y[k] != nil {
			first, second = append(first, x[k]), append(second, y[k])
		}
	}
	return first, second
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Wrong is a picture that some variant has wrong, with all variants' answers.
type Wrong struct {
	SHA12   string                 `json:"sha12"`
	Label   spine.Label            `json:"label"`
	Answers map[string]spine.Label `json:"answers"` // by variant
}

// errors collects them, by SHA-256.
func (r *Report) errors() {
	all := map[string]*Wrong{}
	wrong := map[string]bool{}
	for _, v := range r.Variants {
		for _, a := range v.answers {
			if all[a.SHA256] == nil {
				all[a.SHA256] = &Wrong{short(a.SHA256), spine.Labels()[a.Truth], map[string]spine.Label{}}
			}
			all[a.SHA256].Answers[v.Name] = spine.Labels()[a.Answer()]
			wrong[a.SHA256] = wrong[a.SHA256] || !a.Right()
		}
	}
	for _, sha := range sortedKeys(all) {
		if wrong[sha] {
			r.Errors = append(r.Errors, *all[sha])
		}
	}
}

// Names lists the variants.
func (r *Report) Names() []string { return names(r.Variants) }

// Folds returns how the finished folds of a variant were trained, and what each
// has reached.
func (r *Report) Folds(variant string) (configs []train.Config, results []train.Result) {
	for _, v := range r.runs.Variants {
		for _, f := range v.Folds {
			if v.Name == variant {
				configs, results = append(configs, f.Config), append(results, f.Done)
			}
		}
	}
	return configs, results
}

// standIns lists what stand-ins for ImageNet's weights learned from, each once.
func standIns(all []Backbone) []string {
	var origins []string
	for _, b := range all {
		if b.StandIn && !slices.Contains(origins, b.Origin) {
			origins = append(origins, b.Origin)
		}
	}
	return origins
}
