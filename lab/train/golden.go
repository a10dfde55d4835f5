package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

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

// writeGolden draws the golden pictures into the model folder and returns
// their paths there: phantoms, never a patient's picture.
func writeGolden(dir string) ([]string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "golden"), 0o755); err != nil {
		return nil, err
	}
	var names []string
	for i, label := range spine.Labels() {
		view := phantom.AP
		if label == spine.Spondylolisthesis {
			view = phantom.Lateral
		}
		p, err := phantom.Draw(phantom.Spec{
			Label: label, View: view, Seed: 424242, Index: i, Width: 112, Height: 280,
			Cobb: phantom.Range{Min: 40, Max: 50}, Slip: phantom.Range{Min: 40, Max: 50},
		})
		if err != nil {
			return nil, fmt.Errorf("draw a golden case: %w", err)
		}
		name := fmt.Sprintf("golden/phantom-%s.png", label)
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
