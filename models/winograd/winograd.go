// Package winograd rewrites a graph's large 3×3 convolutions by Winograd's
// minimal filtering (Lavin and Gray 2015, arXiv 1509.09308): F(4,3) along the
// height takes six products of rows where the definition takes twelve.
//
// TensorFlow's library has no such kernel for a CPU. Written as operations it
// pays because the transforms are products with two small matrices that span
// the whole height, each one matrix multiplication, and because what is between
// them is six plain convolutions of 1×3. docs/decisions/inference-speed.md has
// the measurements.
package winograd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/node_def_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/types_go_proto"
)

// Shape returns a tensor's shape, -1 for what is free, or nil for one of
// unknown rank. The tensor's name is a node's, or "node:1".
type Shape func(tensor string) []int64

// Setup are operations to run once, after the variables have their values: Fill
// transforms the kernels, and then Free gives back those that nothing reads any
// more.
type Setup struct{ Fill, Free []string }

// Rewrite replaces, in place, each convolution of the graph that gains by it,
// and returns how many that were. The graph then takes batches of one picture
// only, and its kernels change no more.
func Rewrite(graph *graph_go_proto.GraphDef, shape Shape) (Setup, int) {
	w := &writer{graph: graph, nodes: map[string]*node_def_go_proto.NodeDef{}, readers: map[string]int{}}
	for _, node := range graph.GetNode() {
		w.nodes[node.GetName()] = node
		for _, in := range node.GetInput() {
			w.readers[source(in)]++
		}
	}
	count := 0
	for _, node := range slices.Clone(graph.GetNode()) {
		if c, ok := w.convolution(node, shape); ok && c.gains() {
			w.replace(node, c)
			count++
		}
	}
	return w.setup, count
}

// Candidates reports whether the graph may have a convolution that gains: a
// cheap look that needs no shapes but the kernels'.
func Candidates(graph *graph_go_proto.GraphDef) bool {
	return slices.ContainsFunc(graph.GetNode(), func(node *node_def_go_proto.NodeDef) bool {
		if node.GetOp() != "VarHandleOp" {
			return false
		}
		d := node.GetAttr()["shape"].GetShape().GetDim()
		return len(d) == 4 && d[0].GetSize() == taps && d[1].GetSize() == taps && d[2].GetSize()*d[3].GetSize() >= leastChannels
	})
}

// convolution is one of 3×3 with a stride of one and zeros around the picture.
type convolution struct {
	height, width, in, out int64
	input, kernel          string // tensors
	variable               string // the node of the kernel's resource
}

// What a convolution must have to gain: enough work for twelve more operations
// not to matter, and enough channels for the transforms to be small beside it.
// Measured on two cores with AVX-512 (docs/decisions/inference-speed.md): 28×28
// of 512 channels takes 0.64 of the time, 112×112 of 128 takes 0.93, and beyond
// either limit it takes longer than before.
const (
	leastProducts = 400e6
	leastChannels = 1 << 14
	mostTransform = 0.6
)

func (c convolution) gains() bool {
	products := 9 * float64(c.height*c.width*c.in*c.out)
	transform := 1.5 * float64(c.height*(c.in+c.out)) / (4.5 * float64(c.in*c.out))
	return products >= leastProducts && transform <= mostTransform
}

// convolution finds out whether the node is one that can be replaced.
func (w *writer) convolution(node *node_def_go_proto.NodeDef, shape Shape) (c convolution, ok bool) {
	a := node.GetAttr()
	one := func(name string) bool {
		for _, v := range a[name].GetList().GetI() {
			if v != 1 {
				return false
			}
		}
		return true
	}
	if node.GetOp() != "Conv2D" || a["T"].GetType() != types_go_proto.DataType_DT_FLOAT || len(node.GetInput()) != 2 ||
		string(a["padding"].GetS()) != "SAME" || !one("strides") || !one("dilations") {
		return c, false
	}
	if layout := string(a["data_format"].GetS()); layout != "" && layout != "NHWC" {
		return c, false
	}
	c.input, c.kernel = node.GetInput()[0], node.GetInput()[1]
	read := w.nodes[source(c.kernel)]
	if read.GetOp() != "ReadVariableOp" {
		return c, false
	}
	c.variable = source(read.GetInput()[0])
	if w.nodes[c.variable].GetOp() != "VarHandleOp" {
		return c, false
	}
	x, k := shape(c.input), shape(c.kernel)
	if len(x) != 4 || len(k) != 4 || slices.Min(x[1:]) < 1 || slices.Min(k) < 1 || k[0] != taps || k[1] != taps || k[2] != x[3] {
		return c, false
	}
	c.height, c.width, c.in, c.out = x[1], x[2], x[3], k[3]
	return c, true
}

// source is the node that a tensor comes from.
func source(tensor string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(tensor, "^"), ":")
	return name
}

// Mark stands in the names of all that Rewrite adds to a graph.
const Mark = "/winograd"

// replace puts the rewritten convolution in the node's place, under its name.
func (w *writer) replace(node *node_def_go_proto.NodeDef, c convolution) {
	name := node.GetName() + Mark
	tiles := (c.height + outputs - 1) / outputs
	into, back := transforms(c.height)

	kernels := w.kernels(name, c)
	x := w.reshape(name+"/rows", c.input, c.height, c.width*c.in)
	x = w.multiply(name+"/into", w.matrix(name+"/into/matrix", into, products*tiles, c.height), x)
	x = w.reshape(name+"/tiles", x, products, tiles, c.width, c.in)
	parts := w.split(name+"/parts", x)
	joined := make([]string, products)
	for p := range joined {
		joined[p] = w.convolve(fmt.Sprintf("%s/part%d", name, p), element(parts, p), element(kernels, p))
	}
	x = w.concat(name+"/joined", joined)
	x = w.reshape(name+"/sums", x, products*tiles, c.width*c.out)
	x = w.multiply(name+"/back", w.matrix(name+"/back/matrix", back, c.height, products*tiles), x)
	w.turnInto(node, "Reshape", []string{x, w.shape(name+"/picture", 1, c.height, c.width, c.out)})
}

// kernels adds the variable of the transformed kernels and the operations that
// fill it and free the plain one, and returns the six kernels.
func (w *writer) kernels(name string, c convolution) (parts string) {
	flat := taps * c.in * c.out
	handle := w.variable(name+"/kernels", products, taps, c.in, c.out)
	plain := w.reshape(name+"/plain", c.kernel, taps, flat)
	transformed := w.multiply(name+"/filter", w.matrix(name+"/filter/matrix", filterTransform(), products, taps), plain)
	transformed = w.reshape(name+"/filtered", transformed, products, taps, c.in, c.out)
	w.setup.Fill = append(w.setup.Fill, w.assign(name+"/fill", handle, transformed))
	if w.readers[source(c.kernel)] <= savers && !w.freed(c.variable) {
		w.setup.Free = append(w.setup.Free, w.destroy(name+"/free", c.variable))
	}
	return w.split(name+"/kernel", w.read(name+"/kernels/read", handle))
}

// savers is how many readers a kernel has when only its convolution and the
// operation that would save it again use it: this graph saves nothing.
const savers = 2

// freed reports whether another convolution has given the variable back.
func (w *writer) freed(variable string) bool {
	return slices.ContainsFunc(w.setup.Free, func(name string) bool { return source(w.nodes[name].GetInput()[0]) == variable })
}
