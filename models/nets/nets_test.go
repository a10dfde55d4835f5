package nets_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/op"

	"spinebox/models/nets"
)

// random fills a slice with values between lo and hi.
func random(n int, lo, hi float64, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(lo + (hi-lo)*r.Float64())
	}
	return v
}

// lived returns weights whose batch-norm variables are not all one and zero.
func lived(specs []nets.Spec) nets.Weights {
	w := nets.Initial(specs, 5)
	for i, s := range specs {
		switch {
		case strings.HasSuffix(s.Name, "/gamma"), strings.HasSuffix(s.Name, "/moving_variance"):
			w[s.Name] = random(int(s.Size()), 0.5, 1.5, uint64(i))
		case strings.HasSuffix(s.Name, "/beta"), strings.HasSuffix(s.Name, "/bias"), strings.HasSuffix(s.Name, "/moving_mean"):
			w[s.Name] = random(int(s.Size()), -0.2, 0.2, uint64(i))
		case s.Name == "conv1_conv/kernel": // the moving statistics are not those of 0 to 255
			for k := range w[s.Name] {
				w[s.Name][k] /= 64
			}
		}
	}
	return w
}

// testGraph is one network with a loss, on fed weights.
type testGraph struct {
	session   *tf.Session
	vars      *nets.Variables
	image     tf.Output
	net       *nets.Network
	loss      tf.Output
	gradients map[string]tf.Output
}

func newTestGraph(t *testing.T, a nets.Architecture, specs []nets.Spec, mode nets.BatchNorm, h, w int64, labels ...int) *testGraph {
	t.Helper()
	s := op.NewScope()
	g := &testGraph{gradients: map[string]tf.Output{}}
	g.image = op.Placeholder(s, tf.Float, op.PlaceholderShape(tf.MakeShape(-1, h, w, 3)))
	g.vars = nets.NewVariables(s, specs)
	g.net = nets.Build(s.SubScope("net"), a, g.vars, g.image, nets.Options{BatchNorm: mode})
	loss := s.SubScope("loss")
	target := op.OneHot(loss, op.Const(loss.SubScope("labels"), classes(labels)), op.Const(loss.SubScope("depth"), int32(3)),
		op.Const(loss.SubScope("on"), float32(1)), op.Const(loss.SubScope("off"), float32(0)))
	each, _ := op.SoftmaxCrossEntropyWithLogits(loss, g.net.Logits, target)
	g.loss = op.Mean(loss, each, op.Const(loss.SubScope("axis"), []int32{0}))
	var names []string
	var reads []tf.Output
	for _, spec := range specs {
		if spec.Trainable() {
			names, reads = append(names, spec.Name), append(reads, g.vars.Read(spec.Name))
		}
	}
	for i, o := range op.Gradients(s.SubScope("gradients"), []tf.Output{g.loss}, reads) {
		g.gradients[names[i]] = o
	}
	graph, err := s.Finalize()
	if err != nil {
		t.Fatal(err)
	}
	if g.session, err = tf.NewSession(graph, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.session.Close() })
	return g
}

func classes(labels []int) []int32 {
	all := make([]int32, len(labels))
	for i, l := range labels {
		all[i] = int32(l)
	}
	return all
}

