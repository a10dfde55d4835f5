package explain_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spinebox/explain"
	"spinebox/internal/spine"
)

var whole = spine.Rect{X1: 1, Y1: 1}

// Two channels on a 2×2 grid, worked by hand: positions are left to right, top
// to bottom, the two channels of each side by side.
func TestHandWorked(t *testing.T) {
	activations := []float32{1, 0, 2, 1, 3, 1, 4, 0} // A₀ = 1 2 / 3 4, A₁ = 0 1 / 1 0
	gradients := []float32{1, -4, 0, -2, 0, 0, 3, 2} // G₀ = 1 0 / 0 3, G₁ = -4 -2 / 0 2
	for _, c := range []struct {
		method explain.Method
		want   []float32
	}{
		{explain.MethodGradCAM, []float32{1, 1, 2, 4}},   // α = 1, -1: A₀ - A₁
		{explain.MethodHiResCAM, []float32{1, 0, 0, 12}}, // G₀∘A₀ + G₁∘A₁ = 1 -2 / 0 12
	} {
		got, err := c.method.Heatmap(activations, gradients, 2, 2, 2, whole)
		if err != nil {
			t.Fatal(err)
		}
		want := &spine.Heatmap{Width: 2, Height: 2, Values: c.want, Max: c.want[3], Content: whole}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.method, diff)
		}
	}
}

// The unrolled and blocked sums against the formulas as written, over channel
// counts on both sides of the block.
func TestAgainstFormulas(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][3]int{{1, 1, 1}, {2, 3, 5}, {7, 7, 511}, {3, 4, 512}, {12, 5, 1301}, {7, 7, 2048}} {
		h, w, c := shape[0], shape[1], shape[2]
		a, g := normal(rng, h*w*c), normal(rng, h*w*c)
		grad, hires := make([]float64, h*w), make([]float64, h*w)
		size := make([]float64, h*w) // of what is summed, for the tolerance
		for k := range c {
			var alpha float64
			for p := range h * w {
				alpha += float64(g[p*c+k]) / float64(h*w)
			}
			for p := range h * w {
				grad[p] += alpha * float64(a[p*c+k])
				hires[p] += float64(g[p*c+k]) * float64(a[p*c+k])
				size[p] += math.Abs(float64(g[p*c+k]) * float64(a[p*c+k]))
			}
		}
		for method, want := range map[explain.Method][]float64{explain.MethodGradCAM: grad, explain.MethodHiResCAM: hires} {
			got, err := method.Heatmap(a, g, h, w, c, whole)
			if err != nil {
				t.Fatal(err)
			}
			var greatest float32
			for p, v := range got.Values {
				if math.Abs(float64(v)-max(want[p], 0)) > 1e-6*size[p] {
					t.Errorf("%s %v: position %d is %v, want %v", method, shape, p, v, max(want[p], 0))
				}
				greatest = max(greatest, v)
			}
			if got.Max != greatest {
				t.Errorf("%s %v: maximum %v, want %v", method, shape, got.Max, greatest)
			}
		}
	}
}

// A network that ends in global average pooling and one dense head, its
// gradient taken by finite differences of the head itself. Grad-CAM, HiResCAM
// and Zhou's CAM are then the same map up to the constant h·w.
func TestPoolingHeadMakesAllMapsOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		h, w, c := 1+rng.IntN(5), 1+rng.IntN(5), 1+rng.IntN(9)
		a := normal(rng, h*w*c)
		for i := range a {
			a[i] = max(a[i], 0) // after the last ReLU
		}
		dense, bias := normal(rng, c), rng.NormFloat64()
		logit := func(a []float32) float64 {
			sum := bias
			for i, v := range a {
				sum += float64(dense[i%c]) * float64(v) / float64(h*w)
			}
			return sum
		}
		g := slope(logit, a)
		for i, v := range g {
			if want := dense[i%c] / float32(h*w); math.Abs(float64(v-want)) > 1e-5 {
				t.Fatalf("gradient %d of the pooled head is %v, want w/(h·w) = %v", i, v, want)
			}
		}
		grad, hires := mustMap(t, explain.MethodGradCAM, a, g, h, w, c), mustMap(t, explain.MethodHiResCAM, a, g, h, w, c)
		for p, want := range cam(a, dense, h, w, c) {
			if math.Abs(float64(grad.Values[p]-hires.Values[p])) > 1e-5 {
				t.Errorf("Grad-CAM %v, HiResCAM %v at %d of [%d,%d,%d]", grad.Values[p], hires.Values[p], p, h, w, c)
			}
			if math.Abs(float64(grad.Values[p])*float64(h*w)-want) > 1e-4*float64(h*w) {
				t.Errorf("Grad-CAM × h·w is %v, CAM %v at %d of [%d,%d,%d]", grad.Values[p]*float32(h*w), want, p, h, w, c)
			}
		}
	}
}

