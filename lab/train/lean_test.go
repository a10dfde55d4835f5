package train

import (
	"bytes"
	"math"
	"testing"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"github.com/wamuir/graft/tensorflow/op"
	"google.golang.org/protobuf/proto"

	"spinebox/models/nets"
)

func definition(t *testing.T, g *tf.Graph) *graph_go_proto.GraphDef {
	t.Helper()
	var raw bytes.Buffer
	if _, err := g.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	def := new(graph_go_proto.GraphDef)
	if err := proto.Unmarshal(raw.Bytes(), def); err != nil {
		t.Fatal(err)
	}
	return def
}

// TestLean: no ReLU's input is kept for the way back, and the gradients are the
// same but for the rounding of operations that TensorFlow now joins.
func TestLean(t *testing.T) {
	s := op.NewScope()
	specs := nets.Tiny.Specs(3, false)
	image := op.Placeholder(s.SubScope("image"), tf.Float, op.PlaceholderShape(tf.MakeShape(-1, 64, 64, 3)))
	vars := nets.NewVariables(s, specs)
	net := nets.Build(s, nets.Tiny, vars, image, nets.Options{BatchNorm: nets.Batch})
	kernels := []string{"conv1_conv/kernel", "conv3_block1_2_conv/kernel", "conv5_block1_3_bn/gamma"}
	var reads []tf.Output
	for _, name := range kernels {
		reads = append(reads, vars.Read(name))
	}
	gradients := op.Gradients(s.SubScope("gradients"), []tf.Output{net.Logits}, reads)
	graph, err := s.Finalize()
	if err != nil {
		t.Fatal(err)
	}
	leaner, err := lean(graph)
	if err != nil {
		t.Fatal(err)
	}

	relus, asking := 0, 0
	for _, g := range []*tf.Graph{graph, leaner} {
		out := map[string]bool{}
		def := definition(t, g)
		for _, n := range def.GetNode() {
			if n.GetOp() == "Relu" {
				out[n.GetName()] = true
			}
		}
		relus = len(out)
		asking = 0
		for _, n := range def.GetNode() {
			if n.GetOp() == "ReluGrad" && out[n.GetInput()[1]] {
				asking++
			}
		}
	}
	if relus < 13 || asking != relus {
		t.Errorf("of %d ReLUs, the gradients of %d look at what comes out", relus, asking)
	}

	run := func(g *tf.Graph, vars *nets.Variables) (all [][]float32) {
		options, err := threads(1)
		if err != nil {
			t.Fatal(err)
		}
		session, err := tf.NewSession(g, options)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		feeds, err := vars.Feeds(nets.Initial(specs, 3))
		if err != nil {
			t.Fatal(err)
		}
		pixels := make([]float32, 2*64*64*3)
		for i := range pixels {
			pixels[i] = float32(i * 7919 % 251)
		}
		if feeds[g.Operation(image.Op.Name()).Output(0)], err = nets.FloatTensor(pixels, 2, 64, 64, 3); err != nil {
			t.Fatal(err)
		}
		var fetches []tf.Output
		for _, o := range gradients {
			fetches = append(fetches, g.Operation(o.Op.Name()).Output(o.Index))
		}
		tensors, err := session.Run(feeds, fetches, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tensor := range tensors {
			all = append(all, nets.Floats(tensor, nil))
		}
		return all
	}
	want, got := run(graph, vars), run(leaner, vars.In(leaner))
	for i, name := range kernels {
		var off, largest float64
		for k := range want[i] {
			off = max(off, math.Abs(float64(got[i][k]-want[i][k])))
			largest = max(largest, math.Abs(float64(want[i][k])))
		}
		if t.Logf("%s: %.2g of %.2g", name, off, largest); !(off <= 1e-5*largest) || largest == 0 {
			t.Errorf("the gradient of %s is another by %.2g of %.2g", name, off, largest)
		}
	}
}

// BenchmarkHeadEpoch is an epoch in which the head alone learns: from features
// that are there, and through the backbone. The first must be 20 times as fast.
//
//	go test ./lab/train -run - -bench HeadEpoch -benchtime 3x
func BenchmarkHeadEpoch(b *testing.B) {
	for _, m := range []Method{Features, Finetune} {
		for _, network := range []nets.Architecture{nets.ResNet50, nets.VGG16} {
			b.Run(string(m)+"/"+string(network), func(b *testing.B) { benchmarkHeadEpoch(b, m, network) })
		}
	}
}

func benchmarkHeadEpoch(b *testing.B, m Method, network nets.Architecture) {
	c := Default().For(m)
	c.Network, c.Batch, c.Epochs = network, 16, 1_000_000
	c.Input.Height, c.Input.Width, c.HeadEpochs, c.HeadRate = 256, 112, c.Epochs-1, 1e-3
	c.Backbone = "random"
	samples := make([]sample, 64)
	for i := range samples {
		n := c.Input.Height * c.Input.Width
		if m == Features {
			n = int(network.Features())
			samples[i].mirrored = make([]float32, n)
		}
		samples[i].plane, samples[i].label = make([]float32, n), i%3
		for k := range samples[i].plane {
			samples[i].plane[k] = float32((i + k) * 7919 % 251)
		}
	}
	r := &Run{Config: c, Cores: 2, classes: 3, fit: samples}
	g, err := newGraph(c, 3, r.Cores)
	if err != nil {
		b.Fatal(err)
	}
	defer g.session.Close()
	at := new(state)
	at.weights, at.slots = c.Initializer.Draw(c.specs(3), 1), nets.Weights{}
	for _, spec := range c.slotSpecs(3) {
		at.slots[spec.Name] = make([]float32, spec.Size())
	}
	if err := g.loader.Load(g.session, at.weights); err != nil {
		b.Fatal(err)
	}
	if err := g.slotsIn.Load(g.session, at.slots); err != nil {
		b.Fatal(err)
	}
	feeder := r.feeder(at)
	for b.Loop() {
		if _, err := r.epoch(g, feeder, at); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N)/float64(len(samples)), "ms/picture")
}