// run fetches outputs as flat values.
func (g *testGraph) run(t *testing.T, w nets.Weights, image []float32, shape []int64, fetches ...tf.Output) [][]float32 {
	t.Helper()
	feeds, err := g.vars.Feeds(w)
	if err != nil {
		t.Fatal(err)
	}
	if feeds[g.image], err = nets.FloatTensor(image, shape...); err != nil {
		t.Fatal(err)
	}
	out, err := g.session.Run(feeds, fetches, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := make([][]float32, len(out))
	for i, o := range out {
		values[i] = nets.Floats(o, nil)
	}
	return values
}

// TestGradients compares the gradients of the loss with central differences,
// for each kind of variable.
func TestGradients(t *testing.T) {
	specs := nets.Tiny.Specs(3, false)
	weights := lived(specs)
	shape := []int64{2, 96, 96, 3}
	image := random(2*96*96*3, 0, 255, 1)
	for name, mode := range map[string]nets.BatchNorm{"batch statistics": nets.Batch, "moving statistics": nets.Moving} {
		t.Run(name, func(t *testing.T) {
			g := newTestGraph(t, nets.Tiny, specs, mode, 96, 96, 0, 2)
			for i, variable := range []string{"predictions/kernel", "predictions/bias", "conv5_block1_3_bn/gamma",
				"conv5_block1_3_bn/beta", "conv4_block1_2_conv/kernel", "conv3_block1_0_conv/kernel", "conv2_block1_1_bn/gamma", "conv1_conv/kernel"} {
				gradient := g.run(t, weights, image, shape, g.gradients[variable])[0]
				// Half along the gradient, for a slope above the noise of a
				// float32 loss, half anywhere.
				direction := random(len(gradient), -1, 1, uint64(100+i))
				along := norm(gradient) / norm(direction)
				var want float64
				for k := range direction {
					direction[k] = gradient[k] + float32(along)*direction[k]
					want += float64(direction[k]) * float64(gradient[k])
				}
				at := func(step float64) float64 {
					moved := nets.Weights{}
					for k, v := range weights {
						moved[k] = v
					}
					v := append([]float32(nil), weights[variable]...)
					for k := range v {
						v[k] += float32(step * float64(direction[k]))
					}
					moved[variable] = v
					return float64(g.run(t, moved, image, shape, g.loss)[0][0])
				}
				// A float32 loss has 1e-7 of noise; a long step crosses ReLU's
				// kinks. Somewhere between, the difference is the slope.
				best := math.Inf(1)
				for _, step := range []float64{3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4} {
					step *= norm(weights[variable]) / norm(direction)
					got := (at(step) - at(-step)) / (2 * step)
					best = min(best, math.Abs(got-want)/want)
				}
				if best > 0.02 {
					t.Errorf("%s: slope by differences is off by %.3g of itself (gradient says %g)", variable, best, want)
				}
			}
		})
	}
}

// TestFold checks that folding batch normalisation away changes nothing.
func TestFold(t *testing.T) {
	specs := nets.Tiny.Specs(3, false)
	weights := lived(specs)
	folded, err := nets.Fold(weights)
	if err != nil {
		t.Fatal(err)
	}
	shape := []int64{2, 96, 96, 3}
	image := random(2*96*96*3, 0, 255, 1)
	trained := newTestGraph(t, nets.Tiny, specs, nets.Moving, 96, 96, 0, 2)
	served := newTestGraph(t, nets.Tiny, nets.Tiny.Specs(3, true), nets.Folded, 96, 96, 0, 2)
	layer := nets.Tiny.ExplainLayer()
	want := trained.run(t, weights, image, shape, trained.net.Logits, trained.net.Layers[layer])
	got := served.run(t, folded, image, shape, served.net.Logits, served.net.Layers[layer])
	for k, name := range []string{"logits", layer} {
		if d := relative(got[k], want[k]); d > 1e-5 {
			t.Errorf("%s differ by %.2g after folding", name, d)
		}
	}
}

// norm is the Euclidean norm.
// TensorFlow 2.18.1 corrupts its memory in the gradient of a 1×1 kernel with a
// stride, from certain sizes on: a network with held statistics has none.
func TestGradientsOfLargePictures(t *testing.T) {
	specs := nets.Tiny.Specs(3, false)
	for _, size := range [][2]int64{{256, 256}, {320, 128}} {
		g := newTestGraph(t, nets.Tiny, specs, nets.Moving, size[0], size[1], 0, 2)
		var all []tf.Output
		for _, gradient := range g.gradients {
			all = append(all, gradient)
		}
		image := random(int(2*size[0]*size[1]*3), 0, 255, 1)
		for range 3 {
			for _, values := range g.run(t, lived(specs), image, []int64{2, size[0], size[1], 3}, all...) {
				if n := norm(values); !(n >= 0) || math.IsInf(n, 0) {
					t.Fatalf("a gradient of norm %v", n)
				}
			}
		}
	}
}

func norm(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// relative is the greatest difference over the greatest magnitude.
func relative(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var difference, magnitude float64
	for i := range want {
		difference = max(difference, math.Abs(float64(got[i])-float64(want[i])))
		magnitude = max(magnitude, math.Abs(float64(want[i])))
	}
	return difference / magnitude
}

func TestWeightsAreChecked(t *testing.T) {
	specs := nets.Tiny.Specs(3, false)
	for name, spoil := range map[string]func(nets.Weights){
		"lack conv1_conv/kernel":            func(w nets.Weights) { delete(w, "conv1_conv/kernel") },
		"weights of conv1_conv/bias: 1 val": func(w nets.Weights) { w["conv1_conv/bias"] = []float32{1} },
		"hold fc1/kernel":                   func(w nets.Weights) { w["fc1/kernel"] = nil },
	} {
		w := nets.Initial(specs, 1)
		spoil(w)
		if err := w.Check(specs); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not say %q", err, name)
		}
	}
}

func TestInitial(t *testing.T) {
	specs := nets.Tiny.Specs(3, false)
	w := nets.Initial(specs, 1)
	if err := w.Check(specs); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		want float64 // root mean square
	}{
		{"conv1_conv/kernel", math.Sqrt(2. / (7 * 7 * 3))},
		{"conv5_block1_2_conv/kernel", math.Sqrt(2. / (3 * 3 * 8))},
		{"predictions/kernel", math.Sqrt(2. / (32 + 3))}, // uniform: its limit over √3
		{"conv1_conv/bias", 0},
		{"conv1_bn/gamma", 1},
		{"conv1_bn/moving_variance", 1},
		{"conv1_bn/moving_mean", 0},
		{"conv2_block1_3_bn/gamma", 1},
	} {
		if got := norm(w[c.name]) / math.Sqrt(float64(len(w[c.name]))); math.Abs(got-c.want) > 0.15*c.want {
			t.Errorf("%s is of size %.3g, want %.3g", c.name, got, c.want)
		}
	}
	if relative(nets.Initial(specs, 1)["conv1_conv/kernel"], w["conv1_conv/kernel"]) != 0 {
		t.Error("the same seed gives other weights")
	}
	if relative(nets.Initial(specs, 2)["conv1_conv/kernel"], w["conv1_conv/kernel"]) < 0.1 {
		t.Error("another seed gives the same weights")
	}
	glorot := nets.Glorot.Draw(specs, 1)
	kernel := glorot["conv5_block1_2_conv/kernel"]
	limit := math.Sqrt(6. / (3*3*8 + 3*3*8))
	if size := norm(kernel) / math.Sqrt(float64(len(kernel))); math.Abs(size-limit/math.Sqrt(3)) > 0.1*size {
		t.Errorf("Glorot's kernel is of size %.3g, want %.3g", size, limit/math.Sqrt(3))
	}
	for _, v := range kernel {
		if math.Abs(float64(v)) > limit {
			t.Fatalf("Glorot's kernel holds %v, beyond %v", v, limit)
		}
	}
	if relative(glorot["predictions/kernel"], w["predictions/kernel"]) != 0 {
		t.Error("the head is Glorot's with one initializer, and not with the other")
	}
	w.ZeroResiduals() // each residual block begins as its shortcut
	if norm(w["conv2_block1_3_bn/gamma"]) != 0 || norm(w["conv2_block1_2_bn/gamma"]) == 0 || norm(w["conv2_block1_3_conv/kernel"]) == 0 {
		t.Error("ZeroResiduals clears other variables than the last scale of each block")
	}
}

