package train

import (
	"bytes"
	"fmt"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"google.golang.org/protobuf/proto"
)

// lean returns the same graph with each ReLU's gradient looking at what comes
// out of the ReLU instead of at what goes in (it only asks where that is above
// zero, so that the gradient is the same to the bit). TensorFlow's C++ gradients
// look at what goes in: that keeps a second copy of every activation until the
// way back, and keeps TensorFlow from joining convolution, bias and ReLU into
// one operation.
func lean(g *tf.Graph) (*tf.Graph, error) {
	var buffer bytes.Buffer
	if _, err := g.WriteTo(&buffer); err != nil {
		return nil, err
	}
	def := new(graph_go_proto.GraphDef)
	if err := proto.Unmarshal(buffer.Bytes(), def); err != nil {
		return nil, err
	}
	out := map[string]string{} // of what goes into a ReLU, by its name
	for _, node := range def.GetNode() {
		if node.GetOp() == "Relu" {
			out[node.GetInput()[0]] = node.GetName()
		}
	}
	for _, node := range def.GetNode() {
		if node.GetOp() != "ReluGrad" {
			continue
		}
		relu, ok := out[node.GetInput()[1]]
		if !ok {
			return nil, fmt.Errorf("%s belongs to no ReLU", node.GetName())
		}
		node.Input[1] = relu
	}
	raw, err := proto.Marshal(def)
	if err != nil {
		return nil, err
	}
	leaner := tf.NewGraph()
	return leaner, leaner.Import(raw, "")
}

// moveTo finds everything again in another graph with the same names.
func (g *graph) moveTo(other *tf.Graph) {
	output := func(o tf.Output) tf.Output { return other.Operation(o.Op.Name()).Output(o.Index) }
	for _, o := range []*tf.Output{
		&g.image, &g.labels, &g.weights, &g.rate, &g.power1, &g.power2, &g.momentum, &g.dropoutSeed, &g.loss, &g.logits,
	} {
		*o = output(*o)
	}
	for _, step := range [][]*tf.Operation{g.step, g.headStep} {
		for i, o := range step {
			step[i] = other.Operation(o.Name())
		}
	}
	g.vars, g.slots = g.vars.In(other), g.slots.In(other)
	g.loader, g.slotsIn = g.loader.In(g.vars, other), g.slotsIn.In(g.slots, other)
}
