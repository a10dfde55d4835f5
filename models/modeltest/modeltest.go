// Package modeltest makes what other packages' tests need of models: a folder
// with a model so small that it loads in a moment, and the way to the Python
// that has Keras. It is for tests only.
package modeltest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/input"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// Height and Width are the input's of Tiny, in pixels. Its heatmap has 3×2 cells.
const Height, Width = 96, 64

// Tiny returns a folder of the test with a model that Write wrote.
func Tiny(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Write writes a model folder into dir: nets.Tiny, untrained, and its
// description.
func Write(dir string) error { return WriteNet(dir, nets.Tiny, Height, Width) }

// WriteNet is Write for another network and input: for measurements, which a
// small one would flatter.
func WriteNet(dir string, a nets.Architecture, height, width int) error {
	err := savedmodel.Write(dir, savedmodel.Export{
		Architecture: a, Height: int64(height), Width: int64(width), Classes: 3, Weights: Weights(a),
	})
	if err != nil {
		return err
	}
	d := Description()
	d.Name, d.Architecture, d.ExplainLayer = string(a), string(a), a.ExplainLayer()
	d.Input.Width, d.Input.Height = width, height
	return d.Seal(dir)
}

// Weights returns untrained weights for three classes, with every branch alive
// and numbers of a size that trained networks have.
func Weights(a nets.Architecture) nets.Weights {
	weights := nets.Initial(a.Specs(3, false), 3)
	for name, values := range weights {
		for i := range values {
			switch {
			case name == "conv1_conv/kernel", name == "block1_conv1/kernel":
				values[i] /= 64 // untrained statistics know nothing of 0 to 255
			case strings.HasSuffix(name, "_3_bn/gamma"):
				values[i] = 0.25
			}
		}
	}
	return weights
}

// Description returns what describes the model, unsealed.
func Description() *description.Model {
	return &description.Model{
		Name: "tiny", Version: "0.1", Architecture: string(nets.Tiny), Method: "random", Labels: spine.Labels(),
		Input:         input.Spec{Width: Width, Height: Height, Resize: input.Letterbox, Grey: input.Percentile},
		Preprocessing: "none", ExplainSignature: savedmodel.Explain, ExplainLayer: nets.Tiny.ExplainLayer(),
		Temperature: 1, Phantom: true,
	}
}

// KerasPython returns the Python interpreter that has Keras: the one that
// SPINEBOX_PYTHON_KERAS names, or that of scripts/python-env. Without one the
// test is skipped, and fails in CI.
func KerasPython(t testing.TB) string {
	t.Helper()
	python := os.Getenv("SPINEBOX_PYTHON_KERAS")
	if python == "" {
		python = filepath.Join(Cache(t), "python-keras", "bin", "python")
	}
	Needs(t, python, "Keras (scripts/python-env keras scripts/requirements-keras.txt)")
	return python
}

// Cache returns the folder where the project's downloads lie.
func Cache(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "spinebox")
}

// Needs skips the test for want of a file, saying what is missing, and fails it
// in CI, where everything has to be there.
func Needs(t testing.TB, file, what string) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}
