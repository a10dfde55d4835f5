package infer_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/input"
	"spinebox/models/modeltest"
)

// TestKerasExport serves SavedModels that Keras' model.export wrote, with each
// preprocessing that a description can declare. The answers are Keras' own.
func TestKerasExport(t *testing.T) {
	const script = "../../models/savedmodel/testdata/keras_export.py"
	exported := t.TempDir()
	cmd := exec.Command(modeltest.KerasPython(t), script, exported)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	raw, err := os.ReadFile(filepath.Join(exported, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Shape   [4]int
		Answers map[string]struct{ Probabilities [][]float64 }
	}
	if err := json.Unmarshal(raw, &expected); err != nil {
		t.Fatal(err)
	}
	if len(expected.Answers) != 4 {
		t.Fatalf("Keras answers by %d rules", len(expected.Answers))
	}
	n, h, w := expected.Shape[0], expected.Shape[1], expected.Shape[2]
	serving := map[string]*description.Serving{
		"named": nil, // its names are ours
		"plain": {Input: "image", Output: "output_0", Kind: description.Probabilities},
	}
	for name, s := range serving {
		for rule, answer := range expected.Answers {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(exported, name))); err != nil {
				t.Fatal(err)
			}
			d := &description.Model{
				Name: "keras", Version: "1", Architecture: "other", Method: "random", Labels: spine.Labels(),
				Input:         input.Spec{Width: w, Height: h, Resize: input.Squash, Grey: input.FullRange},
				Preprocessing: rule, Serving: s, Temperature: 1,
			}
			if err := d.Seal(dir); err != nil {
				t.Fatal(err)
			}
			m := open(t, dir)
			for i := range n {
				p := &spine.Picture{Width: w, Height: h, Pix: make([]float32, w*h)}
				for k := range p.Pix {
					at := i*w*h + k
					p.Pix[k] = float32(at*at%251) / 255
				}
				r := read(t, m, p, explain.MethodGradCAM)
				if r.Heatmap != nil {
					t.Errorf("%s: there is a heatmap", name)
				}
				for k, want := range answer.Probabilities[i] {
					if math.Abs(r.Probabilities[k]-want) > 1e-5 {
						t.Errorf("%s, preprocessing %s, picture %d: %v, Keras says %v", name, rule, i, r.Probabilities, answer.Probabilities[i])
						break
					}
				}
			}
		}
	}
}
