package look

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/lab/statistics"
)

// ramp is a map of the probe set that grows from left to right, or the other
// way.
func ramp(leftwards bool) relevance.Plane {
	p := relevance.NewPlane(ProbeSide, ProbeSide)
	for i := range p.Values {
		x := i % ProbeSide
		if leftwards {
			x = ProbeSide - 1 - x
		}
		p.Values[i] = float32(x) / 16 // sixteenths: six decimals hold them
	}
	return p
}

func example() *Rows {
	return &Rows{
		Maps: []Map{
			{SHA256: "aa", Label: spine.Normal, Answer: spine.Normal, Region: "weak",
				Figures: Figures{Border: 0.25, Padding: 0, Area: 0.125, Energy: 0.25, Lift: 2, Hit: 1, IoU: 0.5, AUPRC: 0.75, Insertion: 0.5, Deletion: 0.25, Drop: 0, Increase: 1}},
			{SHA256: "bb", Label: spine.Scoliosis, Answer: spine.Normal, Empty: true, Figures: Figures{}},
		},
		Floors: []Floor{{Uniform, "aa", Figures{Border: 0.36, Marker: 0.5, Lift: 1}}, {Untrained, "bb", Figures{}}},
		Sanity: []Step{{1, "predictions", 0.5, -0.25}, {2, "conv5_block3", 0.125, 0}},
		Probe:  []Probed{{0, ramp(false)}, {1, relevance.NewPlane(ProbeSide, ProbeSide)}},
	}
}

func TestTablesComeBackAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadFold(dir); !errors.Is(err, ErrNotJudged) {
		t.Errorf("a folder without figures: %v", err)
	}
	if err := example().write(dir, Judged{Seconds: 1}); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFold(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(example(), got); diff != "" {
		t.Errorf("written and read:\n%s", diff)
	}
	for _, name := range Tables() {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, mapsFile))
	if err != nil {
		t.Fatal(err)
	}
	want := `sha256,label,answer,empty,border,padding,marker,region,area,energy,lift,hit,iou,auprc,insertion,deletion,drop,increase
aa,normal,normal,false,0.250000,0.000000,,weak,0.125000,0.250000,2.000000,1.000000,0.500000,0.750000,0.500000,0.250000,0.000000,1.000000
bb,scoliosis,normal,true,,,,,,,,,,,,,,
`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Error(diff)
	}
}

