package limits

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/gate"
)

// Group is a number of pictures that are judged together.
type Group struct {
	Name  string // as in a table's head
	Looks []Judged
}

// Judged is a look and what the fixed rules, which come before it, say.
type Judged struct {
	Look
	Broken error // the refusal of the fixed rules, a spine.Fault
}

// Refusal returns the code with which the picture is refused, "" for none.
func (j Judged) Refusal(t description.Thresholds) spine.Code {
	err := j.Broken
	if err == nil {
		err = gate.Judge(j.Reading, t)
	}
	if err == nil {
		return ""
	}
	return spine.CodeOf(err)
}

// Refused returns how many of the group are refused.
func (g Group) Refused(t description.Thresholds) int {
	n := 0
	for _, j := range g.Looks {
		if j.Refusal(t) != "" {
			n++
		}
	}
	return n
}

// rule is one threshold, with all others switched off.
type rule struct {
	name string
	of   func(t *description.Thresholds) *float64
	unit string
}

func rules() []rule {
	return []rule{
		{"picture", func(t *description.Thresholds) *float64 { return &t.Picture }, "distance of the picture"},
		{"features", func(t *description.Thresholds) *float64 { return &t.Features }, "distance of the features"},
		{"outside", func(t *description.Thresholds) *float64 { return &t.Outside }, "heatmap off the body, share"},
		{"confidence", func(t *description.Thresholds) *float64 { return &t.Confidence }, "least probability"},
	}
}

// WriteCost writes what each threshold costs as a table in Markdown: alone, all
// together, and at other values than the model's.
func WriteCost(w io.Writer, t description.Thresholds, groups []Group) error {
	p := &page{w: w}
	p.line("| rule | limit |%s", columns(groups, func(g Group) string { return fmt.Sprintf(" %s (%d) |", g.Name, len(g.Looks)) }))
	p.line("|---|---|%s", columns(groups, func(Group) string { return "---|" }))
	var fixed description.Thresholds
	p.line("| fixed rules: colours, size, shape, contrast, empty heatmap | |%s", refusals(groups, fixed))
	for _, r := range rules() {
		alone := fixed
		*r.of(&alone) = *r.of(&t)
		p.line("| `%s`: %s | %.3g |%s", r.name, r.unit, *r.of(&t), refusals(groups, alone))
	}
	p.line("| **all together** | |%s", refusals(groups, t))
	p.line("\nWhat other limits would refuse, all other rules being off but the fixed ones:\n")
	p.line("| rule | limit |%s", columns(groups, func(g Group) string { return " " + g.Name + " |" }))
	p.line("|---|---|%s", columns(groups, func(Group) string { return "---|" }))
	for _, r := range rules() {
		for _, limit := range others(r, *r.of(&t)) {
			alone := fixed
			*r.of(&alone) = limit
			mark := ""
			if limit == *r.of(&t) {
				mark = " (the model's)"
			}
			p.line("| `%s` | %.3g%s |%s", r.name, limit, mark, refusals(groups, alone))
		}
	}
	return p.err
}

type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func columns(groups []Group, cell func(Group) string) (row string) {
	for _, g := range groups {
		row += cell(g)
	}
	return row
}

func refusals(groups []Group, t description.Thresholds) string {
	return columns(groups, func(g Group) string {
		n := g.Refused(t)
		return fmt.Sprintf(" %d (%.1f %%) |", n, 100*float64(n)/float64(max(len(g.Looks), 1)))
	})
}

// others are limits around the model's own.
func others(r rule, limit float64) []float64 {
	var all []float64
	switch r.name {
	case "confidence":
		all = []float64{0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
	case "outside":
		all = []float64{0.3, 0.5, 0.7, 0.9}
	default:
		for _, f := range []float64{0.5, 0.75, 1.25, 1.5, 2} {
			all = append(all, f*limit)
		}
	}
	if limit > 0 && !slices.Contains(all, limit) {
		all = append(all, limit)
	}
	slices.Sort(all)
	return all
}

// WriteRisk writes the risk–coverage curve of labelled groups at its corners:
// how often answers are wrong when only those as sure as a threshold are given.
func WriteRisk(w io.Writer, groups []Group) error {
	p := &page{w: w}
	p.line("| least probability |%s", columns(groups, func(g Group) string {
		return fmt.Sprintf(" %s answered | wrong of these |", g.Name)
	}))
	p.line("|---|%s", columns(groups, func(Group) string { return "---|---|" }))
	for _, least := range []float64{0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95} {
		p.line("| %.2f |%s", least, columns(groups, func(g Group) string {
			answered, wrong := 0, 0
			for _, j := range g.Looks {
				if j.Reading.Probability() < least {
					continue
				}
				answered++
				if j.Reading.Label != j.Item.Label {
					wrong++
				}
			}
			return fmt.Sprintf(" %d of %d | %d (%.1f %%) |", answered, len(g.Looks), wrong, 100*float64(wrong)/float64(max(answered, 1)))
		}))
	}
	return p.err
}

// Codes counts a group's refusals by their code, most first.
func (g Group) Codes(t description.Thresholds) string {
	n := map[spine.Code]int{}
	for _, j := range g.Looks {
		if c := j.Refusal(t); c != "" {
			n[c]++
		}
	}
	var codes []spine.Code
	for c := range n {
		codes = append(codes, c)
	}
	slices.SortFunc(codes, func(a, b spine.Code) int { return cmp.Or(n[b]-n[a], cmp.Compare(a, b)) })
	text := ""
	for _, c := range codes {
		text += fmt.Sprintf(", %d %s", n[c], c)
	}
	return fmt.Sprintf("%d of %d refused%s", g.Refused(t), len(g.Looks), text)
}
