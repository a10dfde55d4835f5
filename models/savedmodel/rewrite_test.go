package savedmodel_test

import (
	"strings"
	"testing"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// VGG16's large convolutions are rewritten when that is asked for, and its
// answers, activations and gradients stay.
func TestRewrittenConvolutionsAnswerAlike(t *testing.T) {
	dir := write(t, nets.VGG16, 112, 112)
	image, err := nets.FloatTensor(pixels(112*112*3), 1, 112, 112, 3)
	check(t, err)
	class, err := tf.NewTensor([]int32{-1})
	check(t, err)
	load := func(rewrite bool) (a *answers, rewritten int) {
		m, err := savedmodel.Load(dir, savedmodel.Want{Height: 112, Width: 112, Classes: 3,
			Input: savedmodel.Image, Output: savedmodel.Logits, Explain: savedmodel.Explain, Rewrite: rewrite}, nil)
		check(t, err)
		defer m.Session.Close()
		if savedmodel.Rewritten(m) != rewrite {
			t.Errorf("a model loaded with Rewrite %v says the contrary", rewrite)
		}
		for _, o := range m.Graph.Operations() {
			if strings.HasSuffix(o.Name(), "/winograd/kernels") {
				rewritten++
			}
		}
		a = new(answers)
		a.Signatures, err = ask(m, image, class)
		check(t, err)
		return a, rewritten
	}
	plain, none := load(false)
	rewritten, some := load(true)
	if none != 0 || some != 5 { // block2_conv2, block3_conv2 and 3, block4_conv2 and 3
		t.Errorf("%d and %d convolutions are rewritten", none, some)
	}
	compare(t, rewritten, plain, 2e-5)
}
