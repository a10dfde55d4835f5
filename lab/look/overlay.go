package look

import (
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"

	"spinebox/explain"
	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/models/input"
)

const overlaysDir = "overlays"

// Overlay is the name of a picture's overlay in a fold's folder: the X-ray, the
// map on it (the X-ray again where the map is empty) and, where one is known,
// the region on it, side by side. Pictures of patients: they stay where the
// data set is kept.
func Overlay(dir, sha256 string) string {
	return filepath.Join(dir, overlaysDir, sha256[:12]+".png")
}

// The largest panel of an overlay and the gap between two, in pixels.
const panelWidth, panelHeight, panelGap = 320, 420, 6

func writeOverlay(dir, sha256 string, p *spine.Picture, h *spine.Heatmap, at place) error {
	panels, err := overlay(p, h, at)
	if err != nil {
		return err
	}
	f, err := os.Create(Overlay(dir, sha256))
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, panels), f.Close())
}

func overlay(p *spine.Picture, h *spine.Heatmap, at place) (image.Image, error) {
	p = small(p)
	grey, err := explain.Grey(p)
	if err != nil {
		return nil, err
	}
	panels := []*image.NRGBA{grey, grey}
	if !h.Empty() {
		if panels[1], err = explain.Blend(p, h, explain.Options{}); err != nil {
			return nil, err
		}
	}
	if at.kind != "" {
		if grey, err = explain.Grey(p); err != nil {
			return nil, err
		}
		tint(grey, at.outline.Plane(p.Width, p.Height))
		panels = append(panels, grey)
	}
	step := p.Width + panelGap
	canvas := image.NewNRGBA(image.Rect(0, 0, len(panels)*step-panelGap, p.Height))
	draw.Draw(canvas, canvas.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	for i, panel := range panels {
		draw.Draw(canvas, panel.Rect.Add(image.Pt(i*step, 0)), panel, image.Point{}, draw.Src)
	}
	return canvas, nil
}

// small returns the picture so that it fits a panel, never larger than it is.
func small(p *spine.Picture) *spine.Picture {
	scale := min(1, panelWidth/float64(p.Width), panelHeight/float64(p.Height))
	w, h := max(int(float64(p.Width)*scale+0.5), 1), max(int(float64(p.Height)*scale+0.5), 1)
	return &spine.Picture{Width: w, Height: h, Pix: input.Resample(p.Pix, p.Width, p.Height, w, h)}
}

// tint lays a light blue over the region: no colour of the map's.
func tint(m *image.NRGBA, region relevance.Plane) {
	const opacity = 0.4
	over := [3]float32{64, 180, 255}
	for i, share := range region.Values {
		for k, c := range over {
			v := &m.Pix[4*i+k]
			*v = uint8(float32(*v) + opacity*share*(c-float32(*v)) + 0.5)
		}
	}
}
