package phantom

import (
	"fmt"

	"spinebox/internal/spine"
)

// Shortcut is a way for a network to tell the classes apart without looking at
// the spine. It is drawn in on demand, so that audits and relevance figures
// can be shown to catch a network that takes it.
type Shortcut string

const (
	NoShortcut     Shortcut = "none"
	MarkerShortcut Shortcut = "marker" // a row of hatched marks along the right edge, in the class's own way
	JPEGShortcut   Shortcut = "jpeg"   // a quantiser of the class's own
	WidthShortcut  Shortcut = "width"  // the shapes that the data set's classes really have
)

func (s Spec) validateShortcut() error {
	switch s.Shortcut {
	case "", NoShortcut, MarkerShortcut, JPEGShortcut, WidthShortcut:
	default:
		return fmt.Errorf("unknown shortcut %q: it is %s, %s, %s or %s",
			s.Shortcut, MarkerShortcut, JPEGShortcut, WidthShortcut, NoShortcut)
	}
	if s.Strength < 0 || s.Strength > 1 {
		return fmt.Errorf("shortcut strength %g: choose 0 to 1", s.Strength)
	}
	return nil
}

// carries reports whether this picture is among the share that has the
// shortcut.
func (s Spec) carries(k Shortcut) bool {
	return s.Shortcut == k && newStream(s.Seed, s.Index, "shortcut").chance(s.Strength)
}

// quality returns the JPEG quality: one draw for all classes, or one for each.
func (s Spec) quality() int {
	if s.carries(JPEGShortcut) {
		switch s.Label {
		case spine.Normal:
			return 70
		case spine.Scoliosis:
			return 82
		}
		return 94
	}
	return []int{80, 85, 90, 95}[newStream(s.Seed, s.Index, "quality").IntN(4)]
}

// Sizing says how large the pictures of a set are.
type Sizing struct {
	Kind          string // PACSSizes, ArchiveSizes or FixedSize
	Width, Height int    // only of FixedSize
}

// The kinds of sizing.
const (
	PACSSizes    = "pacs"    // 656 to 1019 pixels tall, as the hospital's own archive sends them
	ArchiveSizes = "archive" // 670 to 3226 pixels tall, as in the whole data set
	FixedSize    = "fixed"
)

// quantiles are the values below which 5, 10, 25, 50, 75, 90 and 95 per cent
// of the pictures lie.
type quantiles [7]float64

// Sizes of the 338 pictures of Fraiwan, Audat and Manasreh (2022), Mendeley
// Data V1, doi 10.17632/xkt857dsxk.1, counted on the files: heights in pixels
// and heights divided by widths. The 153 with the hospital's own naming scheme
// ("pacs") are no taller than 1020 pixels. One table serves all classes and
// views: in the data set itself they differ, which is its worst shortcut.
func pacsHeights() quantiles    { return quantiles{656, 673, 727, 828, 915, 971, 1019} }
func archiveHeights() quantiles { return quantiles{670, 713, 797, 942, 1857, 3024, 3226} }
func archiveShapes() quantiles  { return quantiles{1.63, 1.75, 2.11, 2.60, 3.53, 4.30, 4.73} }

// classShapes are the same quotients within each class, for the shortcut.
func classShapes(l spine.Label) quantiles {
	switch l {
	case spine.Normal:
		return quantiles{2.84, 3.20, 3.67, 4.00, 4.56, 5.06, 5.42}
	case spine.Scoliosis:
		return quantiles{1.66, 1.81, 2.11, 2.50, 2.97, 3.76, 4.12}
	}
	return quantiles{1.41, 1.59, 1.79, 2.12, 2.60, 2.90, 2.97}
}

// at draws from the distribution between its outer quantiles; f is 0 to 1.
func (q quantiles) at(f float64) float64 {
	shares := quantiles{0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95}
	table := make([]stop, len(q))
	for i := range q {
		table[i] = stop{shares[i], [3]float64{q[i]}}
	}
	return interpolate(table, 0.05+0.9*f)[0]
}

// size sets the spec's width and height.
func (s *Spec) size(z Sizing) {
	c := newStream(s.Seed, s.Index, "size")
	f, g := c.Float64(), c.Float64()
	height, shape := pacsHeights().at(f), archiveShapes().at(g)
	switch z.Kind {
	case ArchiveSizes:
		height = archiveHeights().at(f)
	case FixedSize:
		height, shape = float64(z.Height), float64(z.Height)/float64(z.Width)
	}
	if s.carries(WidthShortcut) {
		shape = classShapes(s.Label).at(g)
	}
	s.Height, s.Width = int(height+0.5), int(height/shape+0.5)
}
