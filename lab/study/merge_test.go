package study

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parts returns two folders of one study, each with one fold.
func parts(t *testing.T) (a, b *Study) {
	t.Helper()
	a, b = mustOpen(t, small, Options{}), mustOpen(t, small, Options{})
	pretend(t, a.Dir, a, a.Tasks[0])
	pretend(t, b.Dir, b, b.Tasks[2])
	return a, b
}

func TestMerge(t *testing.T) {
	a, b := parts(t)
	out := filepath.Join(t.TempDir(), "whole")
	missing, err := Merge([]string{a.Dir, b.Dir}, out)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(a.Tasks)
	want = append(want[1:2:2], want[3:]...)
	if !slices.Equal(missing, want) {
		t.Errorf("missing are %v, want %v", missing, want)
	}
	for _, one := range []*Study{a, b} {
		stage, err := stageOf(filepath.Join(out, map[*Study]Task{a: a.Tasks[0], b: b.Tasks[2]}[one].Path()))
		if stage != Finished || err != nil {
			t.Errorf("a fold that one of them has is %s, %v", stage, err)
		}
	}
	// The rest comes later, and what was collected stays.
	for _, task := range want {
		if !task.Variant.Pretrained() {
			pretend(t, b.Dir, b, task)
		}
	}
	if missing, err = Merge([]string{b.Dir}, out); err != nil || len(missing) != 5 { // those of finetune
		t.Errorf("then missing are %v, %v", missing, err)
	}
	if s, err := ReadStatus(out); err != nil || s.Count.Finished != 5 || s.Count.Left != 5 {
		t.Errorf("its status is %+v, %v", s, err)
	}
}

func TestMergeRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		other func(t *testing.T, a, b *Study) string // the folder beside a's
		want  string
	}{
		"no study": {func(t *testing.T, _, _ *Study) string { return t.TempDir() }, "is no folder of a study's runs"},
		"another configuration": {func(t *testing.T, _, _ *Study) string {
			return mustOpen(t, small+"random: {rate: 0.5}\n", Options{}).Dir
		}, "have different configurations"},
		"other folds": {func(t *testing.T, _, _ *Study) string {
			return mustOpen(t, small, Options{Data: made(33)}).Dir
		}, "have different folds"},
		"other regions": {func(t *testing.T, a, b *Study) string {
			if err := a.keepRegions(); err != nil {
				t.Fatal(err)
			}
			if err := write(filepath.Join(b.Dir, regionsName), []byte("others\n")); err != nil {
				t.Fatal(err)
			}
			return b.Dir
		}, "was measured against other regions"},
		"a fold twice": {func(t *testing.T, a, b *Study) string {
			pretend(t, b.Dir, b, a.Tasks[0])
			name := filepath.Join(b.Dir, a.Tasks[0].Path(), "predictions.csv")
			if err := os.WriteFile(name, []byte("something else\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return b.Dir
		}, "hold the same fold, and their predictions.csv differ"},
		"another training": {func(t *testing.T, a, b *Study) string {
			pretend(t, b.Dir, mustOpen(t, small+"seed: 2\n", Options{}), b.Tasks[2])
			return b.Dir
		}, "was not trained as the configuration says"},
	} {
		a, b := parts(t)
		if _, err := Merge([]string{a.Dir, c.other(t, a, b)}, filepath.Join(t.TempDir(), "out")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
