package savedmodel_test

import (
	"math"
	"slices"
	"testing"

	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// TestWriteThenRun checks the outputs against each other and against what is
// known of a network that ends with average pooling and one dense layer.
func TestWriteThenRun(t *testing.T) {
	dir := write(t, nets.Tiny, 64, 48)
	a, err := run(dir)
	if err != nil {
		t.Fatal(err)
	}
	serving, explain := a.Signatures[savedmodel.Serving], a.Signatures[savedmodel.Explain]
	for _, c := range []struct {
		signature map[string]answer
		name      string
		shape     []int64
	}{
		{serving, savedmodel.Logits, []int64{2, 3}},
		{serving, savedmodel.Probabilities, []int64{2, 3}},
		{explain, savedmodel.ClassIndex, []int64{2}},
		{explain, savedmodel.Activations, []int64{2, 2, 2, 32}},
		{explain, savedmodel.Gradients, []int64{2, 2, 2, 32}},
		{explain, savedmodel.Features, []int64{2, 32}},
	} {
		if got := c.signature[c.name].Shape; !slices.Equal(got, c.shape) {
			t.Fatalf("%s has shape %v, want %v", c.name, got, c.shape)
		}
	}
	logits, probabilities := serving[savedmodel.Logits].Values, serving[savedmodel.Probabilities].Values
	top := slices.Index(logits[:3], slices.Max(logits[:3]))
	// -1 asks for each picture's top class, another number for that class.
	if got, want := explain[savedmodel.ClassIndex].Values, []float64{float64(top), 2}; !slices.Equal(got, want) {
		t.Errorf("class_index as used is %v, want %v", got, want)
	}
	for i := range 2 {
		row, p := logits[3*i:3*i+3], probabilities[3*i:3*i+3]
		var sum float64
		for _, l := range row {
			sum += math.Exp(l)
		}
		for k := range p {
			if math.Abs(p[k]-math.Exp(row[k])/sum) > 1e-6 {
				t.Errorf("probabilities %v are not the softmax of %v", p, row)
			}
		}
	}
	// A feature is the mean of its activations, and a logit a weighted sum of
	// features: each sample's gradients are its own class's weights.
	head := modeltest.Weights(nets.Tiny)["predictions/kernel"]
	const cells, channels = 4, 32
	for i, class := range []int{top, 2} {
		for c := range channels {
			var mean float64
			for cell := range cells {
				at := (i*cells+cell)*channels + c
				mean += explain[savedmodel.Activations].Values[at] / cells
				if got, want := explain[savedmodel.Gradients].Values[at], float64(head[3*c+class])/cells; math.Abs(got-want) > 1e-6 {
					t.Fatalf("picture %d, channel %d: gradient %v, want %v", i, c, got, want)
				}
			}
			if got := explain[savedmodel.Features].Values[i*channels+c]; math.Abs(got-mean) > 1e-4*mean {
				t.Fatalf("picture %d: feature %d is %v, its activations' mean %v", i, c, got, mean)
			}
		}
	}
}

func TestInspectWritten(t *testing.T) {
	info, err := savedmodel.Inspect(write(t, nets.Tiny, 64, 48))
	if err != nil {
		t.Fatal(err)
	}
	var parameters int64
	for _, s := range nets.Tiny.Specs(3, true) {
		parameters += s.Size()
	}
	if info.Parameters != parameters || len(info.Variables) != len(nets.Tiny.Specs(3, true)) {
		t.Errorf("%d parameters in %d variables, want %d", info.Parameters, len(info.Variables), parameters)
	}
	if n := info.Operations["FusedBatchNormV3"]; n != 0 {
		t.Errorf("%d batch normalisations were not folded", n)
	}
	image := info.Signatures[savedmodel.Serving].Inputs[savedmodel.Image]
	if image.Type != "float32" || !slices.Equal(image.Shape, []int64{-1, 64, 48, 3}) {
		t.Errorf("image is %v", image)
	}
	for _, name := range []string{savedmodel.Activations, savedmodel.Gradients} {
		if o := info.Signatures[savedmodel.Explain].Outputs[name]; o.Type != "float32" || !slices.Equal(o.Shape, []int64{-1, 2, 2, 32}) {
			t.Errorf("%s is %v", name, o)
		}
	}
}

func TestWriteChecksTheWeights(t *testing.T) {
	e := savedmodel.Export{Architecture: nets.Tiny, Height: 64, Width: 48, Classes: 4, Weights: modeltest.Weights(nets.Tiny)}
	if err := savedmodel.Write(t.TempDir(), e); err == nil {
		t.Error("a head for three classes is written for four")
	}
}
