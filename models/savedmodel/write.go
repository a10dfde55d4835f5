// Package savedmodel writes SavedModels from Go, and reads and checks any.
//
// What it writes is contract 1 of docs/formats.md: the signatures
// serving_default and explain over one graph, batch normalisation folded into
// the kernels, weights as variables. (As constants, the same ResNet50 costs
// 1.9 GB resident instead of 0.4.)
package savedmodel

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/tensor_shape_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/types_go_proto"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"github.com/wamuir/graft/tensorflow/op"
	"google.golang.org/protobuf/proto"

	"spinebox/models/nets"
)

// The signatures' names, and the names of what goes in and out.
const (
	Serving       = "serving_default"
	Explain       = "explain"
	ExplainPooled = "explain_block5_pool" // VGG16's, on ResNet50's grid

	Image         = "image"         // in: float32 [N,H,W,3], 0 to 255, RGB
	ClassIndex    = "class_index"   // in and out: int32 [N]; -1 in means the top class
	Logits        = "logits"        // out: float32 [N,classes]
	Probabilities = "probabilities" // out: softmax of the raw logits
	Activations   = "activations"   // out: float32 [N,h,w,C]
	Gradients     = "gradients"     // out: of the class's logit with respect to the activations
	Features      = "features"      // out: float32 [N,C]

	tag = "serve"
)

// Export is what to write.
type Export struct {
	Architecture  nets.Architecture
	Height, Width int64 // of the input, fixed
	Classes       int64
	Weights       nets.Weights // as trained; Write folds batch normalisation
}

// Write writes the SavedModel into dir, which it makes.
func Write(dir string, e Export) error {
	if err := e.write(dir); err != nil {
		return fmt.Errorf("write SavedModel %s: %w", dir, err)
	}
	return nil
}

func (e Export) write(dir string) error {
	if err := e.Weights.Check(e.Architecture.Specs(e.Classes, false)); err != nil {
		return err
	}
	folded, err := nets.Fold(e.Weights)
	if err != nil {
		return err
	}
	s := op.NewScope()
	m := e.build(s)
	graph, err := s.Finalize()
	if err != nil {
		return fmt.Errorf("build the graph: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "variables"), 0o755); err != nil {
		return err
	}
	if err := m.saveVariables(graph, folded, filepath.Join(dir, "variables", "variables")); err != nil {
		return fmt.Errorf("save the variables: %w", err)
	}
	raw, err := m.meta(graph)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "saved_model.pb"), raw, 0o644)
}

// served is the graph of a SavedModel while it is written.
type served struct {
	vars       *nets.Variables
	signatures map[string]*pb.SignatureDef
	filename   tf.Output // the variables' file prefix, fed when saving and restoring
	save       *tf.Operation
	saved      tf.Output
	restore    *tf.Operation
}

func (e Export) build(s *op.Scope) *served {
	image := op.Placeholder(s.SubScope(Image), tf.Float, op.PlaceholderShape(tf.MakeShape(-1, e.Height, e.Width, 3)))
	class := op.Placeholder(s.SubScope(ClassIndex), tf.Int32, op.PlaceholderShape(tf.MakeShape(-1)))
	vars := nets.NewVariables(s, e.Architecture.Specs(e.Classes, true))
	net := nets.Build(s, e.Architecture, vars, image, nets.Options{BatchNorm: nets.Folded})

	m := &served{vars: vars, signatures: map[string]*pb.SignatureDef{}}
	in := map[string]tf.Output{Image: image}
	m.sign(Serving, in, map[string]tf.Output{Logits: net.Logits, Probabilities: net.Probabilities})

	in = map[string]tf.Output{Image: image, ClassIndex: class}
	used, direction := pick(s.SubScope("class"), class, net.Logits, e.Classes)
	explain := func(signature, layer string) {
		activations := net.Layers[layer]
		gradients := op.Gradients(s.SubScope(signature), []tf.Output{net.Logits}, []tf.Output{activations}, direction)
		if len(gradients) == 0 { // the error is in the scope
			return
		}
		m.sign(signature, in, map[string]tf.Output{
			ClassIndex: used, Activations: activations, Gradients: gradients[0], Features: net.Features,
		})
		// TensorFlow does not infer it, and a reader wants it fixed.
		out := m.signatures[signature].Outputs
		out[Gradients].TensorShape = out[Activations].TensorShape
	}
	explain(Explain, e.Architecture.ExplainLayer())
	if e.Architecture == nets.VGG16 {
		explain(ExplainPooled, "block5_pool")
	}
	m.addSaver(s.SubScope("save"))
	return m
}

