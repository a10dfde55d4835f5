package winograd_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"github.com/wamuir/graft/tensorflow/op"
	"google.golang.org/protobuf/proto"

	"spinebox/models/nets"
	"spinebox/models/winograd"
)

// layer is a graph of one convolution with bias and ReLU.
type layer struct {
	height, width, in, out, size, stride int64
	padding                              string
}

func (l layer) graph(t *testing.T) (*graph_go_proto.GraphDef, winograd.Shape) {
	t.Helper()
	s := op.NewScope()
	image := op.Placeholder(s.SubScope("image"), tf.Float, op.PlaceholderShape(tf.MakeShape(-1, l.height, l.width, l.in)))
	vars := nets.NewVariables(s, []nets.Spec{{Name: "kernel", Shape: []int64{l.size, l.size, l.in, l.out}}})
	nets.NewLoader(s.SubScope("load"), vars)
	x := op.Conv2D(s, image, vars.Read("kernel"), []int64{1, l.stride, l.stride, 1}, l.padding)
	op.Relu(s.SubScope("answer"), x)
	g, err := s.Finalize()
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if _, err := g.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	def := new(graph_go_proto.GraphDef)
	if err := proto.Unmarshal(raw.Bytes(), def); err != nil {
		t.Fatal(err)
	}
	return def, func(tensor string) []int64 {
		shape, err := g.Operation(tensor).Output(0).Shape().ToSlice()
		if err != nil {
			t.Fatal(err)
		}
		return shape
	}
}

// run answers for one random picture with one random kernel, always the same.
func (l layer) run(t *testing.T, def *graph_go_proto.GraphDef, setup winograd.Setup) []float32 {
	t.Helper()
	raw, err := proto.Marshal(def)
	if err != nil {
		t.Fatal(err)
	}
	g := tf.NewGraph()
	if err := g.Import(raw, ""); err != nil {
		t.Fatal(err)
	}
	session, err := tf.NewSession(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	feed := func(node string, seed uint64, deviation float64, shape ...int64) map[tf.Output]*tf.Tensor {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		random := rand.New(rand.NewPCG(seed, 0))
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(random.NormFloat64() * deviation)
		}
		tensor, err := nets.FloatTensor(values, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return map[tf.Output]*tf.Tensor{g.Operation(node).Output(0): tensor}
	}
	kernel := feed("kernel/read/ReadVariableOp", 1, math.Sqrt(2/float64(l.size*l.size*l.in)), l.size, l.size, l.in, l.out)
	image := feed("image/Placeholder", 2, 1, 1, l.height, l.width, l.in)
	for _, step := range []struct {
		feeds map[tf.Output]*tf.Tensor
		names []string
	}{{kernel, []string{"load/kernel/AssignVariableOp"}}, {nil, setup.Fill}, {nil, setup.Free}} {
		var operations []*tf.Operation
		for _, name := range step.names {
			operations = append(operations, g.Operation(name))
		}
		if len(operations) == 0 {
			continue
		}
		if _, err := session.Run(step.feeds, nil, operations); err != nil {
			t.Fatal(err)
		}
	}
	out, err := session.Run(image, []tf.Output{g.Operation("answer/Relu").Output(0)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int64{1, l.height, l.width, l.out}; fmt.Sprint(out[0].Shape()) != fmt.Sprint(want) {
		t.Fatalf("the shape is %v, not %v", out[0].Shape(), want)
	}
	return nets.Floats(out[0], nil)
}

// The rewritten convolution answers as the plain one, whatever is left of the
// last tile of four rows; its kernel is kept once.
func TestRewrite(t *testing.T) {
	for _, height := range []int64{28, 29, 30, 31} {
		l := layer{height, 27, 256, 256, 3, 1, "SAME"}
		def, shape := l.graph(t)
		want := l.run(t, def, winograd.Setup{})
		setup, count := winograd.Rewrite(def, shape)
		if count != 1 || len(setup.Fill) != 1 || len(setup.Free) != 1 {
			t.Fatalf("%d rows: %d convolutions are rewritten, by %+v", height, count, setup)
		}
		got := l.run(t, def, setup)
		var off, most float64
		for i, v := range want {
			off, most = max(off, math.Abs(float64(got[i]-v))), max(most, math.Abs(float64(v)))
		}
		if !(off <= 2e-5*most) || most == 0 {
			t.Errorf("%d rows: off by %.2g of %.3g", height, off, most)
		}
	}
}

// What would not gain, or is no such convolution, stays as it is.
func TestLeftAlone(t *testing.T) {
	for what, l := range map[string]layer{
		"too little work":                  {14, 14, 256, 256, 3, 1, "SAME"},
		"too few channels for its height":  {448, 56, 64, 64, 3, 1, "SAME"},
		"a stride of two":                  {56, 56, 256, 256, 3, 2, "SAME"},
		"no zeros around it":               {56, 56, 256, 256, 3, 1, "VALID"},
		"a kernel of 1×1":                  {112, 112, 256, 256, 1, 1, "SAME"},
		"a kernel of 5×5":                  {28, 28, 256, 256, 5, 1, "SAME"},
		"a height that is not known ahead": {-1, 56, 256, 256, 3, 1, "SAME"},
	} {
		def, shape := l.graph(t)
		before, err := proto.MarshalOptions{Deterministic: true}.Marshal(def)
		if err != nil {
			t.Fatal(err)
		}
		setup, count := winograd.Rewrite(def, shape)
		after, err := proto.MarshalOptions{Deterministic: true}.Marshal(def)
		if err != nil {
			t.Fatal(err)
		}
		if count != 0 || len(setup.Fill)+len(setup.Free) != 0 || !bytes.Equal(before, after) {
			t.Errorf("%s: %d convolutions are rewritten", what, count)
		}
	}
}
