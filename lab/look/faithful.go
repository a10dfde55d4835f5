package look

import (
	"context"
	"slices"

	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/models/input"
)

// probability measures whether the answer hangs on what the map marks. Pixels
// are changed in the picture as the network gets it, and never in the padding.
// A map without anything on the picture has no order to change them in: it gets
// no such figures.
func (j *judge) probability(ctx context.Context, p *spine.Picture, r *spine.Reading, f Figures) error {
	in := j.model.Description().Input
	whole := make([]float32, in.Width*in.Height)
	frame := in.Plane(whole, p)
	m, err := relevance.OnGrid(r.Heatmap, frame.W, frame.H)
	if err != nil || m.Sum() == 0 {
		return err
	}
	class := slices.Index(r.Labels, r.Label)
	got, err := relevance.Probe(content(whole, frame), m, func(pictures []relevance.Plane) ([]float64, error) {
		planes := make([][]float32, len(pictures))
		for i, picture := range pictures {
			planes[i] = padded(picture, frame)
		}
		answers, err := j.model.Probabilities(ctx, planes)
		if err != nil {
			return nil, err
		}
		of := make([]float64, len(answers))
		for i, a := range answers {
			of[i] = a[class]
		}
		return of, nil
	})
	f[Insertion], f[Deletion], f[Drop], f[Increase] = got.Insertion, got.Deletion, got.Drop, got.Increase
	return err
}

// content cuts the picture out of an input.
func content(whole []float32, f input.Frame) relevance.Plane {
	p := relevance.NewPlane(f.W, f.H)
	for y := range f.H {
		copy(p.Values[y*f.W:(y+1)*f.W], whole[(f.Y+y)*f.Width+f.X:])
	}
	return p
}

// padded puts it back.
func padded(p relevance.Plane, f input.Frame) []float32 {
	whole := make([]float32, f.Width*f.Height)
	for y := range f.H {
		copy(whole[(f.Y+y)*f.Width+f.X:], p.Values[y*f.W:(y+1)*f.W])
	}
	return whole
}