func TestDamagedTablesAreRefused(t *testing.T) {
	dir := t.TempDir()
	rewrite := func(name, from, to string) {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(raw), from, to, 1)
		if changed == string(raw) {
			t.Fatalf("%s holds no %q", name, from)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, from, to, want string }{
		{mapsFile, "0.250000", "0.350000", "heatmaps.csv is not the file that judged.json describes: judge the fold again"},
		{probeFile, "1,0.0", "1,0.5", "probe.csv is not the file"},
		{judgedFile, "{", "", "judged.json"},
	} {
		if err := example().write(dir, Judged{}); err != nil {
			t.Fatal(err)
		}
		rewrite(c.name, c.from, c.to)
		if _, err := ReadFold(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// Tables that somebody made by hand have no digests to fail on.
	for _, c := range []struct{ name, from, to, want string }{
		{mapsFile, "sha256,label", "sha256,class", "heatmaps.csv has other columns"},
		{mapsFile, "aa,normal", "aa,healthy", `heatmaps.csv, line 2: no class is called "healthy"`},
		{mapsFile, "2.000000", "NaN", "heatmaps.csv, line 2: lift: NaN is no number"},
		{floorsFile, "uniform", "even", `floors.csv, line 2: no floor is called "even"`},
		{sanityFile, "-0.25", "-0,25", "read sanity.csv"},
	} {
		if err := example().write(dir, Judged{}); err != nil {
			t.Fatal(err)
		}
		rewrite(c.name, c.from, c.to)
		if _, err := readTables(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v", c.name, c.to, err)
		}
	}
	bad := example()
	bad.Maps[0].Figures[Lift] = math.NaN()
	if err := bad.write(dir, Judged{}); err == nil {
		t.Error("a figure that is no number was written")
	}
}

// Worked by hand. Of two values that are drawn twice, both draws are the lesser
// one in a quarter of the draws: the interval is from one to the other.
func TestSummary(t *testing.T) {
	lift := func(sha256 string, answer spine.Label, lift float64) Map {
		return Map{SHA256: sha256, Label: spine.Normal, Answer: answer, Region: "weak", Figures: Figures{Lift: lift, Border: 0.5}}
	}
	first := &Rows{
		Maps:   []Map{lift("a", spine.Normal, 1), lift("b", spine.Scoliosis, 0.5)},
		Floors: []Floor{{Uniform, "a", Figures{Lift: 1}}, {Centred, "a", Figures{Lift: 3}}, {Centred, "b", Figures{Lift: 5}}},
		Sanity: []Step{{1, "predictions", 0.5, 0.25}},
		Probe:  []Probed{{0, ramp(false)}, {1, ramp(true)}, {2, relevance.NewPlane(ProbeSide, ProbeSide)}},
	}
	second := &Rows{
		Maps:   []Map{lift("c", spine.Normal, 3), {SHA256: "d", Label: spine.Scoliosis, Answer: spine.Scoliosis, Empty: true, Figures: Figures{}}},
		Sanity: []Step{{1, "predictions", 0, 0.75}},
		Probe:  []Probed{{0, ramp(false)}, {1, ramp(false)}, {2, relevance.NewPlane(ProbeSide, ProbeSide)}},
	}
	s := Summarise([]*Rows{first, second, {}}, 1)
	if s.All.Pictures != 4 || s.Right.Pictures != 3 || s.Wrong.Pictures != 1 || s.All.Empty != 1 || s.Wrong.Empty != 0 {
		t.Errorf("pictures: %d, %d right, %d wrong; %d empty", s.All.Pictures, s.Right.Pictures, s.Wrong.Pictures, s.All.Empty)
	}
	if diff := cmp.Diff(map[string]int{"weak": 3, "": 1}, s.Regions); diff != "" {
		t.Error(diff)
	}
	if got := s.All.Figures[Lift]; got.N != 3 || math.Abs(got.Mean-1.5) > 1e-12 {
		t.Errorf("lift of all: %+v", got)
	}
	want := Estimate{N: 2, Mean: 2, Interval: &statistics.Interval{Low: 1, High: 3}}
	if diff := cmp.Diff(want, s.Right.Figures[Lift]); diff != "" {
		t.Errorf("lift of the right ones: %s", diff)
	}
	if diff := cmp.Diff(Estimate{N: 1, Mean: 0.5}, s.Wrong.Figures[Lift]); diff != "" {
		t.Errorf("lift of the wrong one: %s", diff)
	}
	if got := s.Classes[spine.Normal]; got.Pictures != 3 || got.Empty != 0 || got.Figures[Lift].Mean != 1.5 || got.Floors[Centred][Lift].N != 2 {
		t.Errorf("normal spines: %+v", got)
	}
	if got := s.Classes[spine.Scoliosis]; got.Pictures != 1 || got.Empty != 1 || len(got.Figures) != 0 || len(s.Classes) != 2 {
		t.Errorf("scoliosis: %+v, of %d classes", got, len(s.Classes))
	}
	if _, ok := s.All.Figures[Marker]; ok {
		t.Error("a figure that no picture has")
	}
	if got := s.All.Floors[Centred][Lift]; got.Mean != 4 || s.Right.Floors[Centred][Lift].Mean != 3 || s.Wrong.Floors[Centred][Lift].Mean != 5 {
		t.Errorf("the centred floor: %+v of all", got)
	}
	if _, ok := s.Wrong.Floors[Uniform]; ok {
		t.Error("a floor of pictures that it was not measured on")
	}
	if diff := cmp.Diff([]Step{{1, "predictions", 0.25, 0.5}}, s.Sanity); diff != "" {
		t.Error(diff)
	}

	// One picture alike in both folds, one not, one empty in both.
	other, err := relevance.SSIM(ramp(true), ramp(false))
	if err != nil {
		t.Fatal(err)
	}
	if other > 0.9 {
		t.Fatalf("the two ramps are alike by %g", other)
	}
	for what, got := range map[string]Estimate{"repeatability": s.Repeatability, "reproducibility": reproduced(t, first, second)} {
		if got.N != 2 || math.Abs(got.Mean-(1+other)/2) > 1e-9 {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if _, err := Reproducibility([]*Rows{first}, nil, 1); err == nil {
		t.Error("one fold beside none")
	}
	if got := Summarise([]*Rows{first}, 1); got.Repeatability.N != 0 || got.All.Pictures != 2 {
		t.Errorf("one fold: %+v", got)
	}
}

func reproduced(t *testing.T, first, second *Rows) Estimate {
	t.Helper()
	e, err := Reproducibility([]*Rows{first}, []*Rows{second}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
