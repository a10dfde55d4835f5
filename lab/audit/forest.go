package audit

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// trees of a forest.
const trees = 300

// growForest is Breiman's random forest (2001, doi 10.1023/A:1010933404324):
// each tree grown to the end on rows drawn with replacement, at each node the
// best Gini split among √d features. The same seed gives the same forest.
func growForest(x [][]float64, y []int, classes int, seed uint64) classifier {
	random := rand.New(rand.NewPCG(seed, 0xf0e57))
	g := grower{x: x, y: y, classes: classes, random: random, features: max(1, int(math.Sqrt(float64(len(x[0])))))}
	forest := make([]*node, trees)
	for t := range forest {
		rows := make([]int, len(x))
		for i := range rows {
			rows[i] = random.IntN(len(x))
		}
		forest[t] = g.grow(rows)
	}
	return func(row []float64) int {
		votes := make([]int, classes)
		for _, tree := range forest {
			votes[tree.answer(row)]++
		}
		return slices.Index(votes, slices.Max(votes))
	}
}

// node of a tree: a leaf, when it has no children.
type node struct {
	feature   int
	threshold float64
	low, high *node
	class     int
}

func (n *node) answer(row []float64) int {
	for n.low != nil {
		if row[n.feature] <= n.threshold {
			n = n.low
		} else {
			n = n.high
		}
	}
	return n.class
}

type grower struct {
	x        [][]float64
	y        []int
	classes  int
	features int
	random   *rand.Rand
}

func (g *grower) grow(rows []int) *node {
	counts := make([]int, g.classes)
	for _, i := range rows {
		counts[g.y[i]]++
	}
	n := &node{class: slices.Index(counts, slices.Max(counts))}
	if slices.Max(counts) == len(rows) {
		return n
	}
	best := math.Inf(1)
	// Features that split nothing do not count among the few that are tried.
	tried := 0
	for _, j := range g.random.Perm(len(g.x[0])) {
		impurity, threshold, ok := g.split(rows, j)
		if !ok {
			continue
		}
		if impurity < best {
			best, n.feature, n.threshold = impurity, j, threshold
		}
		if tried++; tried == g.features {
			break
		}
	}
	if math.IsInf(best, 1) { // equal rows of several classes
		return n
	}
	var low, high []int
	for _, i := range rows {
		if g.x[i][n.feature] <= n.threshold {
			low = append(low, i)
		} else {
			high = append(high, i)
		}
	}
	n.low, n.high = g.grow(low), g.grow(high)
	return n
}

// split returns the least Gini impurity that a threshold on feature j leaves.
func (g *grower) split(rows []int, j int) (impurity, threshold float64, ok bool) {
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b int) int { return cmp.Compare(g.x[a][j], g.x[b][j]) })
	low, high := make([]float64, g.classes), make([]float64, g.classes)
	for _, i := range sorted {
		high[g.y[i]]++
	}
	impurity = math.Inf(1)
	for at, i := range sorted[:len(sorted)-1] {
		low[g.y[i]]++
		high[g.y[i]]--
		v, next := g.x[i][j], g.x[sorted[at+1]][j]
		if v == next {
			continue
		}
		if gini := gini(low, float64(at+1)) + gini(high, float64(len(sorted)-at-1)); gini < impurity {
			impurity, threshold, ok = gini, v+(next-v)/2, true
		}
	}
	return impurity, threshold, ok
}

// gini impurity of n rows, times n.
func gini(counts []float64, n float64) float64 {
	sum := 0.0
	for _, c := range counts {
		sum += c * c
	}
	return n - sum/n
}
