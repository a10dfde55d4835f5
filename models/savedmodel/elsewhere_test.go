package savedmodel_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// within is how near, relative to an output's greatest value, the same
// SavedModel must answer wherever it runs.
const within = 1e-4

// TestElsewhere runs what Write wrote where it did not come from: in Python,
// and under the library of TensorFlow 2.16.1, which is JetPack 6's.
func TestElsewhere(t *testing.T) {
	signatures := map[nets.Architecture]string{
		nets.Tiny:     "explain, serving_default",
		nets.ResNet50: "explain, serving_default",
		nets.VGG16:    "explain, explain_block5_pool, serving_default",
	}
	for _, a := range []nets.Architecture{nets.Tiny, nets.ResNet50, nets.VGG16} {
		t.Run(string(a), func(t *testing.T) {
			dir := write(t, a, 64, 64)
			here, err := run(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(savedmodel.Names(here.Signatures), ", "); got != signatures[a] {
				t.Errorf("signatures %s, want %s", got, signatures[a])
			}
			if a != nets.ResNet50 { // Tiny has the same layers, and Python takes its time
				t.Run("Python", func(t *testing.T) { compare(t, inPython(t, dir), here, within) })
			}
			t.Run("TensorFlow 2.16.1", func(t *testing.T) { compare(t, under216(t, dir), here, within) })
		})
	}
}

func write(t *testing.T, a nets.Architecture, height, width int64) (dir string) {
	t.Helper()
	dir = t.TempDir()
	e := savedmodel.Export{Architecture: a, Height: height, Width: width, Classes: 3, Weights: modeltest.Weights(a)}
	if err := savedmodel.Write(dir, e); err != nil {
		t.Fatal(err)
	}
	return dir
}

func inPython(t *testing.T, dir string) *answers {
	python := modeltest.KerasPython(t)
	info, err := savedmodel.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	shape := info.Signatures[savedmodel.Serving].Inputs[savedmodel.Image].Shape
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.LittleEndian, pixels(2*shape[1]*shape[2]*3)); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image.bin")
	if err := os.WriteFile(image, raw.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return told(t, exec.Command(python, "testdata/run_savedmodel.py", dir, image,
		fmt.Sprintf("--shape=2,%d,%d,3", shape[1], shape[2]), "--class-index=-1,2"))
}

// under216 runs the test binary once more, with the older library. The rpath
// that it was linked with gives way to LD_LIBRARY_PATH.
func under216(t *testing.T, dir string) *answers {
	library := os.Getenv("SPINEBOX_LIBTENSORFLOW_216")
	if library == "" {
		library = filepath.Join(modeltest.Cache(t), "libtensorflow-2.16.1-amd64")
	}
	modeltest.Needs(t, filepath.Join(library, "complete"), "TensorFlow 2.16.1 (scripts/fetch-libtensorflow 2.16.1 amd64 "+library+")")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), runModel+"="+dir, "LD_LIBRARY_PATH="+filepath.Join(library, "lib"))
	a := told(t, cmd)
	if a.TensorFlow != "2.16.1" {
		t.Fatalf("it ran under TensorFlow %s", a.TensorFlow)
	}
	return a
}

func told(t *testing.T, cmd *exec.Cmd) *answers {
	t.Helper()
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, complaint.Bytes())
	}
	a := new(answers)
	if err := json.Unmarshal(out, a); err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return a
}

// TestKerasExport reads what Keras' model.export wrote. Running it is
// runtime/infer's, and tested there.
func TestKerasExport(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(modeltest.KerasPython(t), "testdata/keras_export.py", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		TensorFlow string
		Parameters int64
	}
	if err := json.Unmarshal(raw, &expected); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		input   string
		outputs []string
	}{
		"named": {"image", []string{"logits", "probabilities"}},
		"plain": {"image", []string{"output_0"}},
	} {
		info, err := savedmodel.Inspect(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		s := info.Signatures[savedmodel.Serving]
		if in := s.Inputs[c.input]; len(s.Inputs) != 1 || in.Type != "float32" || !slices.Equal(in.Shape, []int64{-1, 40, 32, 3}) {
			t.Errorf("%s: inputs %v", name, s.Inputs)
		}
		if !slices.Equal(savedmodel.Names(s.Outputs), c.outputs) {
			t.Errorf("%s: outputs %v", name, s.Outputs)
		}
		for key, out := range s.Outputs {
			if out.Type != "float32" || !slices.Equal(out.Shape, []int64{-1, 3}) {
				t.Errorf("%s: output %s is %v", name, key, out)
			}
		}
		if info.TensorFlow != expected.TensorFlow || !slices.Contains(info.Tags, "serve") || info.Bytes == 0 {
			t.Errorf("%s: written by TensorFlow %q, tags %q, %d bytes", name, info.TensorFlow, info.Tags, info.Bytes)
		}
		if info.Parameters != expected.Parameters {
			t.Errorf("%s: %d parameters, Keras counts %d: %v", name, info.Parameters, expected.Parameters, info.Variables)
		}
		if info.Operations["Conv2D"] == 0 || len(info.Unknown) != 0 {
			t.Errorf("%s: operations %v, unknown %v", name, info.Operations, info.Unknown)
		}
	}
}