// pick returns the class that is explained (the top one for -1) and the
// gradient of that class's logit with respect to all logits: its one-hot row.
func pick(s *op.Scope, class, logits tf.Output, classes int64) (used, direction tf.Output) {
	zero := op.Const(s.SubScope("zero"), int32(0))
	axis := op.Const(s.SubScope("axis"), int32(-1))
	top := op.ArgMax(s, logits, axis, op.ArgMaxOutputType(tf.Int32))
	used = op.Select(s, op.Less(s, class, zero), top, class)
	depth := op.Const(s.SubScope("depth"), int32(classes))
	on, off := op.Const(s.SubScope("on"), float32(1)), op.Const(s.SubScope("off"), float32(0))
	return used, op.OneHot(s, used, depth, on, off)
}

func (m *served) sign(name string, in, out map[string]tf.Output) {
	infos := func(outputs map[string]tf.Output) map[string]*pb.TensorInfo {
		all := map[string]*pb.TensorInfo{}
		for key, o := range outputs {
			if o.Op == nil { // the error is in the scope
				continue
			}
			all[key] = tensorInfo(o)
		}
		return all
	}
	m.signatures[name] = &pb.SignatureDef{
		Inputs: infos(in), Outputs: infos(out), MethodName: "tensorflow/serving/predict",
	}
}

func tensorInfo(o tf.Output) *pb.TensorInfo {
	shape := &tensor_shape_go_proto.TensorShapeProto{}
	if dims, err := o.Shape().ToSlice(); err == nil {
		for _, d := range dims {
			shape.Dim = append(shape.Dim, &tensor_shape_go_proto.TensorShapeProto_Dim{Size: d})
		}
	} else {
		shape.UnknownRank = true
	}
	return &pb.TensorInfo{
		Encoding:    &pb.TensorInfo_Name{Name: fmt.Sprintf("%s:%d", o.Op.Name(), o.Index)},
		Dtype:       types_go_proto.DataType(o.DataType()),
		TensorShape: shape,
	}
}

// addSaver adds what TensorFlow's loaders look for: a file name, an operation
// that saves the variables and one that restores them.
func (m *served) addSaver(s *op.Scope) {
	m.filename = op.Const(s.SubScope("filename"), "variables/variables")
	names, slices := make([]string, len(m.vars.Specs)), make([]string, len(m.vars.Specs))
	values, types := make([]tf.Output, len(names)), make([]tf.DataType, len(names))
	for i, spec := range m.vars.Specs {
		names[i], values[i], types[i] = spec.Name, m.vars.Read(spec.Name), tf.Float
	}
	tensorNames := op.Const(s.SubScope("names"), names)
	shapeAndSlices := op.Const(s.SubScope("slices"), slices)
	m.save = op.SaveV2(s, m.filename, tensorNames, shapeAndSlices, values)
	restored := op.RestoreV2(s, m.filename, tensorNames, shapeAndSlices, types)
	if m.save == nil || len(restored) != len(names) { // the error is in the scope
		return
	}
	m.saved = op.Identity(s.WithControlDependencies(m.save), m.filename)
	var assigns []*tf.Operation
	for i, spec := range m.vars.Specs {
		assigns = append(assigns, op.AssignVariableOp(s.SubScope("assign/"+spec.Name), m.vars.Handle(spec.Name), restored[i]))
	}
	m.restore = op.NoOp(s.SubScope("restore_all").WithControlDependencies(assigns...))
}

func (m *served) saveVariables(graph *tf.Graph, w nets.Weights, prefix string) error {
	session, err := nets.NewSession(graph, nil)
	if err != nil {
		return err
	}
	defer session.Close()
	feeds, err := m.vars.Feeds(w)
	if err != nil {
		return err
	}
	name, err := tf.NewTensor(prefix)
	if err != nil {
		return err
	}
	feeds[m.filename] = name
	_, err = session.Run(feeds, nil, []*tf.Operation{m.save})
	return err
}

func (m *served) meta(graph *tf.Graph) ([]byte, error) {
	var buffer bytes.Buffer
	if _, err := graph.WriteTo(&buffer); err != nil {
		return nil, err
	}
	def := new(graph_go_proto.GraphDef)
	if err := proto.Unmarshal(buffer.Bytes(), def); err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(&pb.SavedModel{
		SavedModelSchemaVersion: 1,
		MetaGraphs: []*pb.MetaGraphDef{{
			MetaInfoDef:  &pb.MetaGraphDef_MetaInfoDef{Tags: []string{tag}, TensorflowVersion: tf.Version()},
			GraphDef:     def,
			SignatureDef: m.signatures,
			SaverDef: &pb.SaverDef{
				FilenameTensorName: m.filename.Op.Name() + ":0",
				SaveTensorName:     m.saved.Op.Name() + ":0",
				RestoreOpName:      m.restore.Name(),
				Version:            pb.SaverDef_V2,
			},
		}},
	})
}
