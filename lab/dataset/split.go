package dataset

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"

	"spinebox/internal/spine"
)

// Folds deals the items into k folds: whole groups, each label as even as the
// groups allow, the same for the same seed. It returns the fold of each item.
func (s *Set) Folds(k int, seed uint64) ([]int, error) {
	type group struct {
		items []int
		label spine.Label // of the first item; groups of mixed labels are rare
	}
	groups := map[string]*group{}
	for i, item := range s.Items {
		g := groups[item.Group]
		if g == nil {
			g = &group{label: item.Label}
			groups[item.Group] = g
		}
		g.items = append(g.items, i)
	}
	if len(groups) < k {
		return nil, fmt.Errorf("%d folds need %d groups of pictures at least, and here are %d: pictures of one patient, and copies, are one group", k, k, len(groups))
	}
	order := slices.Sorted(maps.Keys(groups))
	random := rand.New(rand.NewPCG(seed, 0x5f01d5))
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	// The largest groups first: what comes last evens out.
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Compare(len(groups[b].items), len(groups[a].items))
	})
	folds := make([]int, len(s.Items))
	held := make([]map[spine.Label]int, k)
	total := make([]int, k)
	for f := range held {
		held[f] = map[spine.Label]int{}
	}
	for _, name := range order {
		g := groups[name]
		best := 0
		for f := range k {
			if c := cmp.Compare(held[f][g.label], held[best][g.label]); c < 0 || c == 0 && total[f] < total[best] {
				best = f
			}
		}
		for _, i := range g.items {
			folds[i] = best
			held[best][s.Items[i].Label]++
			total[best]++
		}
	}
	return folds, nil
}

// Part is what an item is used for.
type Part string

const (
	Fit        Part = "fit"        // the network is trained on it
	Validation Part = "validation" // best epoch and temperature come from it
	HeldOut    Part = "held-out"   // nothing is chosen on it
)

// Folds is how many folds a data set is split into where nobody asks for
// another number, as in the paper.
const Folds = 5

// Split holds out one of the k folds, and inside the rest one of eight folds
// for validation.
func (s *Set) Split(k, fold int, seed uint64) ([]Part, error) {
	const inner = 8
	if fold < 0 || fold >= k {
		return nil, fmt.Errorf("fold %d is not one of 0 to %d", fold, k-1)
	}
	folds, err := s.Folds(k, seed)
	if err != nil {
		return nil, err
	}
	rest, index := new(Set), []int{}
	parts := make([]Part, len(s.Items))
	for i, f := range folds {
		if f == fold {
			parts[i] = HeldOut
			continue
		}
		rest.Items, index = append(rest.Items, s.Items[i]), append(index, i)
	}
	folds, err = rest.Folds(inner, seed+1)
	if err != nil {
		return nil, err
	}
	for r, f := range folds {
		parts[index[r]] = Fit
		if f == fold%inner {
			parts[index[r]] = Validation
		}
	}
	return parts, nil
}

// ReadParts reads the split of the set that a training left in its splits.json.
func (s *Set) ReadParts(name string) ([]Part, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the split: %w", err)
	}
	var split struct {
		Data  string
		Items []struct{ Part Part }
	}
	if err := json.Unmarshal(raw, &split); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if split.Data != s.Digest() || len(split.Items) != len(s.Items) {
		return nil, fmt.Errorf("%s splits other data: give the folder that the run was trained on", name)
	}
	var parts []Part
	for _, item := range split.Items {
		parts = append(parts, item.Part)
	}
	return parts, nil
}

// Only returns the items of one part.
func (s *Set) Only(parts []Part, part Part) *Set {
	only := new(Set)
	for i, item := range s.Items {
		if parts[i] == part {
			only.Items = append(only.Items, item)
		}
	}
	return only
}
