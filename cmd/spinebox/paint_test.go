package main

import (
	"bytes"
	"image/jpeg"
	"image/png"
	"testing"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

// Every X-ray of a series keeps its picture, and files are made when asked for.
func TestPaint(t *testing.T) {
	picture := &spine.Picture{Width: 10, Height: 3000, Pix: make([]float32, 30000)}
	heatmap := &spine.Heatmap{Width: 1, Height: 2, Values: []float32{0, 1}, Max: 1, Content: spine.Rect{X1: 1, Y1: 1}}
	img := &spine.Image{Digest: "0123456789abcdef", Decision: spine.Decision{Outcome: spine.Classified, Label: spine.Normal},
		Readings: []spine.Reading{{Label: spine.Normal, Heatmap: heatmap}, {Label: spine.Normal}}}
	view := newView(wire.SiteKey{}, img)
	paint(&view, img, picture)
	for range 2 { // two may look
		raw, err := view.Preview()
		if err != nil {
			t.Fatal(err)
		}
		shown, err := jpeg.DecodeConfig(bytes.NewReader(raw))
		if err != nil || shown.Height != previewSide {
			t.Errorf("the preview is %d pixels high (%v)", shown.Height, err)
		}
	}
	if len(view.Maps) != 2 || view.Maps[0] == nil || view.Maps[1] != nil {
		t.Fatalf("maps of two readings, one without: %v", view.Maps)
	}
	raw, err := view.Maps[0]()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.DecodeConfig(bytes.NewReader(raw)); err != nil {
		t.Error(err)
	}
	// What is withheld shows no map; what could not be decoded, nothing.
	img.Decision = spine.Decision{Outcome: spine.Refused, Code: spine.NotSpine}
	view = newView(wire.SiteKey{}, img)
	if paint(&view, img, picture); view.Preview == nil || view.Maps != nil {
		t.Error("a withheld answer shows a map, or no X-ray")
	}
	view = newView(wire.SiteKey{}, img)
	if paint(&view, img, nil); view.Preview != nil {
		t.Error("there is a picture of nothing")
	}
}
