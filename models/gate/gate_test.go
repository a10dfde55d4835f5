package gate_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/gate"
	"spinebox/models/input"
)

// plain is a view of two numbers whose one axis is the first of them.
func plain(name string) gate.View {
	return gate.View{
		View: description.View{Name: name, Length: 2, Axes: 1, Middle: 1, Tail: 3},
		Mean: []float32{10, 20}, Slopes: []float32{1, 0}, Spread: []float32{2}, Rest: 0.5,
	}
}

func TestDistanceByHand(t *testing.T) {
	v := plain(gate.Grey)
	for _, c := range []struct {
		x    []float32
		want float64
	}{
		{[]float32{10, 20}, 0},
		{[]float32{16, 20}, 3},   // three spreads along the axis
		{[]float32{10, 21}, 2},   // twice what the axis leaves over
		{[]float32{4, 21}, 3},    // the greater of both
		{[]float32{12, 17.5}, 5}, // whatever the sign
	} {
		if got := v.Raw(c.x); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%v lies at %v, want %v", c.x, got, c.want)
		}
	}
	whole := v
	whole.Axes, whole.Slopes, whole.Spread = 2, []float32{1, 0, 0, 1}, []float32{2, 1}
	if got, want := whole.Raw([]float32{14, 21}), math.Sqrt((4+1)/2.); math.Abs(got-want) > 1e-6 {
		t.Errorf("with all axes %v, want %v", got, want)
	}

	g := &gate.Gate{Views: []gate.View{plain(gate.Grey), plain(gate.Edges), plain(gate.Features)}}
	far := []float32{24, 20}  // 7: three units
	near := []float32{10, 20} // 0: below the middle, no unit
	for _, c := range []struct {
		seen gate.Seen
		want spine.Distance
	}{
		{gate.Seen{Grey: near, Edges: near, Features: near}, spine.Distance{}},
		{gate.Seen{Grey: far, Edges: near, Features: near}, spine.Distance{Picture: 3}},
		{gate.Seen{Grey: far, Edges: []float32{10, 24.5}, Features: near}, spine.Distance{Picture: 5}}, // 3 and 4
		{gate.Seen{Grey: near, Edges: near, Features: far}, spine.Distance{Features: 3}},
		{gate.Seen{Grey: near, Edges: near}, spine.Distance{}}, // no features, none counted
	} {
		got := g.Distance(c.seen)
		if math.Abs(got.Picture-c.want.Picture)+math.Abs(got.Features-c.want.Features) > 1e-6 {
			t.Errorf("%+v is %+v away, want %+v", c.seen, got, c.want)
		}
	}
}

func TestGateIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	want := &gate.Gate{Views: []gate.View{plain(gate.Grey), plain(gate.Features)}}
	d, err := want.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := gate.Open(dir, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Views) != 2 || d.Version != description.GateVersion {
		t.Fatalf("version %d with %d views", d.Version, len(got.Views))
	}
	for i, v := range got.Views {
		w := want.Views[i]
		if v.View != w.View || !slices.Equal(v.Mean, w.Mean) || !slices.Equal(v.Slopes, w.Slopes) || !slices.Equal(v.Spread, w.Spread) || v.Rest != w.Rest {
			t.Errorf("%+v was %+v", v, w)
		}
	}
	name := filepath.Join(dir, gate.FileName)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, spoilt := range map[string][]byte{
		"too short":      raw[:len(raw)-1],
		"a spread of 0":  append(slices.Clone(raw[:len(raw)-4]), 0, 0, 0, 0),
		"a spread of Na": binary.LittleEndian.AppendUint32(slices.Clone(raw[:len(raw)-4]), math.Float32bits(float32(math.NaN()))),
	} {
		if err := os.WriteFile(name, spoilt, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := gate.Open(dir, d); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

// column is a bright column on a darker ground, tall, in a letterboxed input.
func column(change func(x, y int) float32) gate.Seen {
	spec := input.Spec{Width: 128, Height: 320, Resize: input.Letterbox, Grey: input.FullRange}
	p := &spine.Picture{Width: 200, Height: 600, Pix: make([]float32, 200*600)}
	for i := range p.Pix {
		x, y := i%200, i/200
		p.Pix[i] = 0.2
		if x > 80 && x < 120 {
			p.Pix[i] = 0.7
		}
		p.Pix[i] += change(x, y)
	}
	plane := make([]float32, spec.Width*spec.Height)
	f := spec.Plane(plane, p)
	return gate.See(plane, f, 3, []float32{3, 4})
}

func TestWhatTheViewsSee(t *testing.T) {
	still := func(int, int) float32 { return 0 }
	s := column(still)
	for name, want := range map[string]int{gate.Grey: 128, gate.Edges: 256, gate.Texture: 9, gate.Shape: 1, gate.Features: 2} {
		x := s.Of(name)
		if len(x) != want {
			t.Errorf("%s sees %d numbers, want %d", name, len(x), want)
		}
		for _, v := range x {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Errorf("%s sees %v", name, v)
			}
		}
		if !slices.Equal(x, column(still).Of(name)) {
			t.Errorf("%s sees two things in one picture", name)
		}
	}
	if math.Abs(float64(s.Shape[0])-math.Log(3)) > 1e-6 || math.Abs(float64(s.Features[0])-0.6) > 1e-6 {
		t.Errorf("shape %v, features %v", s.Shape, s.Features)
	}
	// The column's borders are upright: of a place's directions, the first
	// (a gradient to the side) is strongest, in the middle of the picture.
	place := s.Edges[(4*4+1)*8:][:8]
	if slices.Index(place, slices.Max(place)) != 0 {
		t.Errorf("the edges' directions are %v", place)
	}
	// Fine stripes change the texture, and a bright top the grey layout.
	stripes := column(func(_, y int) float32 { return 0.2 * float32(y/2%2) })
	if stripes.Texture[8] < s.Texture[8]+1 {
		t.Errorf("stripes are as fine (%v) as none (%v)", stripes.Texture[8], s.Texture[8])
	}
	top := column(func(_, y int) float32 { return map[bool]float32{true: 0.3}[y < 300] })
	if !(top.Grey[0] > s.Grey[0]+1) || math.Abs(float64(top.Grey[127]-s.Grey[127])) > 0.01 {
		t.Errorf("grey of the first place %v, was %v; of the last %v, was %v", top.Grey[0], s.Grey[0], top.Grey[127], s.Grey[127])
	}
	// An even picture has no edges, and none is divided by zero.
	even := gate.See(make([]float32, 320*128), input.Frame{W: 128, H: 320, Width: 128, Height: 320}, 2.5, nil)
	if slices.Max(even.Edges) != 0 || even.Features != nil {
		t.Errorf("an even picture has edges up to %v and features %v", slices.Max(even.Edges), even.Features)
	}
}

// BenchmarkGate is what an image pays for the gate: seeing and five distances.
func BenchmarkGate(b *testing.B) {
	spec := input.Spec{Width: 128, Height: 320, Resize: input.Letterbox, Grey: input.FullRange}
	p := &spine.Picture{Width: 200, Height: 500, Pix: make([]float32, 200*500)}
	for i := range p.Pix {
		p.Pix[i] = float32(i*7919%1000) / 1000
	}
	plane := make([]float32, spec.Width*spec.Height)
	f := spec.Plane(plane, p)
	features := make([]float32, 2048)
	var g gate.Gate
	for name, n := range map[string]int{gate.Grey: 128, gate.Edges: 256, gate.Texture: 9, gate.Shape: 1, gate.Features: 2048} {
		k := min(n, 20)
		v := gate.View{View: description.View{Name: name, Length: n, Axes: k, Tail: 1}, Mean: make([]float32, n), Slopes: make([]float32, k*n), Spread: slices.Repeat([]float32{1}, k), Rest: 1}
		g.Views = append(g.Views, v)
	}
	for b.Loop() {
		g.Distance(gate.See(plane, f, 2.5, features))
	}
}
