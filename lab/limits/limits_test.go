package limits

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
	"spinebox/lab/strangers"
	"spinebox/models/description"
	"spinebox/models/gate"
	"spinebox/models/input"
)

// see looks at a picture without a network: its features are chance.
func see(p *spine.Picture, random *rand.Rand) gate.Seen {
	spec := input.Spec{Width: 48, Height: 128, Resize: input.Letterbox, Grey: input.Percentile}
	plane := make([]float32, spec.Width*spec.Height)
	f := spec.Plane(plane, p)
	features := make([]float32, 32)
	for i := range features {
		features[i] = float32(math.Abs(random.NormFloat64()))
	}
	return gate.See(plane, f, float64(p.Height)/float64(p.Width), features)
}

func drawn(t *testing.T, i, width, height int) *spine.Picture {
	t.Helper()
	label, view := spine.Labels()[i%3], phantom.AP
	if label == spine.Spondylolisthesis {
		view = phantom.Lateral
	}
	p, err := phantom.Draw(phantom.Spec{Label: label, View: view, Seed: 5, Index: i, Width: width, Height: height,
		Cobb: phantom.Range{Min: 25, Max: 60}, Slip: phantom.Range{Min: 30, Max: 60}})
	if err != nil {
		t.Fatal(err)
	}
	return &p.Picture
}

// looks are those of a model trained on phantoms of one size.
func looks(t *testing.T, n int) []Look {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	var all []Look
	for i := range n {
		part := dataset.Fit
		if i%6 == 0 {
			part = dataset.Validation
		}
		label := spine.Labels()[i%3]
		sha := fmt.Sprintf("%064d", i)
		all = append(all, Look{
			Item: dataset.Item{Label: label, SHA256: sha, Group: sha}, Part: part, Seen: see(drawn(t, i, 90, 240), random),
			Reading: &spine.Reading{Labels: spine.Labels(), Label: label, Probabilities: []float64{0.9, 0.9, 0.9}, Outside: 0.2},
		})
	}
	return all
}

// TestTheGateTellsSpinesFromStrangers: phantoms of other sizes than the
// training's pass, and what is no spine does not.
func TestTheGateTellsSpinesFromStrangers(t *testing.T) {
	g, limits, err := Set(looks(t, 90), 1)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(2, 2))
	refused := func(p *spine.Picture) bool { return g.Distance(see(p, random)).Picture > limits.Picture }
	spines := 0
	for i := range 30 {
		if refused(drawn(t, 1000+i, 135, 360+4*i)) {
			spines++
		}
	}
	if spines > 3 {
		t.Errorf("%d of 30 spines are refused", spines)
	}
	caught, all := 0, 0
	for _, kind := range strangers.Kinds() {
		for seed := range uint64(3) {
			p, err := strangers.Draw(kind, seed)
			if err != nil {
				t.Fatal(err)
			}
			all++
			if refused(p) {
				caught++
			}
		}
	}
	if 10*caught < 9*all {
		t.Errorf("%d of %d strangers are refused", caught, all)
	}
	t.Logf("%d of 30 spines and %d of %d strangers are refused; limits %+v", spines, caught, all, limits)
}

