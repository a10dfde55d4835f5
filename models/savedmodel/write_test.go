package savedmodel_test

import (
	"math"
	"slices"
	"testing"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

func writeTiny(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	e := savedmodel.Export{
		Architecture: nets.Tiny, Height: 64, Width: 48, Classes: 3,
		Weights: nets.Initial(nets.Tiny.Specs(3, false), 1),
	}
	if err := savedmodel.Write(dir, e); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWriteThenRun(t *testing.T) {
	m, err := tf.LoadSavedModel(writeTiny(t), []string{"serve"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Session.Close()
	pixels := make([]float32, 2*64*48*3)
	for i := range pixels {
		pixels[i] = float32(i * 7919 % 256)
	}
	image, err := nets.FloatTensor(pixels, 2, 64, 48, 3)
	if err != nil {
		t.Fatal(err)
	}
	class, _ := tf.NewTensor([]int32{-1, 2})
	output := func(signature, name string) tf.Output {
		o, ok := savedmodel.Output(m, signature, name)
		if !ok {
			t.Fatalf("no %s in %s", name, signature)
		}
		return o
	}
	in, _ := savedmodel.Input(m, savedmodel.Explain, savedmodel.Image)
	inClass, _ := savedmodel.Input(m, savedmodel.Explain, savedmodel.ClassIndex)
	out, err := m.Session.Run(map[tf.Output]*tf.Tensor{in: image, inClass: class}, []tf.Output{
		output(savedmodel.Serving, savedmodel.Logits), output(savedmodel.Serving, savedmodel.Probabilities),
		output(savedmodel.Explain, savedmodel.ClassIndex), output(savedmodel.Explain, savedmodel.Gradients),
		output(savedmodel.Explain, savedmodel.Features),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	logits := out[0].Value().([][]float32)
	top := int32(0)
	for k, v := range logits[0] {
		if v > logits[0][top] {
			top = int32(k)
		}
	}
	if used := out[2].Value().([]int32); !slices.Equal(used, []int32{top, 2}) {
		t.Errorf("class_index as used is %v, want [%d 2]", used, top)
	}
	for _, p := range out[1].Value().([][]float32) {
		if sum := p[0] + p[1] + p[2]; math.Abs(float64(sum)-1) > 1e-5 {
			t.Errorf("probabilities sum to %v", sum)
		}
	}
	if got := out[3].Shape(); !slices.Equal(got, []int64{2, 2, 2, 32}) {
		t.Errorf("gradients have shape %v", got)
	}
	if got := out[4].Shape(); !slices.Equal(got, []int64{2, 32}) {
		t.Errorf("features have shape %v", got)
	}
}
