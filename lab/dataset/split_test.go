package dataset_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
)

// made returns a set of n items; each has a companion in its group now and then.
func made(n int, grouped float64, seed uint64) *dataset.Set {
	random := rand.New(rand.NewPCG(seed, 1))
	set := new(dataset.Set)
	for i := range n {
		// As uneven as the paper's data: 71, 188 and 79 of 338.
		label := spine.Labels()[[]int{0, 1, 1, 1, 2}[random.IntN(5)]]
		item := dataset.Item{Label: label, SHA256: fmt.Sprintf("%064x", i), Group: fmt.Sprint("group ", i)}
		if i > 0 && random.Float64() < grouped {
			item.Group, item.Label = set.Items[i-1].Group, set.Items[i-1].Label
		}
		set.Items = append(set.Items, item)
	}
	return set
}

func TestFolds(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 9))
		k := 2 + random.IntN(7)
		grouped := []float64{0, 0, 0.1, 0.4}[random.IntN(4)]
		set := made(k*3+random.IntN(300), grouped, seed)
		folds, err := set.Folds(k, seed)
		if err != nil {
			t.Fatal(err)
		}
		foldOf, sizeOf, largest := map[string]int{}, map[string]int{}, 0
		count := make([]map[spine.Label]int, k)
		for f := range count {
			count[f] = map[spine.Label]int{}
		}
		for i, f := range folds {
			if f < 0 || f >= k {
				t.Fatalf("seed %d: item %d is in fold %d of %d", seed, i, f, k)
			}
			item := set.Items[i]
			if other, ok := foldOf[item.Group]; ok && other != f {
				t.Fatalf("seed %d: %s is in the folds %d and %d", seed, item.Group, other, f)
			}
			foldOf[item.Group] = f
			sizeOf[item.Group]++
			largest = max(largest, sizeOf[item.Group])
			count[f][item.Label]++
		}
		// Stratified: as even as whole groups allow.
		for _, l := range spine.Labels() {
			least, most := len(folds), 0
			for f := range k {
				least, most = min(least, count[f][l]), max(most, count[f][l])
			}
			if most-least > largest {
				t.Errorf("seed %d: of %s, folds hold %d to %d (largest group %d)", seed, l, least, most, largest)
			}
		}
		for f := range k {
			if !slices.Contains(folds, f) {
				t.Errorf("seed %d: fold %d of %d is empty", seed, f, k)
			}
		}
	}
}

func TestFoldsAreSeeded(t *testing.T) {
	set := made(100, 0.1, 1)
	a, _ := set.Folds(5, 1)
	b, _ := set.Folds(5, 1)
	c, _ := set.Folds(5, 2)
	if !slices.Equal(a, b) {
		t.Error("the same seed deals differently")
	}
	if slices.Equal(a, c) {
		t.Error("another seed deals the same")
	}
}

func TestFoldsWantEnoughGroups(t *testing.T) {
	set := made(30, 1, 1) // one group
	if _, err := set.Folds(2, 1); err == nil {
		t.Error("one group is dealt into two folds")
	}
}

func TestSplit(t *testing.T) {
	set := made(338, 0.03, 5)
	held := make([]int, len(set.Items))
	for fold := range 5 {
		parts, err := set.Split(dataset.Folds, fold, 1)
		if err != nil {
			t.Fatal(err)
		}
		part, items := map[string]dataset.Part{}, 0
		for i, item := range set.Items {
			if before, ok := part[item.Group]; ok && before != parts[i] {
				t.Fatalf("fold %d: %s is both %s and %s", fold, item.Group, before, parts[i])
			}
			part[item.Group] = parts[i]
			if parts[i] == dataset.HeldOut {
				held[i]++
			}
		}
		for p, share := range map[dataset.Part]float64{dataset.HeldOut: 1. / 5, dataset.Validation: 4. / 5 / 8, dataset.Fit: 4. / 5 * 7 / 8} {
			only := set.Only(parts, p)
			items += len(only.Items)
			for label, all := range set.Count() {
				if want := share * float64(all); float64(only.Count()[label]) < want-3 || float64(only.Count()[label]) > want+3 {
					t.Errorf("fold %d: %s has %d of %s, a fair share is %.1f", fold, p, only.Count()[label], label, want)
				}
			}
		}
		if items != len(set.Items) {
			t.Errorf("fold %d: the parts hold %d of %d items", fold, items, len(set.Items))
		}
	}
	for i, n := range held {
		if n != 1 {
			t.Fatalf("item %d is held out %d times", i, n)
		}
	}
	for _, fold := range []int{-1, 5} {
		if _, err := set.Split(dataset.Folds, fold, 1); err == nil {
			t.Errorf("there is a fold %d", fold)
		}
	}
}
