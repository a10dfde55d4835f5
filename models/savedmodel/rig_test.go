package savedmodel_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// The folder whose model the test binary runs instead of its tests, for
// running it under another TensorFlow library.
const runModel = "SPINEBOX_TEST_RUN_MODEL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(runModel); dir != "" {
		a, err := run(dir)
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(a)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// answers are what every signature of a model says; run_savedmodel.py prints
// the same.
type answers struct {
	TensorFlow string                       `json:"tensorflow"`
	Signatures map[string]map[string]answer `json:"signatures"`
}

type answer struct {
	Shape  []int64   `json:"shape"`
	Values []float64 `json:"values"`
}

// pixels are two pictures that models are compared by, the first one's top
// class and the second one's class 2 being explained.
func pixels(n int64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i * 7919 % 256)
	}
	return v
}

// run asks every signature of the model.
func run(dir string) (*answers, error) {
	info, err := savedmodel.Inspect(dir)
	if err != nil {
		return nil, err
	}
	shape := append([]int64{2}, info.Signatures[savedmodel.Serving].Inputs[savedmodel.Image].Shape[1:]...)
	want := savedmodel.Want{Height: shape[1], Width: shape[2], Classes: 3,
		Input: savedmodel.Image, Output: savedmodel.Logits, Explain: savedmodel.Explain}
	m, err := savedmodel.Load(dir, want, nil)
	if err != nil {
		return nil, err
	}
	defer m.Session.Close()
	image, err := nets.FloatTensor(pixels(2*shape[1]*shape[2]*3), shape...)
	if err != nil {
		return nil, err
	}
	class, err := tf.NewTensor([]int32{-1, 2})
	if err != nil {
		return nil, err
	}
	a := &answers{TensorFlow: tf.Version()}
	a.Signatures, err = ask(m, image, class)
	return a, err
}

// ask runs every signature of a loaded model.
func ask(m *tf.SavedModel, image, class *tf.Tensor) (map[string]map[string]answer, error) {
	all := map[string]map[string]answer{}
	for name, s := range m.Signatures {
		feeds := map[tf.Output]*tf.Tensor{}
		for key, tensor := range map[string]*tf.Tensor{savedmodel.Image: image, savedmodel.ClassIndex: class} {
			if in, ok := savedmodel.Input(m, name, key); ok {
				feeds[in] = tensor
			}
		}
		keys, fetches := savedmodel.Names(s.Outputs), []tf.Output{}
		for _, key := range keys {
			out, ok := savedmodel.Output(m, name, key)
			if !ok {
				return nil, fmt.Errorf("no tensor behind %s of %s", key, name)
			}
			fetches = append(fetches, out)
		}
		out, err := m.Session.Run(feeds, fetches, nil)
		if err != nil {
			return nil, err
		}
		all[name] = map[string]answer{}
		for i, key := range keys {
			all[name][key] = answer{out[i].Shape(), values(out[i])}
		}
	}
	return all, nil
}

// values flattens a tensor of float32 or int32.
func values(t *tf.Tensor) []float64 {
	var all []float64
	if t.DataType() == tf.Int32 {
		for _, v := range t.Value().([]int32) {
			all = append(all, float64(v))
		}
		return all
	}
	for _, v := range nets.Floats(t, nil) {
		all = append(all, float64(v))
	}
	return all
}

// compare fails unless every output is the same within tolerance of its
// greatest magnitude.
func compare(t *testing.T, got, want *answers, tolerance float64) {
	t.Helper()
	if len(want.Signatures) < 2 || len(got.Signatures) != len(want.Signatures) {
		t.Fatalf("signatures %v, want %v", savedmodel.Names(got.Signatures), savedmodel.Names(want.Signatures))
	}
	for signature, outputs := range want.Signatures {
		for name, w := range outputs {
			g := got.Signatures[signature][name]
			if fmt.Sprint(g.Shape) != fmt.Sprint(w.Shape) || len(g.Values) != len(w.Values) {
				t.Errorf("%s of %s has shape %v, want %v", name, signature, g.Shape, w.Shape)
				continue
			}
			var off, most float64
			for i, v := range w.Values {
				off, most = max(off, math.Abs(g.Values[i]-v)), max(most, math.Abs(v))
			}
			if !(off <= tolerance*most) || most == 0 {
				t.Errorf("%s of %s is off by %.2g (greatest value %.3g)", name, signature, off, most)
			}
		}
	}
}
