package infer_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/gate"
	"spinebox/models/modeltest"
	"spinebox/runtime/infer"
)

// around is a view with one axis, whose training pictures all were like x.
func around(name string, x []float32) gate.View {
	slopes := make([]float32, len(x))
	slopes[0] = 1
	return gate.View{View: description.View{Name: name, Length: len(x), Axes: 1, Middle: 0, Tail: 1},
		Mean: slices.Clone(x), Slopes: slopes, Spread: []float32{0.01}, Rest: 0.01}
}

func TestAReadingSaysHowFarThePictureIs(t *testing.T) {
	dir := modeltest.Tiny(t)
	home, away := noise(100, 200, 1), noise(150, 150, 2)
	without := open(t, dir)
	reading, seen, err := without.See(context.Background(), home, explain.MethodGradCAM)
	if err != nil {
		t.Fatal(err)
	}
	if reading.Distance != (spine.Distance{}) || len(seen.Features) == 0 || len(seen.Grey) == 0 {
		t.Errorf("without a gate the distance is %+v, seen are %d features", reading.Distance, len(seen.Features))
	}
	var length float64
	for _, v := range seen.Features {
		length += float64(v) * float64(v)
	}
	if math.Abs(length-1) > 1e-5 {
		t.Errorf("the features' length is %v", math.Sqrt(length))
	}
	g := &gate.Gate{Views: []gate.View{around(gate.Grey, seen.Grey), around(gate.Features, seen.Features)}}
	// write seals the model with the gate as it is.
	write := func() {
		d := *without.Description()
		var err error
		if d.Gate, err = g.Write(dir); err == nil {
			d.Thresholds.Picture, d.Thresholds.Features = 2, 2
			err = d.Seal(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write()
	m := open(t, dir)
	if at := read(t, m, home, explain.MethodGradCAM).Distance; at.Picture > 1e-3 || at.Features > 0.1 {
		t.Errorf("the picture that the gate was made from is %+v away", at)
	}
	if at := read(t, m, away, explain.MethodGradCAM).Distance; !(at.Picture > 1) || !(at.Features > 0.1) {
		t.Errorf("another one is %+v away", at)
	}
	// A gate whose numbers are none is found before anything is run.
	g.Views[0].Rest = 0
	write()
	if _, err := infer.Open(dir, infer.Options{Threads: 1}); err == nil || !strings.Contains(err.Error(), "view grey: a spread of 0") {
		t.Errorf("a broken gate: %v", err)
	}
}

func TestAReaderWithoutHeatmaps(t *testing.T) {
	dir := modeltest.Tiny(t)
	m, err := infer.Open(dir, infer.Options{Threads: 2, NoHeatmaps: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := noise(100, 200, 3)
	with := read(t, open(t, dir), p, explain.MethodGradCAM)
	without := read(t, m, p, explain.MethodGradCAM)
	if without.Heatmap != nil || without.Outside != 0 || m.Heatmaps() {
		t.Errorf("it has the heatmap %+v", without.Heatmap)
	}
	if with.Label != without.Label || math.Abs(with.Probability()-without.Probability()) > 1e-6 {
		t.Errorf("it answers %s %v, with heatmaps %s %v", without.Label, without.Probability(), with.Label, with.Probability())
	}
	_, seen, err := m.See(context.Background(), p, explain.MethodGradCAM)
	if err != nil || len(seen.Features) == 0 {
		t.Errorf("it has %d features (%v)", len(seen.Features), err)
	}
}
