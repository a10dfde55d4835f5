package winograd

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/wamuir/graft/tensorflow/core/framework/attr_value_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/node_def_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/tensor_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/tensor_shape_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/types_go_proto"
)

// writer adds nodes to a graph. Each method returns the tensor that it made.
type writer struct {
	graph   *graph_go_proto.GraphDef
	nodes   map[string]*node_def_go_proto.NodeDef
	readers map[string]int // of each node of the original graph
	setup   Setup
}

type attributes = map[string]*attr_value_go_proto.AttrValue

const (
	float   = types_go_proto.DataType_DT_FLOAT
	integer = types_go_proto.DataType_DT_INT32
)

func (w *writer) add(name, op string, inputs []string, a attributes) string {
	node := &node_def_go_proto.NodeDef{Name: name, Op: op, Input: inputs, Attr: a}
	w.graph.Node = append(w.graph.Node, node)
	w.nodes[name] = node
	return name
}

// turnInto makes another operation of a node that others read.
func (w *writer) turnInto(node *node_def_go_proto.NodeDef, op string, inputs []string) {
	node.Op, node.Input, node.Attr = op, inputs, attributes{"T": kind(float), "Tshape": kind(integer)}
}

func (w *writer) reshape(name, x string, dims ...int64) string {
	return w.add(name, "Reshape", []string{x, w.shape(name+"/shape", dims...)}, attributes{"T": kind(float), "Tshape": kind(integer)})
}

func (w *writer) multiply(name, a, b string) string {
	return w.add(name, "MatMul", []string{a, b}, attributes{"T": kind(float)})
}

// split cuts the first axis into the products' parts.
func (w *writer) split(name, x string) string {
	return w.add(name, "Split", []string{w.axis(name + "/axis"), x}, attributes{"T": kind(float), "num_split": number(products)})
}

func (w *writer) concat(name string, parts []string) string {
	return w.add(name, "ConcatV2", append(parts, w.axis(name+"/axis")),
		attributes{"T": kind(float), "Tidx": kind(integer), "N": number(int64(len(parts)))})
}

// element names one output of a node that has several.
func element(node string, i int) string { return fmt.Sprintf("%s:%d", node, i) }

func (w *writer) convolve(name, x, kernel string) string {
	ones := &attr_value_go_proto.AttrValue{Value: &attr_value_go_proto.AttrValue_List{
		List: &attr_value_go_proto.AttrValue_ListValue{I: []int64{1, 1, 1, 1}}}}
	return w.add(name, "Conv2D", []string{x, kernel}, attributes{"T": kind(float), "strides": ones, "padding": text("SAME")})
}

func (w *writer) variable(name string, dims ...int64) string {
	return w.add(name, "VarHandleOp", nil, attributes{"dtype": kind(float), "shared_name": text(name),
		"shape": {Value: &attr_value_go_proto.AttrValue_Shape{Shape: shapeOf(dims)}}})
}

func (w *writer) read(name, handle string) string {
	return w.add(name, "ReadVariableOp", []string{handle}, attributes{"dtype": kind(float)})
}

func (w *writer) assign(name, handle, value string) string {
	return w.add(name, "AssignVariableOp", []string{handle, value}, attributes{"dtype": kind(float)})
}

func (w *writer) destroy(name, handle string) string {
	return w.add(name, "DestroyResourceOp", []string{handle}, nil)
}

// shape is a constant list of sizes.
func (w *writer) shape(name string, dims ...int64) string {
	var content []byte
	for _, d := range dims {
		content = binary.LittleEndian.AppendUint32(content, uint32(d))
	}
	return w.constant(name, integer, content, int64(len(dims)))
}

// axis is the constant 0, the first axis.
func (w *writer) axis(name string) string { return w.constant(name, integer, make([]byte, 4)) }

func (w *writer) matrix(name string, values []float32, rows, columns int64) string {
	content := make([]byte, 0, 4*len(values))
	for _, v := range values {
		content = binary.LittleEndian.AppendUint32(content, math.Float32bits(v))
	}
	return w.constant(name, float, content, rows, columns)
}

// constant holds the content in the byte order of all machines that TensorFlow
// runs on here.
func (w *writer) constant(name string, t types_go_proto.DataType, content []byte, dims ...int64) string {
	value := &tensor_go_proto.TensorProto{Dtype: t, TensorShape: shapeOf(dims), TensorContent: content}
	return w.add(name, "Const", nil, attributes{"dtype": kind(t), "value": {Value: &attr_value_go_proto.AttrValue_Tensor{Tensor: value}}})
}

func shapeOf(dims []int64) *tensor_shape_go_proto.TensorShapeProto {
	shape := &tensor_shape_go_proto.TensorShapeProto{}
	for _, d := range dims {
		shape.Dim = append(shape.Dim, &tensor_shape_go_proto.TensorShapeProto_Dim{Size: d})
	}
	return shape
}

func kind(t types_go_proto.DataType) *attr_value_go_proto.AttrValue {
	return &attr_value_go_proto.AttrValue{Value: &attr_value_go_proto.AttrValue_Type{Type: t}}
}

func text(s string) *attr_value_go_proto.AttrValue {
	return &attr_value_go_proto.AttrValue{Value: &attr_value_go_proto.AttrValue_S{S: []byte(s)}}
}

func number(n int64) *attr_value_go_proto.AttrValue {
	return &attr_value_go_proto.AttrValue{Value: &attr_value_go_proto.AttrValue_I{I: n}}
}
