// Package look puts into numbers where one fold's network looked: on its
// held-out pictures, beside maps that know nothing, with its weights taken
// away layer by layer, and on one probe set that all networks share
// (docs/formats.md, "Runs of the lab").
//
// Most callers need three calls: Fold judges a finished fold and leaves the
// figures in its folder, ReadFold reads them back, and Summarise makes means
// and intervals of several folds.
package look

import (
	"spinebox/explain/relevance"
	"spinebox/internal/spine"
)

// Measure names one figure of a map, as the columns of the tables do.
// explain/relevance defines them.
type Measure string

// Shares are 0 to 1.
const (
	Border    Measure = "border"    // share in the picture's outer tenth
	Padding   Measure = "padding"   // share beside the picture, where letterboxing padded
	Marker    Measure = "marker"    // share on burned-in markers, where they are known
	Area      Measure = "area"      // the region's share of the picture: the energy of a map that marks everything
	Energy    Measure = "energy"    // share inside the region
	Lift      Measure = "lift"      // energy by area; 1 is chance
	Hit       Measure = "hit"       // the maximum lies in the region: 0 or 1, between them where several cells are equal
	IoU       Measure = "iou"       // Otsu-thresholded map against the region
	AUPRC     Measure = "auprc"     // the map as a pixel classifier
	Insertion Measure = "insertion" // area under the answer while what the map marks comes in
	Deletion  Measure = "deletion"  // the same while it is taken away
	Drop      Measure = "drop"      // share of the answer that is lost when only that is shown
	Increase  Measure = "increase"  // 1 when the answer is greater then
)

// Measures lists them in the order of the tables.
func Measures() []Measure {
	return append(located(), Insertion, Deletion, Drop, Increase)
}

// located are the measures that need no network: those of the floors too.
func located() []Measure {
	return []Measure{Border, Padding, Marker, Area, Energy, Lift, Hit, IoU, AUPRC}
}

// Figures are what was measured on one map. What could not be measured is not
// there: the region's without a region, Border and its like on an empty map.
type Figures map[Measure]float64

// Map is one held-out picture's heatmap, for the network's own answer.
type Map struct {
	SHA256        string
	Label, Answer spine.Label
	Empty         bool   // zero everywhere: Energy and its like are 0 then
	Region        string // "truth", "drawn", "weak", or "" without one
	Figures       Figures
}

// Right says whether the answer is the label.
func (m Map) Right() bool { return m.Label == m.Answer }

// FloorKind names a map that knows nothing of the picture.
type FloorKind string

const (
	Uniform   FloorKind = "uniform"   // marks everything alike
	Centred   FloorKind = "centred"   // a Gaussian in the picture's middle
	Average   FloorKind = "average"   // the mean of the training pictures' regions
	Untrained FloorKind = "untrained" // the same network with random weights, for its own answer
)

// FloorKinds lists them.
func FloorKinds() []FloorKind { return []FloorKind{Uniform, Centred, Average, Untrained} }

// Floor is a floor's map on one held-out picture.
type Floor struct {
	Kind    FloorKind
	SHA256  string
	Figures Figures
}

// Step of the sanity check: how alike the maps still are to the trained
// network's when the layers down to this one have random weights.
type Step struct {
	Step     int     `json:"step"` // from 1
	Layer    string  `json:"layer"`
	SSIM     float64 `json:"ssim"`     // mean over pictures, -1 to 1
	Spearman float64 `json:"spearman"` // likewise
}

// ProbeSide is the width and height of a map of the probe set, in cells over
// the picture. SSIM's windows have 7.
const ProbeSide = 16

// Probed is the network's map for its answer on one picture of the probe set,
// its maximum 1; zeros where the map is empty.
type Probed struct {
	Picture int // from 0
	Map     relevance.Plane
}

// Rows are all that was measured on one fold.
type Rows struct {
	Maps   []Map    // heatmaps.csv
	Floors []Floor  // floors.csv
	Sanity []Step   // sanity.csv
	Probe  []Probed // probe.csv
}
