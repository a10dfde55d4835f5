// Package spine holds the few types that every part of Spinebox speaks of: a
// picture, what a reader saw in it, and what the box decided. It imports only
// the standard library.
package spine

// Label is a class of the paper's data set.
type Label string

// The three classes, in the order of every probability vector whose model
// description does not say otherwise.
const (
	Normal            Label = "normal"
	Scoliosis         Label = "scoliosis"
	Spondylolisthesis Label = "spondylolisthesis"
)

// Labels returns the three classes in their standard order.
func Labels() []Label { return []Label{Normal, Scoliosis, Spondylolisthesis} }

// IntendedUse is the line that every page, JSON result and report carries.
const IntendedUse = "For research use, not a diagnosis."

// Picture is one decoded X-ray: a single grey plane in the sense of
// MONOCHROME2 (more attenuation is brighter), whatever the file's own sense.
type Picture struct {
	Width, Height int
	Pix           []float32 // row by row, 0 (black) to 1 (white)
	Facts         Facts
}

// Facts are what is known about a picture beside its pixels. This is an
// allow-list: nothing that names a person or an institution belongs here.
type Facts struct {
	Format     string // "jpeg", "png", "tiff" or "dicom"
	Bits       int    // bits stored for each grey value, 8 to 16
	Modality   string // DICOM (0008,0060), e.g. "DX"; empty when unknown
	BodyPart   string // DICOM (0018,0015)
	View       string // DICOM (0018,5101), e.g. "AP"
	Laterality string // DICOM (0020,0060) or (0020,0062): "L", "R", "U" or "B"
	Detector   string // DICOM (0018,7004), e.g. "SCINTILLATOR"
	// Manufacturer is the maker that DICOM (0008,0070) names, one of a list.
	Manufacturer string
	Hues         float64 // how far the picture's colours are from a single tint, 0 (grey or one tint) to 1

	// SOPInstanceUID identifies the image among DICOM files. It stays on the
	// box: only its HMAC under the site's key leaves.
	SOPInstanceUID string
}

// Heatmap is a network's class activation map on its own grid, before any
// display scaling.
type Heatmap struct {
	Width, Height int
	Values        []float32 // row by row, >= 0 (after ReLU), unscaled
	Max           float32   // the greatest value; 0 means that the map is empty

	// Content is the part of the map that the picture covers; the rest is
	// the padding that letterboxing added.
	Content Rect
}

// Empty reports whether the map shows nothing. An empty map must never be
// drawn as a picture.
func (h *Heatmap) Empty() bool { return h == nil || !(h.Max > 0) }

// Rect is a rectangle in fractions of a whole, 0 to 1.
type Rect struct {
	X0 float64 `json:"x0"`
	Y0 float64 `json:"y0"`
	X1 float64 `json:"x1"`
	Y1 float64 `json:"y1"`
}

// ModelID names the model behind a reading.
type ModelID struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // SHA-256 of its model.json, hex
}

// Reading is what one network saw in one picture.
type Reading struct {
	Model         ModelID
	Labels        []Label
	Probabilities []float64 // calibrated, in the order of Labels, sum 1
	Label         Label     // the most probable label
	Method        string    // how the heatmap was made: "gradcam" or "hirescam"
	Heatmap       *Heatmap  // nil when the model has no explain signature

	// Distance is how far the picture is from those that the network knows;
	// zero when its model has no gate.
	Distance Distance
	// Outside is the share of the heatmap, 0 to 1, that lies in padding,
	// collimated border and outside the body.
	Outside float64
}

// Distance says how far a picture is from a model's training pictures. In both
// numbers 1 is where one of twenty spines lies; there is no greatest value.
type Distance struct {
	Picture  float64 // by what the picture itself looks like
	Features float64 // by what the network makes of it
}

// Probability returns the calibrated probability of the reading's own label.
func (r *Reading) Probability() float64 {
	for i, l := range r.Labels {
		if l == r.Label {
			return r.Probabilities[i]
		}
	}
	return 0
}
