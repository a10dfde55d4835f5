package infer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
	"spinebox/runtime/infer"
)

func noise(w, h int, seed uint64) *spine.Picture {
	random := rand.New(rand.NewPCG(seed, 2))
	p := &spine.Picture{Width: w, Height: h, Pix: make([]float32, w*h)}
	for i := range p.Pix {
		p.Pix[i] = random.Float32()
	}
	return p
}

func open(t *testing.T, dir string) *infer.Model {
	t.Helper()
	m, err := infer.Open(dir, infer.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func read(t *testing.T, m *infer.Model, p *spine.Picture, method explain.Method) *spine.Reading {
	t.Helper()
	r, _, err := m.Read(context.Background(), p, method)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// described changes the description of the model in dir.
func described(t *testing.T, dir string, change func(*description.Model)) string {
	t.Helper()
	d, err := description.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	change(d)
	if err := d.Seal(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// weighted returns the folder of a model with changed weights.
func weighted(t *testing.T, change func(nets.Weights)) string {
	t.Helper()
	weights := modeltest.Weights(nets.Tiny)
	change(weights)
	dir := t.TempDir()
	e := savedmodel.Export{Architecture: nets.Tiny, Height: modeltest.Height, Width: modeltest.Width, Classes: 3, Weights: weights}
	if err := savedmodel.Write(dir, e); err != nil {
		t.Fatal(err)
	}
	if err := modeltest.Description().Seal(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRead(t *testing.T) {
	m := open(t, modeltest.Tiny(t))
	r := read(t, m, noise(100, 600, 1), explain.MethodGradCAM)
	if r.Model != m.Description().ID() || r.Model.Digest == "" || r.Method != "gradcam" {
		t.Errorf("the reading is %+v", r)
	}
	var sum float64
	for i, p := range r.Probabilities {
		sum += p
		if p > r.Probability() {
			t.Errorf("%s is more probable than the answer %s", r.Labels[i], r.Label)
		}
	}
	if len(r.Probabilities) != 3 || math.Abs(sum-1) > 1e-9 {
		t.Errorf("probabilities %v sum to %v", r.Probabilities, sum)
	}
	h := r.Heatmap
	if h.Width != 2 || h.Height != 3 || len(h.Values) != 6 {
		t.Errorf("the heatmap has %dx%d cells", h.Width, h.Height)
	}
	if want := (spine.Rect{X0: 24. / 64, X1: 40. / 64, Y1: 1}); h.Content != want {
		t.Errorf("the picture covers %+v of the map, want %+v", h.Content, want)
	}
	// Before average pooling and one dense layer the two methods agree.
	other := read(t, m, noise(100, 600, 1), explain.MethodHiResCAM).Heatmap
	for i, v := range h.Values {
		if math.Abs(float64(v-other.Values[i])) > 1e-4*float64(h.Max) {
			t.Errorf("cell %d: Grad-CAM has %v, HiResCAM %v", i, v, other.Values[i])
		}
	}
	if _, _, err := m.Read(context.Background(), noise(10, 10, 1), "rainbow"); err == nil {
		t.Error("an unknown method is read with")
	}
}

func TestConcurrentReadsEqualSerialOnes(t *testing.T) {
	m := open(t, modeltest.Tiny(t))
	const readers, pictures = 8, 12
	answer := func(i int) []byte {
		r, _, err := m.Read(context.Background(), noise(40+i, 300-7*i, uint64(i)), explain.MethodGradCAM)
		raw, jsonErr := json.Marshal(r)
		if err := errors.Join(err, jsonErr); err != nil {
			t.Error(err)
		}
		return raw
	}
	var serial [pictures][]byte
	for i := range pictures {
		serial[i] = answer(i)
	}
	var all sync.WaitGroup
	for k := range readers {
		all.Go(func() {
			for i := range pictures {
				i = (i + k) % pictures
				if got := answer(i); !bytes.Equal(got, serial[i]) {
					t.Errorf("picture %d among others: %s\nalone: %s", i, got, serial[i])
				}
			}
		})
	}
	all.Wait()
}

func TestClose(t *testing.T) {
	m := open(t, modeltest.Tiny(t))
	var all sync.WaitGroup
	started := make(chan bool, 4)
	for range 4 {
		all.Go(func() {
			for first := true; ; first = false {
				_, _, err := m.Read(context.Background(), noise(50, 50, 1), explain.MethodGradCAM)
				if first {
					started <- true
				}
				if err != nil {
					if !errors.Is(err, infer.ErrClosed) {
						t.Errorf("a reading while the model closes: %v", err)
					}
					return
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	if err := m.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	m := open(t, modeltest.Tiny(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := m.Read(ctx, noise(50, 50, 1), explain.MethodGradCAM); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestPicturesOfAnySize(t *testing.T) {
	m := open(t, modeltest.Tiny(t))
	for _, size := range [][2]int{{1, 1}, {1, 3000}, {3000, 1}, {64, 96}, {2000, 1500}} {
		r := read(t, m, noise(size[0], size[1], 1), explain.MethodGradCAM)
		if r.Label == "" || r.Heatmap == nil {
			t.Errorf("%v: %+v", size, r)
		}
	}
}

func TestTemperature(t *testing.T) {
	p := noise(64, 96, 4)
	plain := read(t, open(t, modeltest.Tiny(t)), p, explain.MethodGradCAM)
	dir := described(t, modeltest.Tiny(t), func(d *description.Model) { d.Temperature = 2 })
	cooler := read(t, open(t, dir), p, explain.MethodGradCAM)
	var want [3]float64
	var sum float64
	for i, p := range plain.Probabilities {
		want[i] = math.Sqrt(p)
		sum += want[i]
	}
	for i, got := range cooler.Probabilities {
		if math.Abs(got-want[i]/sum) > 1e-6 {
			t.Errorf("temperature 2 makes %v of %v", cooler.Probabilities, plain.Probabilities)
		}
	}
	if cooler.Label != plain.Label {
		t.Error("temperature changes the answer")
	}
}

// TestEmptyHeatmap: where no channel speaks for a class, there is an answer
// but nothing to show, and the map says so.
func TestEmptyHeatmap(t *testing.T) {
	dir := weighted(t, func(w nets.Weights) {
		for i := range w["predictions/kernel"] {
			w["predictions/kernel"][i] = -0.01
		}
	})
	r := read(t, open(t, dir), noise(64, 96, 1), explain.MethodGradCAM)
	if r.Heatmap == nil || !r.Heatmap.Empty() || r.Label == "" {
		t.Errorf("reading %+v with heatmap %+v", r, r.Heatmap)
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	for name, value := range map[string]float64{"not a number": math.NaN(), "infinite": math.Inf(1)} {
		dir := weighted(t, func(w nets.Weights) { w["predictions/bias"][1] = float32(value) })
		if _, err := infer.Open(dir, infer.Options{}); err == nil || !strings.Contains(err.Error(), "is not a number") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestOpenNamesTheCause(t *testing.T) {
	for _, c := range []struct {
		what, cause string
		spoil       func(dir string)
	}{
		{"no description", "no model.json", func(dir string) { os.Remove(filepath.Join(dir, "model.json")) }},
		{"a weight changed", "variables.data-00000-of-00001 is not the file", func(dir string) {
			name := filepath.Join(dir, "variables", "variables.data-00000-of-00001")
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			raw[100] ^= 1
			if err := os.WriteFile(name, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"another input size", `input "image" is float32 [-1 96 64 3], float32 [-1 320 64 3] is needed`, func(dir string) {
			described(t, dir, func(d *description.Model) { d.Input.Height = 320 })
		}},
		{"labels for two of three classes", `output "logits" is float32 [-1 3], float32 [-1 2] is needed`, func(dir string) {
			described(t, dir, func(d *description.Model) { d.Labels = d.Labels[:2] })
		}},
		{"an explain signature that it has not", "no signature explain_block5_pool", func(dir string) {
			described(t, dir, func(d *description.Model) { d.ExplainSignature = savedmodel.ExplainPooled })
		}},
	} {
		dir := modeltest.Tiny(t)
		c.spoil(dir)
		if _, err := infer.Open(dir, infer.Options{}); err == nil || !strings.Contains(err.Error(), c.cause) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v does not name the folder and say %q", c.what, err, c.cause)
		}
	}
}

// TestWithoutExplanation also serves probabilities where the logits are, and
// both ways give one answer.
func TestWithoutExplanation(t *testing.T) {
	p := noise(64, 96, 4)
	want := read(t, open(t, modeltest.Tiny(t)), p, explain.MethodGradCAM)
	dir := described(t, modeltest.Tiny(t), func(d *description.Model) {
		d.ExplainSignature, d.ExplainLayer = "", ""
		d.Serving = &description.Serving{Input: savedmodel.Image, Output: savedmodel.Probabilities, Kind: description.Probabilities}
	})
	m := open(t, dir)
	r := read(t, m, p, explain.MethodGradCAM)
	if m.Description().Explained() || r.Heatmap != nil || r.Method != "" {
		t.Errorf("a model without an explain signature explains: %+v", r)
	}
	for i, got := range r.Probabilities {
		if math.Abs(got-want.Probabilities[i]) > 1e-6 {
			t.Errorf("probabilities %v, from the logits %v", r.Probabilities, want.Probabilities)
		}
	}
}

// TestSwaps opens and closes a model as updates do: neither goroutines nor
// memory may stay behind.
func TestSwaps(t *testing.T) {
	dir := modeltest.Tiny(t)
	swap := func(n int) {
		for range n {
			m, err := infer.Open(dir, infer.Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			read(t, m, noise(64, 96, 1), explain.MethodGradCAM)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
	}
	const settle, swaps = 5, 50
	swap(settle)
	goroutines, before := runtime.NumGoroutine(), resident(t)
	swap(swaps)
	after := resident(t)
	t.Logf("resident: %.1f MB after %d swaps, %.1f MB after %d more (%.2f MB each)",
		before, settle, after, swaps, (after-before)/swaps)
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, before %d", n, goroutines)
	}
	if grown := after - before; grown > 50 {
		t.Errorf("%d swaps leave %.1f MB behind", swaps, grown)
	}
}

// resident returns the process's resident memory in MB.
func resident(t *testing.T) float64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("resident memory: %v", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(raw))[1])
	if err != nil {
		t.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / 1e6
}