// TestDropout: which features are dropped depends on the fed seed alone, and
// the rest makes up for them.
func TestDropout(t *testing.T) {
	s := op.NewScope()
	image := op.Placeholder(s.SubScope("image"), tf.Float, op.PlaceholderShape(tf.MakeShape(-1, 64, 64, 3)))
	seed := op.Placeholder(s.SubScope("seed"), tf.Int32, op.PlaceholderShape(tf.MakeShape(2)))
	specs := nets.Tiny.Specs(3, false)
	vars := nets.NewVariables(s, specs)
	with := nets.Build(s.SubScope("with"), nets.Tiny, vars, image, nets.Options{Dropout: 0.25, DropoutSeed: seed})
	without := nets.Build(s.SubScope("without"), nets.Tiny, vars, image, nets.Options{})
	graph, err := s.Finalize()
	if err != nil {
		t.Fatal(err)
	}
	session, err := tf.NewSession(graph, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	feeds, err := vars.Feeds(lived(specs))
	if err != nil {
		t.Fatal(err)
	}
	if feeds[image], err = nets.FloatTensor(random(64*64*3, 0, 255, 1), 1, 64, 64, 3); err != nil {
		t.Fatal(err)
	}
	run := func(step int32) (dropped, whole []float32) {
		if feeds[seed], err = tf.NewTensor([]int32{1, step}); err != nil {
			t.Fatal(err)
		}
		out, err := session.Run(feeds, []tf.Output{with.Logits, without.Logits}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return nets.Floats(out[0], nil), nets.Floats(out[1], nil)
	}
	first, whole := run(1)
	if again, _ := run(1); relative(again, first) != 0 {
		t.Error("the same seed drops other features")
	}
	const steps = 400
	mean := make([]float32, 3)
	differ := 0
	for step := range int32(steps) {
		logits, _ := run(step + 1)
		if relative(logits, first) > 1e-3 {
			differ++
		}
		for k := range mean {
			mean[k] += logits[k] / steps
		}
	}
	if differ < steps*9/10 {
		t.Errorf("only %d of %d seeds drop other features", differ, steps)
	}
	if d := relative(mean, whole); d > 0.1 {
		t.Errorf("the mean over %d seeds is off by %.2g: %v, undropped %v", steps, d, mean, whole)
	}
}
