package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spinebox/internal/spine"
	"spinebox/lab/look"
	"spinebox/lab/report"
	"spinebox/lab/statistics"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) < 1e-6) {
		t.Errorf("%s is %.7f, want %.7f", what, got, want)
	}
}

func TestFigures(t *testing.T) {
	r := read(t, made(t, accurate(), trusted()))
	if got := r.Names(); !cmp.Equal(got, []string{"resnet50-finetune", "vgg16-random"}) {
		t.Fatalf("variants %v", got)
	}
	v, _ := r.Variant("vgg16-random")
	if v.Right != 28 || v.Pictures != 30 {
		t.Errorf("%d of %d right, want 28 of 30", v.Right, v.Pictures)
	}
	if want := statistics.Wilson(28, 30); v.Accuracy.Interval != want {
		t.Errorf("interval %v, want %v", v.Accuracy.Interval, want)
	}
	// Folds with 5, 5, 6, 6 and 6 of 6: mean 14/15, sample variance 1/120.
	near(t, "the folds' mean", v.FoldMean, 14./15)
	near(t, "the folds' deviation", v.FoldSD, math.Sqrt(1./120))
	if want := [][]int{{9, 1, 0}, {0, 9, 1}, {0, 0, 10}}; !cmp.Equal(v.Confusion, want) {
		t.Errorf("confusion %v, want %v", v.Confusion, want)
	}
	near(t, "recall of normal", v.Recall[0].Value, 0.9)
	// Right answers: 2·0.1²+0.2²; wrong ones: 0.8²+0.9²+0.1².
	near(t, "Brier", v.Brier.Value, (28*0.06+2*1.46)/30)
	near(t, "lift", v.Maps.All.Figures[look.Lift].Mean, 0.6)
	if f := v.Folds[0]; f.Restarts != 1 || len(f.History) != 3 || f.History[0].Loss != 1 {
		t.Errorf("a stalled start counts as history: %+v", f)
	}

	// Only one variant is right about 0, and about 14 and 21; both are wrong about 7.
	q := r.Pairs[0]
	if q.First != "resnet50-finetune" || q.Pictures != 30 || q.OnlyFirst != 1 || q.OnlySecond != 2 {
		t.Errorf("pair %+v", q)
	}
	near(t, "p", q.P, 1)
	near(t, "difference of lift", q.Lift.Value, 1.4)
	if len(r.Errors) != 4 || r.Study.Pictures != 30 || r.Study.Labels["normal"] != 10 {
		t.Errorf("%d errors in %+v", len(r.Errors), r.Study)
	}
	if f := r.Floors[0]; f.Right != 10 || f.Pictures != 30 {
		t.Errorf("the largest class %+v", f)
	}
}

func TestVerdict(t *testing.T) {
	r := read(t, made(t, accurate(), trusted()))
	if r.Release != "resnet50-finetune" || !strings.Contains(r.Why, "It alone clears the gate") {
		t.Errorf("release %q: %s", r.Release, r.Why)
	}
	v, _ := r.Variant("vgg16-random")
	for _, want := range []struct{ got, begins string }{
		{v.Words.Accurate, "Yes. 28 of 30 right: 93.3 %"},
		{v.Words.Looking, "No, it looks elsewhere. Its maps put 0.60 times as much"},
		{v.Words.Release, "Must not be released: it is accurate, but not for the right reason."},
	} {
		if !strings.HasPrefix(want.got, want.begins) {
			t.Errorf("%q does not begin with %q", want.got, want.begins)
		}
	}
	better := trusted()
	better.method, better.wrong, better.lift = "features", []int{7}, [2]float64{1.5, 1.5}
	r = read(t, made(t, better, trusted()))
	if r.Release != "resnet50-finetune" || !strings.Contains(r.Why, "Accuracy alone does not tell resnet50-features and resnet50-finetune apart") {
		t.Errorf("of two that accuracy does not tell apart, %q is released: %s", r.Release, r.Why)
	}
	r = read(t, made(t, accurate()))
	if r.Release != "" || !strings.HasPrefix(r.Why, "What keeps them out: ") {
		t.Errorf("release %q: %s", r.Release, r.Why)
	}
}