func TestLimitsFollowFromTheLooks(t *testing.T) {
	all := looks(t, 60)
	g, a, err := Set(all, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, b, _ := Set(all, 1)
	if a != b {
		t.Errorf("the same looks give %+v and %+v", a, b)
	}
	var names []string
	for _, v := range g.Views {
		names = append(names, v.Name)
	}
	if !slices.Equal(names, gate.Names()) {
		t.Errorf("the gate has the views %v", names)
	}
	// Held-out pictures change nothing, whatever they look like.
	odd := all[0]
	odd.Part, odd.Seen.Grey = dataset.HeldOut, make([]float32, 128)
	if _, c, _ := Set(append(slices.Clone(all), odd), 1); c != a {
		t.Error("a held-out picture moves the limits")
	}
	for i := range all {
		all[i].Seen.Features = nil // a model that cannot be explained
	}
	if _, c, err := Set(all, 1); err != nil || c.Features != 0 || c.Picture != a.Picture {
		t.Errorf("without features the limits are %+v (%v)", c, err)
	}
	if _, _, err := Set(all[:Least-1], 1); !errors.Is(err, ErrFew) {
		t.Errorf("%d pictures give limits: %v", Least-1, err)
	}
}

// judged is a look whose most probable label has p.
func judged(p float64, right bool) Look {
	l := Look{Item: dataset.Item{Label: spine.Normal}, Reading: &spine.Reading{
		Labels: spine.Labels(), Label: spine.Normal, Probabilities: []float64{p, (1 - p) / 2, (1 - p) / 2}}}
	if !right {
		l.Item.Label = spine.Scoliosis
	}
	return l
}

func TestConfidenceGivesUpWrongAnswersOnly(t *testing.T) {
	for _, c := range []struct {
		what string
		all  []Look
		want float64
	}{
		{"the two least sure are wrong", []Look{judged(0.9, true), judged(0.5, false), judged(0.6, false), judged(0.7, true), judged(0.8, false)}, 0.65},
		{"the least sure is right", []Look{judged(0.5, true), judged(0.6, false)}, leastSure},
		{"none is wrong", []Look{judged(0.5, true), judged(0.9, true)}, leastSure},
		{"none is right", []Look{judged(0.5, false), judged(0.9, false)}, leastSure},
		{"below the least", []Look{judged(0.35, false), judged(0.36, true)}, leastSure},
	} {
		if got := confidence(c.all); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{4, 1, 3, 2, 5}
	for share, want := range map[float64]float64{0: 1, 0.5: 3, 0.9: 4.6, 1: 5} {
		if got := quantile(v, share); math.Abs(got-want) > 1e-12 {
			t.Errorf("%v of %v lie below %v, want %v", share, v, got, want)
		}
	}
}

// TestAxes compares with rows whose axes are known, on both ways to find them.
func TestAxes(t *testing.T) {
	for _, d := range []int{3, 200} {
		random := rand.New(rand.NewPCG(3, 3))
		var rows [][]float32
		for range 100 {
			row := make([]float32, d)
			row[0] = float32(7 + 3*random.NormFloat64())
			row[1] = float32(10 * random.NormFloat64())
			rows = append(rows, row)
		}
		v := fitView(gate.Grey, rows)
		first := v.Slopes[:d]
		if math.Abs(math.Abs(float64(first[1]))-1) > 1e-2 || math.Abs(float64(v.Spread[0])-10) > 2 || math.Abs(float64(v.Spread[1])-3) > 1 {
			t.Errorf("of %d numbers: first axis %.2f…, spreads %.2f", d, first[:3], v.Spread[:2])
		}
		if math.Abs(float64(v.Mean[0])-7) > 1 {
			t.Errorf("mean %v", v.Mean[:2])
		}
	}
}

func TestCostCountsWhatEachRuleRefuses(t *testing.T) {
	at := func(picture, outside, p float64, broken error) Judged {
		l := judged(p, true)
		l.Reading.Distance.Picture, l.Reading.Outside = picture, outside
		return Judged{l, broken}
	}
	limits := description.Thresholds{Picture: 2, Outside: 0.5, Confidence: 0.6}
	g := Group{Name: "spines", Looks: []Judged{
		at(1, 0.1, 0.9, nil), at(3, 0.1, 0.9, nil), at(1, 0.6, 0.9, nil), at(3, 0.6, 0.5, nil),
		at(0, 0, 0.9, spine.Faultf(spine.TooSmall, "small")),
	}}
	if got := g.Codes(limits); got != "4 of 5 refused, 2 not-spine, 1 heatmap-off-anatomy, 1 too-small" {
		t.Errorf("the codes are %q", got)
	}
	var page bytes.Buffer
	if err := errors.Join(WriteCost(&page, limits, []Group{g}), WriteRisk(&page, []Group{g})); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| rule | limit | spines (5) |",
		"| fixed rules: colours, size, shape, contrast, empty heatmap | | 1 (20.0 %) |",
		"| `picture`: distance of the picture | 2 | 3 (60.0 %) |",
		"| `confidence`: least probability | 0.6 | 2 (40.0 %) |",
		"| **all together** | | 4 (80.0 %) |",
		"| `picture` | 3 | 1 (20.0 %) |",
		"| `outside` | 0.5 (the model's) | 3 (60.0 %) |",
		"| 0.60 | 4 of 5 | 0 (0.0 %) |",
	} {
		if !strings.Contains(page.String(), line+"\n") {
			t.Errorf("the page has no line %q:\n%s", line, page.String())
		}
	}
}
