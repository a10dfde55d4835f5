package look

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"spinebox/explain"
	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
	"spinebox/lab/regions"
	"spinebox/models/input"
	"spinebox/models/modeltest"
	"spinebox/models/nets"
)

// phantoms draws a set of them and reads it.
func phantoms(t *testing.T, p phantom.Set) *dataset.Set {
	t.Helper()
	p.Dir, p.Format, p.Cobb, p.Slip = t.TempDir(), phantom.PNG, phantom.AnyCobb(), phantom.AnySlip()
	if err := p.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Read(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func folder(set *dataset.Set) string { return filepath.Dir(filepath.Dir(set.Items[0].Path)) }

func truth(t *testing.T, set *dataset.Set) *regions.Set {
	t.Helper()
	r, err := regions.Read(folder(set))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// small is a set of nine, five of them held out.
func smallSet(t *testing.T) (held, fit *dataset.Set, known *regions.Set) {
	t.Helper()
	set := phantoms(t, phantom.Set{Count: 9, Seed: 5, Sizing: phantom.Sizing{Kind: phantom.FixedSize, Width: 80, Height: 160}})
	return &dataset.Set{Items: set.Items[:5]}, &dataset.Set{Items: set.Items[5:]}, truth(t, set)
}

func TestFold(t *testing.T) {
	model := modeltest.Tiny(t)
	held, fit, known := smallSet(t)
	runs := 0
	o := Options{Model: model, Held: held, Fit: fit, Regions: known, Seed: 1, Threads: 1, Faithful: 2, Probe: 3,
		Progress: func(done, total int) {
			if done <= runs || done > total || total != 2*5+2*41+3+6*3 {
				t.Errorf("progress: %d of %d after %d", done, total, runs)
			}
			runs = done
		}}
	var first *Rows
	files := map[string][]byte{}
	for i := range 2 {
		o.Dir, runs = t.TempDir(), 0
		rows, err := Fold(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if runs != 2*5+2*41+3+6*3 {
			t.Errorf("progress ends at %d", runs)
		}
		for _, name := range tableNames() {
			raw, err := os.ReadFile(filepath.Join(o.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && !bytes.Equal(raw, files[name]) {
				t.Errorf("%s: the same judgement again has other bytes", name)
			}
			files[name] = raw
		}
		first = rows
	}
	read, err := ReadFold(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Maps) != 5 || len(read.Floors) != 4*5 || len(read.Sanity) != 6 || len(read.Probe) != 3 {
		t.Fatalf("%d maps, %d floors, %d steps, %d probe pictures", len(read.Maps), len(read.Floors), len(read.Sanity), len(read.Probe))
	}
	for i, m := range read.Maps {
		if m.SHA256 != held.Items[i].SHA256 || m.Label != held.Items[i].Label || m.Region != "truth" || m.Empty {
			t.Errorf("line %d: %+v", i, m)
		}
		if f := m.Figures; math.Abs(f[Energy]/f[Area]-f[Lift]) > 1e-3 || f[Area] <= 0 || f[Border] <= 0 {
			t.Errorf("picture %d: %v", i, f)
		}
		if _, asked := m.Figures[Insertion]; asked != (i < 2) {
			t.Errorf("picture %d has insertion: %v", i, asked)
		}
		if math.Abs(m.Figures[Lift]-first.Maps[i].Figures[Lift]) > 1e-6 {
			t.Errorf("picture %d: lift %g is read as %g", i, first.Maps[i].Figures[Lift], m.Figures[Lift])
		}
		checkOverlay(t, Overlay(o.Dir, m.SHA256))
	}
	floors(t, read)
	judged, err := ReadJudged(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if judged.Regions == "" || judged.Model == "" || judged.Faithful != 2 || !(judged.FaithfulSeconds > 0 && judged.Seconds > judged.FaithfulSeconds) {
		t.Errorf("judged.json: %+v", judged)
	}
}

// floors checks what is known of them beforehand.
func floors(t *testing.T, r *Rows) {
	t.Helper()
	for _, f := range r.Floors {
		_, padding := f.Figures[Padding]
		switch f.Kind {
		case Uniform:
			// 160×80 in 96×64 leaves 48 columns of 64.
			if math.Abs(f.Figures[Lift]-1) > 1e-5 || math.Abs(f.Figures[Border]-0.36) > 1e-5 || math.Abs(f.Figures[Padding]-0.25) > 1e-5 {
				t.Errorf("the uniform floor: %v", f.Figures)
			}
		case Centred, Average:
			if f.Figures[Lift] <= 1 || padding {
				t.Errorf("spines lie in the middle, and the %s floor has %v", f.Kind, f.Figures)
			}
		case Untrained:
			if len(f.Figures) > 0 && !padding {
				t.Errorf("the untrained floor: %v", f.Figures)
			}
		}
	}
}

func checkOverlay(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.DecodeConfig(f)
	if err != nil || m.Height != 160 || m.Width != 3*80+2*panelGap {
		t.Errorf("an overlay of %dx%d: %v", m.Width, m.Height, err)
	}
}

func TestFoldWithoutRegions(t *testing.T) {
	held, _, _ := smallSet(t)
	o := Options{Dir: t.TempDir(), Model: modeltest.Tiny(t), Held: held, Seed: 1, Threads: 1, Faithful: -1, Probe: 1}
	if _, err := Fold(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	rows, err := ReadFold(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows.Floors) != 3*5 {
		t.Errorf("%d floors: without regions there is no average one", len(rows.Floors))
	}
	for _, m := range rows.Maps {
		for _, measure := range []Measure{Area, Energy, Lift, Hit, IoU, AUPRC, Marker, Insertion} {
			if v, ok := m.Figures[measure]; ok || m.Region != "" {
				t.Errorf("%s is %g without a region (%q)", measure, v, m.Region)
			}
		}
		if m.Figures[Border] <= 0 {
			t.Errorf("border %v", m.Figures)
		}
	}
	s := Summarise([]*Rows{rows}, 1)
	if _, ok := s.All.Figures[Lift]; ok || s.Regions[""] != 5 || s.All.Figures[Border].N != 5 {
		t.Errorf("summary: %+v", s.All)
	}
}

// What goes wrong leaves nothing that looks finished, and repeats no file name.
func TestFoldThatCannotEnd(t *testing.T) {
	held, _, _ := smallSet(t)
	dir := t.TempDir()
	o := Options{Dir: dir, Model: modeltest.Tiny(t), Held: held, Threads: 1, Faithful: -1, Probe: 1}
	if _, err := Fold(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(t.TempDir(), "Jane Doe F 21.png")
	if err := os.WriteFile(private, []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.Held = &dataset.Set{Items: append(slices.Clone(held.Items), dataset.Item{Path: private, Label: spine.Normal, SHA256: strings.Repeat("e", 64)})}
	_, err := Fold(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "eeeeeeeeeeee") || strings.Contains(err.Error(), "Doe") {
		t.Errorf("an unreadable picture: %v", err)
	}
	if _, err := ReadFold(dir); !errors.Is(err, ErrNotJudged) {
		t.Errorf("after a judgement that broke off: %v", err)
	}
	o.Held, o.Regions = held, regions.NewSet()
	o.Regions.Put(held.Items[1].SHA256, regions.Region{Kind: regions.Drawn, Width: 20, Height: 20, Polygons: []regions.Polygon{{{0, 0}, {9, 0}, {9, 9}}}})
	_, err = Fold(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), held.Items[1].SHA256[:12]) || !strings.Contains(err.Error(), "its region was drawn on 20x20 pixels") {
		t.Errorf("a region of another size: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.Regions = nil
	if _, err := Fold(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Worked by hand: a map that marks everything, of an input of which the picture
// is the left half.
func TestFiguresOfOneMap(t *testing.T) {
	quarter, eighth := relevance.NewPlane(gridWidth, gridHeight), relevance.NewPlane(gridWidth, gridHeight)
	for i := range quarter.Values[:gridWidth*gridHeight/4] {
		quarter.Values[i] = 1
	}
	copy(eighth.Values, quarter.Values[:gridWidth*gridHeight/8])
	at := place{kind: "drawn", region: quarter, marker: eighth}
	left := spine.Rect{X1: 0.5, Y1: 1}
	for _, c := range []struct {
		what string
		h    spine.Heatmap
		want Figures
	}{
		{"everything", spine.Heatmap{Width: 2, Height: 1, Values: []float32{3, 3}, Max: 3, Content: left},
			Figures{Border: 0.36, Padding: 0.5, Marker: 0.125, Area: 0.25, Energy: 0.25, Lift: 1, Hit: 0.25, IoU: 0.25, AUPRC: 0.25}},
		{"the padding alone", spine.Heatmap{Width: 4, Height: 1, Values: []float32{0, 0, 0, 3}, Max: 3, Content: left},
			Figures{Padding: 1, Area: 0.25, Energy: 0, Lift: 0, Hit: 0, IoU: 0, AUPRC: 0}},
		{"nothing", spine.Heatmap{Width: 2, Height: 1, Values: []float32{0, 0}, Content: left},
			Figures{Area: 0.25, Energy: 0, Lift: 0, Hit: 0, IoU: 0, AUPRC: 0}},
	} {
		got, err := at.heatmap(&c.h)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateApprox(0, 1e-5)); diff != "" {
			t.Errorf("a map that marks %s: %s", c.what, diff)
		}
	}
}

func TestLayers(t *testing.T) {
	d := modeltest.Description()
	for network, want := range map[nets.Architecture][]string{
		nets.VGG16:    {"predictions", "block5_conv3", "block1_conv1"},
		nets.ResNet50: {"predictions", "conv5_block3", "conv1_conv"},
	} {
		d.Architecture = string(network)
		all := layers(d)
		got := []string{all[0], all[1], all[len(all)-1]}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", network, all)
		}
		if n := map[nets.Architecture]int{nets.VGG16: 14, nets.ResNet50: 18}[network]; len(all) != n {
			t.Errorf("%s has %d layers: %v", network, len(all), all)
		}
		for _, s := range specs(d) {
			if !slices.Contains(all, layer(s.Name)) {
				t.Errorf("%s: %s is never randomised", network, s.Name)
			}
		}
	}
}

// The last step has taken every layer's weights away: nothing is left but the
// untrained network.
func TestSanityIsCumulative(t *testing.T) {
	held, _, _ := smallSet(t)
	o := Options{Dir: t.TempDir(), Model: modeltest.Tiny(t), Held: held, Seed: 7, Threads: 1, Probe: 3}
	j, err := o.judge()
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	probe, err := j.probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := j.sanity(t.Context(), probe)
	if err != nil {
		t.Fatal(err)
	}
	var want Step
	for _, p := range probe {
		h, err := j.untrained.Heatmap(t.Context(), p.picture, p.answer, explain.MethodGradCAM)
		if err != nil {
			t.Fatal(err)
		}
		if err := want.add(h, p.plane, len(probe)); err != nil {
			t.Fatal(err)
		}
	}
	last := steps[len(steps)-1]
	if last.SSIM != want.SSIM || last.Spearman != want.Spearman || last.Step != 6 || last.Layer != "conv1_conv" {
		t.Errorf("the last step is %+v, an untrained network has %+v", last, want)
	}
	if steps[0].SSIM == last.SSIM {
		t.Error("the first step is the last one")
	}
}

func TestContentAndBack(t *testing.T) {
	f := input.Frame{X: 1, Y: 0, W: 2, H: 2, Width: 4, Height: 2}
	whole := []float32{0, 1, 2, 0, 0, 3, 4, 0}
	cut := content(whole, f)
	if got := fmt.Sprint(cut.Values, padded(cut, f)); got != "[1 2 3 4] [0 1 2 0 0 3 4 0]" {
		t.Error(got)
	}
}