func TestThePapersFindings(t *testing.T) {
	tuned := accurate()
	tuned.method, tuned.lift, tuned.border = "finetune", [2]float64{1.5, 1.5}, 0.1
	r := read(t, made(t, accurate(), tuned, trusted()))
	want := []string{
		"miss the clinically relevant regions. That holds here: 93.3 % right, lift 0.60 (",
		"Here no difference is shown: VGG16 alone is right about 2, ResNet50 alone about 1 of 30 pictures (p = 1.000",
		"than those of fine-tuned VGG16. That holds here: lift of ResNet50 less that of VGG16, on the same pictures, 0.50 (",
	}
	if len(r.Findings) != len(want) {
		t.Fatalf("findings %q", r.Findings)
	}
	for i, w := range want {
		if !strings.Contains(r.Findings[i], w) {
			t.Errorf("%q does not hold %q", r.Findings[i], w)
		}
	}
	if r = read(t, made(t, trusted())); len(r.Findings) != 0 {
		t.Errorf("findings about what is not there: %q", r.Findings)
	}
}

func TestMissingFolds(t *testing.T) {
	runs := made(t, accurate(), trusted())
	if err := os.RemoveAll(filepath.Join(runs, "vgg16-random", "fold3")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"resnet50-finetune/fold1/judged.json", "resnet50-finetune/fold1/heatmaps.csv"} {
		if err := os.Remove(filepath.Join(runs, name)); err != nil {
			t.Fatal(err)
		}
	}
	r := read(t, runs)
	v, _ := r.Variant("vgg16-random")
	if v.Pictures != 24 || !cmp.Equal(v.Missing, []int{3}) || !cmp.Equal(r.Study.Missing, []string{"vgg16-random/fold3"}) {
		t.Errorf("%d pictures, missing %v and %v", v.Pictures, v.Missing, r.Study.Missing)
	}
	if r.Pairs[0].Pictures != 24 {
		t.Errorf("compared on %d pictures, want the 24 that both have", r.Pairs[0].Pictures)
	}
	if r.Release != "" {
		t.Errorf("%s is released without all folds", r.Release)
	}
	page := pageOf(t, r)
	for _, want := range []string{"Not finished, and not in the figures: vgg16-random/fold3.", "Where resnet50-finetune looked is not measured in folds [1].", "missing"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if _, err := report.Read(t.TempDir()); !errors.Is(err, report.ErrNothing) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestWhatIsNotOneStudyIsRefused(t *testing.T) {
	change := func(old, new string) func([]byte) []byte {
		return func(raw []byte) []byte { return bytes.ReplaceAll(raw, []byte(old), []byte(new)) }
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"vgg16-random/fold2/config.json", change(`"batch":8`, `"batch":9`), "fold 2 was trained with other settings than fold 0"},
		{"vgg16-random/fold2/config.json", change(`"fold":2`, `"fold":3`), "says that it is fold 3"},
		{"vgg16-random/fold2/config.json", change(`"vgg16"`, `"resnet50"`), "it holds a fold of resnet50-random"},
		{"vgg16-random/fold2/predictions.csv", change(sha(12), sha(0)), "which splits.json gives another fold or label"},
		{"vgg16-random/fold2/predictions.csv", change("0.800000", "0.050000"), "the answer is not the most probable label"},
		{"vgg16-random/fold2/done.json", change("2,0,0", "1,1,0"), "is not what the training in done.json ended with"},
		{"vgg16-random/fold2/heatmaps.csv", change("weak", "drawn"), "heatmaps.csv is not the file"},
		{"vgg16-random/fold2/history.csv", change("rate", "speed"), "history.csv: its columns are not"},
		{"splits.json", change(`"fold":4`, `"fold":7`), "into fold 7 of 5"},
	} {
		runs := made(t, accurate())
		name := filepath.Join(runs, c.name)
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		save(t, name, c.change(raw))
		if _, err := report.Read(runs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func pageOf(t *testing.T, r *report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Page(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// files returns what the report writes, by name.
func files(t *testing.T, runs string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := read(t, runs).Write(dir); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(name)
		all[strings.TrimPrefix(name, dir+"/")] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	runs := made(t, accurate(), trusted())
	overlays(t, runs, trusted(), 1)
	first, second := files(t, runs), files(t, runs)
	if len(first) != 15 {
		t.Errorf("%d files", len(first))
	}
	for name := range first {
		if first[name] != second[name] {
			t.Errorf("%s differs between two runs", name)
		}
	}
}

func TestThePageNeedsNothingElseAndNamesNobody(t *testing.T) {
	runs := made(t, accurate(), trusted())
	for fold := range 5 {
		overlays(t, runs, trusted(), fold)
	}
	all := files(t, runs)
	for _, never := range []string{"<script", "<link", "http://", "https://", "url(", "NaN", "ZgotmplZ"} {
		if strings.Contains(all["report.html"], never) {
			t.Errorf("the page holds %q", never)
		}
	}
	// Three errors, and eight each of the right ones: of the one variant whose
	// overlays are here.
	if n := strings.Count(all["report.html"], "data:image/jpeg;base64,"); n != 3+8+8 {
		t.Errorf("%d pictures are shown, want 19", n)
	}
	if !strings.Contains(all["report.html"], "Left out, for their pictures are not on this machine: vgg16-random.") {
		t.Error("the page does not say that a contact sheet is left out")
	}
	if strings.Index(all["report.html"], "Wrong <small>") > strings.Index(all["report.html"], "Right, others") {
		t.Error("errors do not come first")
	}
	for name, content := range all {
		for _, word := range []string{"Planted", "Lopez", "43 Yrs", sha(0)} {
			if strings.Contains(content, word) {
				t.Errorf("%s holds %q", name, word)
			}
		}
	}
}

// What the CSV files say is what the JSON says, to six decimals.
func TestTablesAndJSONAgree(t *testing.T) {
	all := files(t, made(t, accurate(), trusted()))
	var r struct {
		Variants []map[string]any
		Pairs    []map[string]any
	}
	if err := json.Unmarshal([]byte(all["report.json"]), &r); err != nil {
		t.Fatal(err)
	}
	compare := func(table string, want []map[string]any, same map[string]string) {
		t.Helper()
		rows, err := csv.NewReader(strings.NewReader(all["tables/"+table+".csv"])).ReadAll()
		if err != nil || len(rows) != 1+len(want) {
			t.Fatalf("%s: %d rows, %v", table, len(rows), err)
		}
		for i, row := range rows[1:] {
			found := 0
			for k, column := range rows[0] {
				field, ok := same[column]
				if !ok {
					continue
				}
				found++
				if got, want := row[k], number(dig(want[i], field)); got != want {
					t.Errorf("%s, %s of row %d: %s in the table, %s in the JSON", table, column, i, got, want)
				}
			}
			if found != len(same) {
				t.Errorf("%s has %d of %d columns", table, found, len(same))
			}
		}
	}
	same := map[string]string{"fold_mean": "fold_mean", "fold_sd": "fold_sd"}
	for _, name := range []string{"accuracy", "macro_f1", "auc", "ece", "brier", "nll"} {
		same[name], same[name+"_low"], same[name+"_high"] = name+".value", name+".low", name+".high"
	}
	compare("accuracy", r.Variants, same)
	compare("pairs", r.Pairs, map[string]string{"p": "p", "p_holm": "p_holm", "lift_difference": "lift_difference.value", "lift_difference_low": "lift_difference.low"})

	rows, err := csv.NewReader(strings.NewReader(all["tables/heatmaps.csv"])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, row := range rows[1:] {
		if row[1] != "network" || row[3] == "empty" {
			continue
		}
		for _, v := range r.Variants {
			if v["name"] == row[0] {
				found++
				group := row[2]
				if slices.Contains(spine.Labels(), spine.Label(group)) {
					group = "classes." + group
				}
				if want := number(dig(v, fmt.Sprintf("maps.%s.figures.%s.mean", group, row[3]))); row[5] != want {
					t.Errorf("%v, and %s in the JSON", row, want)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no row of heatmap figures")
	}
}

func dig(v any, path string) any {
	for _, key := range strings.Split(path, ".") {
		v = v.(map[string]any)[key]
	}
	return v
}

func number(v any) string { return strconv.FormatFloat(v.(float64), 'f', 6, 64) }
