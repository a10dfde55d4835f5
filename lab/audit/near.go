package audit

import (
	"cmp"
	"slices"
)

// nearBits is how many of 256 bits two pictures' perceptual hashes may differ
// in to be shown to a person as perhaps one patient's. Of the paper's 338
// X-rays, the six pairs that are probably one patient's differ in 44 to 86 bits,
// and unrelated ones in 66 and more.
const nearBits = 72

func near(looked []*look) ([]Pair, error) {
	var pairs []Pair
	for i, a := range looked {
		for _, b := range looked[i+1:] {
			if a.hash == nil || b.hash == nil || a.SHA256 == b.SHA256 {
				continue
			}
			d, err := a.hash.Distance(b.hash)
			if err != nil {
				return nil, err
			}
			if d <= nearBits {
				pairs = append(pairs, Pair{A: a.SHA256, B: b.SHA256, Distance: d, SameGroup: a.Group == b.Group})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.Distance, b.Distance) })
	return pairs, nil
}

// duplicates lists the digests that occur more than once, as often as they do.
func duplicates(facts []Facts) [][]string {
	var all [][]string
	for i := 0; i < len(facts); { // sorted by digest
		j := i + 1
		for j < len(facts) && facts[j].SHA256 == facts[i].SHA256 {
			j++
		}
		if j-i > 1 {
			same := make([]string, j-i)
			for k := range same {
				same[k] = facts[i].SHA256
			}
			all = append(all, same)
		}
		i = j
	}
	return all
}
