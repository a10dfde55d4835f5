package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/lab/phantom"
	"spinebox/models/description"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// goldenTolerance allows for another processor's rounding, and for another
// TensorFlow's.
const goldenTolerance = 1e-3

// foldGolden is how many golden cases a fold's model has.
const foldGolden = 3

// goldenSpec is the golden picture of that number: the classes take turns, and
// normal spines take turns in both views, in a few sizes.
func goldenSpec(i int) phantom.Spec {
	round := i / len(spine.Labels())
	s := phantom.Spec{
		Label: spine.Labels()[i%len(spine.Labels())], View: phantom.AP, Seed: 424242, Index: i,
		Width: []int{112, 128, 96, 144}[round%4], Height: []int{280, 256, 300, 272}[round%4],
		Cobb: phantom.Range{Min: 40, Max: 50}, Slip: phantom.Range{Min: 40, Max: 50},
	}
	if s.Label == spine.Spondylolisthesis || s.Label == spine.Normal && round%2 == 1 {
		s.View = phantom.Lateral
	}
	return s
}

func goldenName(i int) string {
	name := "golden/phantom-" + string(goldenSpec(i).Label)
	if round := i / len(spine.Labels()); round > 0 {
		name += "-" + strconv.Itoa(round+1)
	}
	return name + ".png"
}

// writeGolden draws n golden pictures into the model folder and returns their
// paths there: phantoms, never a patient's picture.
func writeGolden(dir string, n int) ([]string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "golden"), 0o755); err != nil {
		return nil, err
	}
	var names []string
	for i := range n {
		p, err := phantom.Draw(goldenSpec(i))
		if err != nil {
			return nil, fmt.Errorf("draw a golden case: %w", err)
		}
		name := goldenName(i)
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		err = p.Encode(f, phantom.PNG)
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// goldenCase is what the model answers for one of them, on this machine.
func goldenCase(ctx context.Context, m *infer.Model, dir, name string) (description.Golden, error) {
	p, err := xray.Decode(filepath.Join(dir, name), xray.DefaultLimits())
	if err != nil {
		return description.Golden{}, err
	}
	r, _, err := m.Read(ctx, p, explain.MethodGradCAM)
	if err != nil {
		return description.Golden{}, err
	}
	return description.Golden{
		File: name, Label: r.Label, Probabilities: r.Probabilities,
		HeatmapMax: float64(r.Heatmap.Max), Tolerance: goldenTolerance,
	}, nil
}