// With a head that weighs every position by itself (VGG16's flattened one) the
// two methods must part: if they did not, one would be the other in disguise.
func TestFlattenedHeadPartsThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	a, g := normal(rng, 3*3*4), normal(rng, 3*3*4) // a flattened head's gradient is its own weights
	grad, hires := mustMap(t, explain.MethodGradCAM, a, g, 3, 3, 4), mustMap(t, explain.MethodHiResCAM, a, g, 3, 3, 4)
	if cmp.Equal(grad.Values, hires.Values) {
		t.Errorf("Grad-CAM and HiResCAM agree where they cannot: %v", grad.Values)
	}
}

func TestNegativeOnlyIsEmpty(t *testing.T) {
	for _, m := range []explain.Method{explain.MethodGradCAM, explain.MethodHiResCAM} {
		got := mustMap(t, m, []float32{1, 2, 3, 4}, []float32{-1, -1, -1, -1}, 2, 2, 1)
		if !got.Empty() || got.Max != 0 {
			t.Errorf("%s of evidence against the class: %+v, want an empty map", m, got)
		}
		for _, draw := range []func() error{
			func() error { _, err := explain.OnPicture(got, 10, 20); return err },
			func() error { _, err := explain.SmallMap(got, 10, 20); return err },
			func() error {
				_, err := explain.Blend(&spine.Picture{Width: 1, Height: 1, Pix: []float32{1}}, got, explain.Options{})
				return err
			},
		} {
			err := draw()
			if !errors.Is(err, explain.ErrEmpty) || spine.CodeOf(err) != spine.HeatmapEmpty {
				t.Errorf("drawing an empty map: %v, want ErrEmpty with its code", err)
			}
		}
	}
}

func TestNotFiniteIsRefused(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	const h, w, c = 3, 2, 700
	for _, m := range []explain.Method{explain.MethodGradCAM, explain.MethodHiResCAM} {
		for _, bad := range []float32{nan, inf, -inf} {
			for _, tensor := range []string{"activation", "gradient"} {
				for _, others := range []float32{0, 1} { // zeros must not swallow it
					a, g := filled(h*w*c, others), filled(h*w*c, others)
					at := (2*w+1)*c + 650
					if tensor == "activation" {
						a[at] = bad
					} else {
						g[at] = bad
					}
					_, err := m.Heatmap(a, g, h, w, c, whole)
					want := tensor + " is not finite: "
					if err == nil || !strings.Contains(err.Error(), want) ||
						!strings.Contains(err.Error(), "row 2, column 1, channel 650") {
						t.Errorf("%s with %v among the %ss of %v: error %v, want one with %q and its place", m, bad, tensor, others, err, want)
					}
				}
			}
		}
		huge := filled(4, math.MaxFloat32)
		if _, err := m.Heatmap(huge, huge, 2, 2, 1, whole); err == nil {
			t.Errorf("%s: a sum beyond float32 is not refused", m)
		}
	}
}

