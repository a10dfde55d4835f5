package gate

import (
	"spinebox/internal/spine"
	"spinebox/models/description"
)

// Rules are the fixed rules that say whether a picture may be judged at all,
// by whichever model.
type Rules struct {
	MaxHues float64 // spine.Facts.Hues above this is a colour picture, not an X-ray
	MinSide int     // pixels of the shorter side

	// MaxShape is the most that the longer side may have of the shorter. The
	// tallest of the paper's 338 X-rays has 6.2.
	MaxShape float64
	// MinContrast is the least difference between the 1st and the 99th
	// percentile of the grey values, 0 to 1. A network answers for an empty
	// picture, too.
	MinContrast float64
}

// Fixed returns the rules that hold unless the box's configuration says
// otherwise: twice the tallest X-ray known; two greys of 8 bits. The limit on
// colours belongs to whoever measures them (runtime/xray).
func Fixed() Rules {
	return Rules{MaxHues: 1, MinSide: 96, MaxShape: 12, MinContrast: 2.0 / 255}
}

// Map returns the rules by their names, as they go into the decision digest.
func (r Rules) Map() map[string]float64 {
	return map[string]float64{
		"max_hues": r.MaxHues, "min_side": float64(r.MinSide), "max_shape": r.MaxShape, "min_contrast": r.MinContrast,
	}
}

// Check returns the refusal, a spine.Fault, of a picture that breaks a rule.
func (r Rules) Check(p *spine.Picture) error {
	shape := float64(max(p.Width, p.Height)) / float64(max(min(p.Width, p.Height), 1))
	switch {
	case p.Facts.Hues > r.MaxHues:
		return spine.Faultf(spine.NotXray, "colours of several tints (%.2f, an X-ray has at most %.2f)", p.Facts.Hues, r.MaxHues)
	case min(p.Width, p.Height) < r.MinSide:
		return spine.Faultf(spine.TooSmall, "%d by %d pixels, the shorter side must have %d", p.Width, p.Height, r.MinSide)
	case r.MaxShape > 0 && shape > r.MaxShape:
		return spine.Faultf(spine.NotXray, "%d by %d pixels is no X-ray's shape", p.Width, p.Height)
	case contrast(p) < r.MinContrast:
		return spine.Faultf(spine.NotXray, "the picture is empty: all of it has the same grey")
	}
	return nil
}

// contrast is the difference between the 1st and the 99th percentile of the
// grey values on a grid of 64 by 64 places.
func contrast(p *spine.Picture) float64 {
	const grid = 64
	var sample []float32
	for y := range grid {
		for x := range grid {
			sample = append(sample, p.Pix[(2*y+1)*p.Height/(2*grid)*p.Width+(2*x+1)*p.Width/(2*grid)])
		}
	}
	last := len(sample) - 1
	return float64(spine.Ranked(sample, last*99/100) - spine.Ranked(sample, last/100))
}

// Judge returns the refusal, a spine.Fault, of a reading that its model's
// thresholds do not let pass. What is not there is not judged: a model without
// an explain signature has no heatmap. A heatmap that is there and shows nothing
// withholds the answer.
func Judge(r *spine.Reading, t description.Thresholds) error {
	probability := r.Probability()
	switch d := r.Distance; {
	case t.Picture > 0 && !(d.Picture <= t.Picture):
		return spine.Faultf(spine.NotSpine, "the picture is %.2f from the training pictures, the limit is %.2f", d.Picture, t.Picture)
	case t.Features > 0 && !(d.Features <= t.Features):
		return spine.Faultf(spine.NotSpine, "the network's features are %.2f from the training pictures', the limit is %.2f", d.Features, t.Features)
	case r.Heatmap != nil && r.Heatmap.Empty():
		return spine.Faultf(spine.HeatmapEmpty, "the class activation map is all zero")
	case t.Outside > 0 && !(r.Outside <= t.Outside):
		return spine.Faultf(spine.HeatmapOff, "%.0f %% of the heatmap lies off the body, the limit is %.0f %%", 100*r.Outside, 100*t.Outside)
	case probability < t.Confidence:
		return spine.Faultf(spine.LowConfidence, "probability %.3f, the model answers from %.3f", probability, t.Confidence)
	}
	return nil
}
