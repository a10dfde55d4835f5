package infer_test

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/runtime/infer"
)

func heatmap(t *testing.T, a *infer.Altered, p *spine.Picture, class spine.Label) *spine.Heatmap {
	t.Helper()
	h, err := a.Heatmap(t.Context(), p, class, explain.MethodGradCAM)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func altered(t *testing.T, m *infer.Model, w nets.Weights) *infer.Altered {
	t.Helper()
	a, err := m.With(w)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWeights(t *testing.T) {
	m := open(t, modeltest.Tiny(t))
	got, err := m.Weights()
	if err != nil {
		t.Fatal(err)
	}
	want, err := nets.Fold(modeltest.Weights(nets.Tiny))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%d variables, %d were written", len(got), len(want))
	}
	for name, values := range want {
		if !slices.Equal(got[name], values) {
			t.Errorf("%s is not as it was written", name)
		}
	}
}

func TestOtherWeights(t *testing.T) {
	m, p := open(t, modeltest.Tiny(t)), noise(90, 180, 1)
	before := read(t, m, p, explain.MethodGradCAM)
	w, err := m.Weights()
	if err != nil {
		t.Fatal(err)
	}
	if got := heatmap(t, altered(t, m, w), p, ""); !slices.Equal(got.Values, before.Heatmap.Values) || got.Content != before.Heatmap.Content {
		t.Errorf("its own weights make the map %v, and the model %v", got.Values, before.Heatmap.Values)
	}
	if got := heatmap(t, altered(t, m, w), p, before.Label); !slices.Equal(got.Values, before.Heatmap.Values) {
		t.Error("the map for its own answer is another one when that class is named")
	}

	// A head that answers another class, and explains the named one all the same.
	other := spine.Labels()[(slices.Index(spine.Labels(), before.Label)+1)%3]
	swapped := nets.Weights{}
	for name, values := range w {
		swapped[name] = slices.Clone(values)
	}
	from, to := slices.Index(m.Description().Labels, before.Label), slices.Index(m.Description().Labels, other)
	kernel := swapped["predictions/kernel"]
	for i := 0; i < len(kernel); i += 3 {
		kernel[i+from], kernel[i+to] = kernel[i+to], kernel[i+from]
	}
	a := altered(t, m, swapped)
	if got := heatmap(t, a, p, ""); !slices.Equal(got.Values, before.Heatmap.Values) {
		t.Error("with two classes' weights exchanged, the answer's map is not the same")
	}
	if got := heatmap(t, a, p, before.Label); slices.Equal(got.Values, before.Heatmap.Values) {
		t.Error("with two classes' weights exchanged, the first class's map is the same")
	}

	if after := read(t, m, p, explain.MethodGradCAM); !slices.Equal(after.Heatmap.Values, before.Heatmap.Values) {
		t.Error("the model itself has changed")
	}
	delete(swapped, "predictions/kernel")
	if _, err := m.With(swapped); err == nil {
		t.Error("weights without a head were taken")
	}
}

func TestProbabilities(t *testing.T) {
	m := open(t, modeltest.Tiny(t))
	in := m.Description().Input
	var planes [][]float32
	var want [][]float64
	for i := range 11 { // more than one batch
		p := noise(60+7*i, 150, uint64(i))
		plane := make([]float32, in.Width*in.Height)
		in.Plane(plane, p)
		planes = append(planes, plane)
		want = append(want, read(t, m, p, explain.MethodGradCAM).Probabilities)
	}
	got, err := m.Probabilities(t.Context(), planes)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d answers to %d planes", len(got), len(want))
	}
	for i := range want {
		for k := range want[i] {
			if math.Abs(got[i][k]-want[i][k]) > 1e-5 {
				t.Errorf("plane %d: %v, read alone %v", i, got[i], want[i])
			}
		}
	}
	if _, err := m.Probabilities(t.Context(), [][]float32{{1}}); err == nil {
		t.Error("a plane of one value was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Probabilities(ctx, planes); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAlteredEndsWithItsModel(t *testing.T) {
	m, err := infer.Open(modeltest.Tiny(t), infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Weights()
	if err != nil {
		t.Fatal(err)
	}
	a := altered(t, m, w)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Heatmap(t.Context(), noise(50, 90, 1), "", explain.MethodGradCAM); !errors.Is(err, infer.ErrClosed) {
		t.Errorf("a heatmap: %v", err)
	}
	_, weights := m.Weights()
	_, with := m.With(w)
	_, probabilities := m.Probabilities(t.Context(), nil)
	for _, err := range []error{weights, with, probabilities} {
		if !errors.Is(err, infer.ErrClosed) {
			t.Errorf("of a closed model: %v", err)
		}
	}
}

// A graph whose convolutions are rewritten would take no notice of other
// weights: it has none to offer, and takes its pictures one by one.
func TestRewrittenModel(t *testing.T) {
	dir := t.TempDir()
	if err := modeltest.WriteNet(dir, nets.VGG16, 112, 112); err != nil {
		t.Fatal(err)
	}
	m := open(t, dir)
	if m.Plain() {
		t.Fatal("this network is large enough to be rewritten, and is not")
	}
	_, weights := m.Weights()
	_, with := m.With(nil)
	if weights == nil || with == nil {
		t.Errorf("of a rewritten model: %v, %v", weights, with)
	}
	p := noise(112, 112, 1)
	plane := make([]float32, 112*112)
	m.Description().Input.Plane(plane, p)
	got, err := m.Probabilities(t.Context(), [][]float32{plane, plane, plane})
	if err != nil {
		t.Fatal(err)
	}
	if want := read(t, m, p, explain.MethodGradCAM).Probabilities; len(got) != 3 || !slices.Equal(got[2], want) {
		t.Errorf("three times the same picture: %v, read alone %v", got, want)
	}
	plain, err := infer.Open(dir, infer.Options{Threads: 2, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Weights(); err != nil || !plain.Plain() {
		t.Errorf("opened plain: %v, %v", plain.Plain(), err)
	}
	if _, err := os.Stat("/dev/nvidiactl"); err == nil {
		return
	}
	asked, err := infer.Open(dir, infer.Options{Threads: 2, GPU: true})
	if err != nil {
		t.Fatal(err)
	}
	defer asked.Close()
	if asked.Plain() {
		t.Error("a GPU that is asked for, and not there, keeps the network from being rewritten for the CPU")
	}
}