func TestWrongShapesAreRefused(t *testing.T) {
	for _, m := range []explain.Method{explain.MethodGradCAM, explain.MethodHiResCAM} {
		for name, c := range map[string]struct {
			a, g    int
			h, w, c int
			content spine.Rect
			want    string
		}{
			"short activations": {7, 8, 2, 2, 2, whole, "7 activations"},
			"long gradients":    {8, 9, 2, 2, 2, whole, "9 gradients"},
			"no channels":       {0, 0, 2, 2, 0, whole, "[2,2,0]"},
			"no content":        {8, 8, 2, 2, 2, spine.Rect{}, "place in the input"},
			"content outside":   {8, 8, 2, 2, 2, spine.Rect{X1: 1.01, Y1: 1}, "place in the input"},
			"content NaN":       {8, 8, 2, 2, 2, spine.Rect{X0: math.NaN(), X1: 1, Y1: 1}, "place in the input"},
		} {
			_, err := m.Heatmap(make([]float32, c.a), make([]float32, c.g), c.h, c.w, c.c, c.content)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: error %v, want one with %q", m, name, err, c.want)
			}
		}
	}
}

func TestParseMethod(t *testing.T) {
	for _, m := range []explain.Method{explain.MethodGradCAM, explain.MethodHiResCAM} {
		if got, err := explain.ParseMethod(string(m)); got != m || err != nil {
			t.Errorf("ParseMethod(%q) = %q, %v", m, got, err)
		}
	}
	for _, name := range []string{"", "cam", "GradCAM"} {
		_, err := explain.ParseMethod(name)
		if err == nil || !strings.Contains(err.Error(), `"gradcam" or "hirescam"`) {
			t.Errorf("ParseMethod(%q): %v, want an error that lists the methods", name, err)
		}
		if _, err := explain.Method(name).Heatmap(nil, nil, 1, 1, 1, whole); err == nil {
			t.Errorf("a map by method %q", name)
		}
	}
}

// The map is made for every image between the network and its answer: beside
// the map itself it must leave nothing to collect.
func TestMapAllocatesOnlyItself(t *testing.T) {
	a, g := filled(7*7*2048, 1), filled(7*7*2048, 1)
	for _, m := range []explain.Method{explain.MethodGradCAM, explain.MethodHiResCAM} {
		if n := testing.AllocsPerRun(20, func() { mustMap(t, m, a, g, 7, 7, 2048) }); n > 2 {
			t.Errorf("%s allocates %v times, want 2: the map and its values", m, n)
		}
	}
}

func BenchmarkMap(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct {
		name    string
		h, w, c int
	}{{"ResNet50-7x7x2048", 7, 7, 2048}, {"VGG16-14x14x512", 14, 14, 512}} {
		act, grad := normal(rng, c.h*c.w*c.c), normal(rng, c.h*c.w*c.c)
		for _, m := range []explain.Method{explain.MethodGradCAM, explain.MethodHiResCAM} {
			b.Run(string(m)+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Heatmap(act, grad, c.h, c.w, c.c, whole); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// cam is the class activation map of Zhou et al. 2016 (arXiv:1512.04150), for
// which the head's weights must be known, after ReLU.
func cam(a, dense []float32, h, w, c int) []float64 {
	sums := make([]float64, h*w)
	for i, v := range a {
		sums[i/c] += float64(dense[i%c]) * float64(v)
	}
	for p, v := range sums {
		sums[p] = max(v, 0)
	}
	return sums
}

// slope returns the central finite differences of f at a.
func slope(f func([]float32) float64, a []float32) []float32 {
	const step = 1.0 / 64 // exact in float32 beside values of this size
	at := append([]float32(nil), a...)
	g := make([]float32, len(a))
	for i := range a {
		up, down := a[i]+step, a[i]-step
		at[i] = up
		above := f(at)
		at[i] = down
		below := f(at)
		at[i] = a[i]
		g[i] = float32((above - below) / (float64(up) - float64(down)))
	}
	return g
}

func mustMap(t *testing.T, m explain.Method, a, g []float32, h, w, c int) *spine.Heatmap {
	t.Helper()
	got, err := m.Heatmap(a, g, h, w, c, whole)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func normal(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

func filled(n int, v float32) []float32 {
	all := make([]float32, n)
	for i := range all {
		all[i] = v
	}
	return all
}
