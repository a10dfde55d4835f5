package weights_test

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/op"

	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
	"spinebox/models/weights"
)

// TestImport lets Keras save random weights in all ways that people have them.
// What fits is imported and answers as Keras does; what does not is refused
// with the reason.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command(modeltest.KerasPython(t), "testdata/keras_weights.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, left := range map[string]string{
		"tiny.h5": "answers", "tiny-model.h5": "answers", "tiny-chunked.h5": "answers", "tiny-old.h5": "answers", "tiny-nested.h5": "answers, top",
		"tiny-exported": "answers", "tiny-checkpoint-1": "", "tiny-checkpoint-1.index": "",
		"resnet50.h5": "predictions", "vgg16.h5": "",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := weights.Import(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			network, _, _ := strings.Cut(strings.TrimSuffix(name, ".h5"), "-")
			if string(got.Architecture) != network || got.StandIn || got.Own || got.Origin == "" {
				t.Errorf("it is taken for %+v", got)
			}
			if l := strings.Join(got.Left, ", "); left != "" && l != left {
				t.Errorf("left out are %s, want %s", l, left)
			}
			for name, values := range weights.Backbone(modeltest.FormulaWeights(got.Architecture.Specs(1, false))) {
				if !slices.Equal(got.Weights[name], values) {
					t.Errorf("%s is not what Keras saved", name)
				}
			}
			compare(t, features(t, got.File), read(t, filepath.Join(dir, network+".features")))
			out := filepath.Join(t.TempDir(), "out.safetensors")
			if err := got.Write(out); err != nil {
				t.Fatal(err)
			}
			if again, err := weights.Read(out); err != nil || again.Digest != got.Digest {
				t.Errorf("what was imported cannot be read: %v", err)
			}
			if _, err := weights.Import(out); err == nil || !strings.Contains(err.Error(), "already") {
				t.Errorf("a backbone is imported once more: %v", err)
			}
		})
	}
	for name, want := range map[string]string{
		"tiny-half.h5":    "not little-endian float32",
		"tiny-gzip.h5":    "compressed",
		"tiny.weights.h5": "it is a .weights.h5 of Keras 3, whose layout is not read\nhint: load it in Keras",
		"tiny.keras":      "it is a .keras file of Keras 3",
		"v15.h5":          "it is a ResNet of version 1.5, whose convolutions have no biases",
		"v15-exported":    "it is a ResNet of version 1.5, with the stride at the 3×3",
		"vgg19.h5":        "it is a VGG19",
		"resnet101.h5":    "it is a ResNet101",
		"resnet50v2.h5":   "it is a ResNet of version 2",
		"older.h5":        "Keras 2.2 and older",
		"nothing.h5":      "no layer of VGG16 or ResNet50 by Keras' names, but 1 others: dense",
		"nowhere":         "there is no such file",
		"tiny.features":   "it is neither an HDF5 file",
	} {
		if _, err := weights.Import(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", name, err, want)
		}
	}
	testDamaged(t, dir)
}

// testDamaged spoils files that were good.
func testDamaged(t *testing.T, dir string) {
	for name, want := range map[string]string{
		"tiny.h5": "the file is cut short", "vgg16.h5": "the file is cut short", "tiny.keras": "damaged archive",
		"tiny-checkpoint-1.data-00000-of-00001": "",
	} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		cut := filepath.Join(dir, name)
		if err := os.WriteFile(cut, raw[:len(raw)-len(raw)/3], 0o600); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			cut, want = filepath.Join(dir, "tiny-checkpoint-1"), "is truncated"
		}
		if _, err := weights.Import(cut); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s cut short: %v does not say %q", name, err, want)
		}
	}
	// A value that is no number, found where it says.
	name := filepath.Join(dir, "resnet50.h5")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	kernel := float32s(t, name)
	at := strings.Index(string(raw), string(kernel))
	if at < 0 {
		t.Fatal("the first kernel does not lie in the file as it is")
	}
	binary.LittleEndian.PutUint32(raw[at:], math.Float32bits(float32(math.NaN())))
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := weights.Import(name); err == nil || !strings.Contains(err.Error(), "conv1_conv/kernel: it holds a value that is no number") {
		t.Errorf("a value that is no number: %v", err)
	}
	// A model of spinelab's own, whose first kernel reads RGB.
	ours := t.TempDir()
	e := savedmodel.Export{Architecture: nets.Tiny, Height: 32, Width: 32, Classes: 3, Weights: modeltest.Weights(nets.Tiny)}
	if err := savedmodel.Write(ours, e); err != nil {
		t.Fatal(err)
	}
	if _, err := weights.Import(ours); err == nil || !strings.Contains(err.Error(), "a model that spinelab made for the box") {
		t.Errorf("a model for the box: %v", err)
	}
}

// float32s are the first kernel's first values as they lie in a file.
func float32s(t *testing.T, name string) []byte {
	t.Helper()
	i, err := weights.Import(name)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := binary.Append(nil, binary.LittleEndian, i.Weights["conv1_conv/kernel"][:64])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func read(t *testing.T, name string) []float32 {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return values
}

func compare(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d features, Keras has %d", len(got), len(want))
	}
	var off, largest float64
	for i := range want {
		off = max(off, math.Abs(float64(got[i]-want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	if off > 1e-4*largest || largest == 0 {
		t.Errorf("features differ from Keras' by %.2g of %.3g", off, largest)
	}
}

// features are what the backbone makes of the picture.
func features(t *testing.T, f *weights.File) []float32 {
	t.Helper()
	s := op.NewScope()
	image := op.Placeholder(s.SubScope("image"), tf.Float, op.PlaceholderShape(tf.MakeShape(-1, 64, 64, 3)))
	vars := nets.NewVariables(s, f.Architecture.Specs(1, false))
	net := nets.Build(s.SubScope("net"), f.Architecture, vars, image, nets.Options{})
	graph, err := s.Finalize()
	if err != nil {
		t.Fatal(err)
	}
	session, err := tf.NewSession(graph, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	whole := nets.Initial(f.Architecture.Specs(1, false), 0)
	for name, values := range f.Weights {
		whole[name] = values
	}
	feeds, err := vars.Feeds(whole)
	if err != nil {
		t.Fatal(err)
	}
	if feeds[image], err = nets.FloatTensor(modeltest.FormulaPicture("image", 2, 64, 64), 2, 64, 64, 3); err != nil {
		t.Fatal(err)
	}
	out, err := session.Run(feeds, []tf.Output{net.Features}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return nets.Floats(out[0], nil)
}
