package savedmodel

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/node_def_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/tensor_shape_go_proto"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"
)

// Info is what a SavedModel says about itself.
type Info struct {
	TensorFlow string               `json:"tensorflow"` // the version that wrote it; "" when it does not say
	Tags       []string             `json:"tags"`
	Signatures map[string]Signature `json:"signatures"`
	Operations map[string]int       `json:"operations"`                   // how often each type stands in the graph
	Unknown    []string             `json:"unknown_operations,omitempty"` // types that this library does not have
	Parameters int64                `json:"parameters"`                   // values in all variables
	Variables  []Variable           `json:"variables"`                    // that the signatures depend on, by name
	Bytes      int64                `json:"bytes"`                        // of all files
}

// Signature lists what goes in and out.
type Signature struct {
	Inputs  map[string]Tensor `json:"inputs"`
	Outputs map[string]Tensor `json:"outputs"`
}

// Tensor is one input or output.
type Tensor struct {
	Name  string  `json:"name"`  // in the graph, e.g. "image/Placeholder:0"
	Type  string  `json:"type"`  // e.g. "float32"
	Shape []int64 `json:"shape"` // -1 is free; nil is an unknown rank
}

func (t Tensor) String() string {
	if t.Shape == nil {
		return t.Type + " of unknown rank"
	}
	return fmt.Sprintf("%s %v", t.Type, t.Shape)
}

// Variable is one variable of the graph.
type Variable struct {
	Name  string  `json:"name"`
	Type  string  `json:"type"`
	Shape []int64 `json:"shape"`
}

// ErrNone says that a folder holds no SavedModel.
var ErrNone = errors.New("no saved_model.pb in the folder")

// maxGraph bounds saved_model.pb: a protocol buffer ends at 2 GiB.
const maxGraph = 2 << 30

// Inspect reads any SavedModel, also one exported by Keras, without running or
// loading anything of it.
func Inspect(dir string) (*Info, error) {
	info, err := inspect(dir)
	if err != nil {
		return nil, fmt.Errorf("inspect SavedModel %s: %w", dir, err)
	}
	return info, nil
}

func inspect(dir string) (*Info, error) {
	meta, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	info := &Info{
		TensorFlow: meta.GetMetaInfoDef().GetTensorflowVersion(),
		Tags:       meta.GetMetaInfoDef().GetTags(),
		Signatures: map[string]Signature{},
		Operations: map[string]int{},
	}
	for name, def := range meta.GetSignatureDef() {
		if name == initOp {
			continue
		}
		info.Signatures[name] = Signature{tensors(def.GetInputs()), tensors(def.GetOutputs())}
	}
	info.count(meta.GetGraphDef())
	known, err := libraryOperations()
	if err != nil {
		return nil, err
	}
	for name := range info.Operations {
		if !known[name] && !isFunction(meta.GetGraphDef(), name) {
			info.Unknown = append(info.Unknown, name)
		}
	}
	slices.Sort(info.Unknown)
	info.Variables = variables(meta)
	for _, v := range info.Variables {
		info.Parameters += v.size()
	}
	info.Bytes, err = size(dir)
	return info, err
}

func readMeta(dir string) (*pb.MetaGraphDef, error) {
	name := filepath.Join(dir, "saved_model.pb")
	stat, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	if stat.Size() > maxGraph {
		return nil, fmt.Errorf("saved_model.pb has %d bytes, more than a graph can have", stat.Size())
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	model := new(pb.SavedModel)
	if err := proto.Unmarshal(raw, model); err != nil {
		return nil, fmt.Errorf("saved_model.pb is not a SavedModel: %w", err)
	}
	for _, meta := range model.GetMetaGraphs() {
		if slices.Contains(meta.GetMetaInfoDef().GetTags(), tag) {
			return meta, nil
		}
	}
	return nil, fmt.Errorf("no graph is tagged %q", tag)
}

func (info *Info) count(graph *graph_go_proto.GraphDef) {
	for _, node := range graph.GetNode() {
		info.Operations[node.GetOp()]++
	}
	for _, f := range graph.GetLibrary().GetFunction() {
		for _, node := range f.GetNodeDef() {
			info.Operations[node.GetOp()]++
		}
	}
}

// initOp stands among the signatures of what Keras exports, and is none.
const initOp = "__saved_model_init_op"

// variables goes back from the signatures' outputs to the variables that they
// depend on. Counting all in the graph would count too many: one exported by
// Keras has each of them three times.
func variables(meta *pb.MetaGraphDef) []Variable {
	nodes := map[string]*node_def_go_proto.NodeDef{}
	for _, node := range meta.GetGraphDef().GetNode() {
		nodes[node.GetName()] = node
	}
	var ahead []string
	for name, def := range meta.GetSignatureDef() {
		for _, out := range def.GetOutputs() {
			if name != initOp {
				ahead = append(ahead, out.GetName())
			}
		}
	}
	var found []Variable
	for len(ahead) > 0 {
		name, _, _ := strings.Cut(strings.TrimPrefix(ahead[len(ahead)-1], "^"), ":")
		ahead = ahead[:len(ahead)-1]
		node := nodes[name]
		delete(nodes, name) // once is enough
		if node.GetOp() == "VarHandleOp" {
			attributes := node.GetAttr()
			v := Variable{string(attributes["shared_name"].GetS()), typeName(tf.DataType(attributes["dtype"].GetType())), dims(attributes["shape"].GetShape())}
			if v.Name == "" {
				v.Name = name
			}
			found = append(found, v)
		}
		ahead = append(ahead, node.GetInput()...)
	}
	slices.SortFunc(found, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return found
}

func (v Variable) size() int64 {
	if v.Shape == nil {
		return 0 // nobody knows
	}
	n := int64(1)
	for _, d := range v.Shape {
		n *= max(d, 0)
	}
	return n
}

func isFunction(graph *graph_go_proto.GraphDef, name string) bool {
	for _, f := range graph.GetLibrary().GetFunction() {
		if f.GetSignature().GetName() == name {
			return true
		}
	}
	return false
}

func tensors(infos map[string]*pb.TensorInfo) map[string]Tensor {
	all := map[string]Tensor{}
	for key, t := range infos {
		all[key] = Tensor{t.GetName(), typeName(tf.DataType(t.GetDtype())), dims(t.GetTensorShape())}
	}
	return all
}

func dims(shape *tensor_shape_go_proto.TensorShapeProto) []int64 {
	if shape == nil || shape.GetUnknownRank() {
		return nil
	}
	all := make([]int64, len(shape.GetDim()))
	for i, d := range shape.GetDim() {
		all[i] = d.GetSize()
	}
	return all
}

func typeName(t tf.DataType) string {
	switch t {
	case tf.Float:
		return "float32"
	case tf.Double:
		return "float64"
	case tf.Int32:
		return "int32"
	case tf.Int64:
		return "int64"
	case tf.Uint8:
		return "uint8"
	case tf.String:
		return "string"
	}
	return "type " + strconv.Itoa(int(t))
}

func size(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// Names returns the keys of a map of signatures, inputs or outputs, sorted.
func Names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
