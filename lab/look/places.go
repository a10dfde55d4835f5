package look

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"spinebox/explain"
	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/regions"
)

// place is what is known of where things lie in one picture, on the common
// grid.
type place struct {
	kind    string // of the region; "" without one
	outline regions.Region
	region  relevance.Plane // no values without a region
	marker  relevance.Plane // no values where no marker is known
}

// places are those of a fold's pictures.
type places struct {
	set  *regions.Set
	held map[string]place
	fit  []relevance.Plane // the training pictures' regions
	sum  string            // over all of them
}

func newPlaces(set *regions.Set, held, fit *dataset.Set) (*places, error) {
	if set == nil {
		set = regions.NewSet()
	}
	p := &places{set: set, held: map[string]place{}}
	known := false
	h := sha256.New()
	note := func(name string, plane relevance.Plane) error {
		known = true
		fmt.Fprintln(h, name)
		return binary.Write(h, binary.LittleEndian, plane.Values)
	}
	for _, item := range held.Items {
		var at place
		if r, ok := set.Of(item.SHA256); ok {
			at.kind, at.outline, at.region = string(r.Kind), r, r.Plane(gridWidth, gridHeight)
			if err := note("region "+at.kind+" "+item.SHA256, at.region); err != nil {
				return nil, err
			}
		}
		if r, ok := set.Marker(item.SHA256); ok {
			at.marker = r.Plane(gridWidth, gridHeight)
			if err := note("marker "+item.SHA256, at.marker); err != nil {
				return nil, err
			}
		}
		p.held[item.SHA256] = at
	}
	if fit != nil {
		for _, item := range fit.Items {
			if r, ok := set.Of(item.SHA256); ok {
				plane := r.Plane(gridWidth, gridHeight)
				p.fit = append(p.fit, plane)
				if err := note("fit "+item.SHA256, plane); err != nil {
					return nil, err
				}
			}
		}
	}
	if known {
		p.sum = hex.EncodeToString(h.Sum(nil))
	}
	return p, nil
}

// digest identifies the regions as they were used; "" without any.
func (p *places) digest() string { return p.sum }

// of returns the places of a held-out picture.
func (p *places) of(sha256 string, picture *spine.Picture) (place, error) {
	at := p.held[sha256]
	if at.kind == "" {
		return at, nil
	}
	return at, at.outline.Fits(picture.Width, picture.Height)
}

// heatmap measures a network's map.
func (p place) heatmap(h *spine.Heatmap) (Figures, error) {
	m, err := relevance.OnGrid(h, gridWidth, gridHeight)
	if err != nil {
		return nil, err
	}
	f, err := p.measure(m)
	if err == nil && !h.Empty() {
		f[Padding] = explain.Outside(h)
	}
	return f, err
}

// measure says how a map over the picture lies to its places. A map that is
// empty there has nothing in the border, which is no merit: it has no such
// figures. That it lies in no region is a fault, and counts as 0.
func (p place) measure(m relevance.Plane) (Figures, error) {
	f := Figures{}
	if m.Sum() > 0 {
		f[Border] = relevance.Border(m)
		if len(p.marker.Values) > 0 {
			share, err := relevance.Share(m, p.marker)
			if err != nil {
				return nil, err
			}
			f[Marker] = share
		}
	}
	if p.kind == "" {
		return f, nil
	}
	l, err := relevance.Measure(m, p.region)
	if err != nil {
		return nil, err
	}
	f[Area] = p.region.Sum() / float64(len(p.region.Values))
	f[Energy], f[Lift], f[Hit], f[IoU], f[AUPRC] = l.Energy, l.Lift, l.Hit, l.IoU, l.AUPRC
	return f, nil
}
