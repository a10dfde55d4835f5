package savedmodel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"

	"spinebox/models/nets"
	"spinebox/models/winograd"
)

// loadRewritten loads the SavedModel with its large convolutions rewritten, as
// TensorFlow's own loader would load it otherwise. It returns nil when there is
// nothing to rewrite, or the model needs more than its variables to be loaded.
func loadRewritten(dir string, options *tf.SessionOptions) (*tf.SavedModel, error) {
	meta, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	saver := meta.GetSaverDef()
	if _, initialised := meta.GetSignatureDef()[initOp]; initialised || len(meta.GetAssetFileDef())+len(meta.GetCollectionDef()) > 0 || saver.GetRestoreOpName() == "" ||
		!winograd.Candidates(meta.GetGraphDef()) {
		return nil, nil
	}
	plain, err := imported(meta.GetGraphDef())
	if err != nil {
		return nil, err
	}
	setup, count := winograd.Rewrite(meta.GetGraphDef(), func(tensor string) []int64 {
		o, ok := tensorOf(plain, tensor)
		if !ok {
			return nil
		}
		shape, err := o.Shape().ToSlice()
		if err != nil {
			return nil
		}
		return shape
	})
	if count == 0 {
		return nil, nil
	}
	graph, err := imported(meta.GetGraphDef())
	if err != nil {
		return nil, err
	}
	session, err := nets.NewSession(graph, options)
	if err != nil {
		return nil, err
	}
	if err := fill(session, graph, saver, bundlePrefix(dir), setup); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return &tf.SavedModel{Session: session, Graph: graph, Signatures: signatures(meta)}, nil
}

// Rewritten reports whether Load has rewritten some of the model's convolutions.
func Rewritten(m *tf.SavedModel) bool {
	return slices.ContainsFunc(m.Graph.Operations(), func(o tf.Operation) bool { return strings.Contains(o.Name(), winograd.Mark) })
}

func imported(def *graph_go_proto.GraphDef) (*tf.Graph, error) {
	raw, err := proto.Marshal(def)
	if err != nil {
		return nil, err
	}
	graph := tf.NewGraph()
	return graph, graph.Import(raw, "")
}

// fill gives the variables their values: the stored ones, and from them the
// transformed kernels.
func fill(session *tf.Session, graph *tf.Graph, saver *pb.SaverDef, prefix string, setup winograd.Setup) error {
	filename, ok := tensorOf(graph, saver.GetFilenameTensorName())
	if !ok {
		return fmt.Errorf("the tensor %s is not in the graph", saver.GetFilenameTensorName())
	}
	name, err := tf.NewTensor(prefix)
	if err != nil {
		return err
	}
	for _, names := range [][]string{{saver.GetRestoreOpName()}, setup.Fill, setup.Free} {
		var operations []*tf.Operation
		for _, name := range names {
			o := graph.Operation(name)
			if o == nil {
				return fmt.Errorf("the operation %s is not in the graph", name)
			}
			operations = append(operations, o)
		}
		if len(operations) == 0 {
			continue
		}
		if _, err := session.Run(map[tf.Output]*tf.Tensor{filename: name}, nil, operations); err != nil {
			return err
		}
	}
	return nil
}

func signatures(meta *pb.MetaGraphDef) map[string]tf.Signature {
	infos := func(all map[string]*pb.TensorInfo) map[string]tf.TensorInfo {
		named := map[string]tf.TensorInfo{}
		for key, t := range all {
			named[key] = tf.TensorInfo{Name: t.GetName(), DType: tf.DataType(t.GetDtype()), Shape: tf.MakeShape(dims(t.GetTensorShape())...)}
		}
		return named
	}
	all := map[string]tf.Signature{}
	for name, s := range meta.GetSignatureDef() {
		all[name] = tf.Signature{Inputs: infos(s.GetInputs()), Outputs: infos(s.GetOutputs()), MethodName: s.GetMethodName()}
	}
	return all
}

// tensorOf finds a tensor by its name: "node", or "node:1" for a further output.
func tensorOf(graph *tf.Graph, name string) (tf.Output, bool) {
	operation, index, _ := strings.Cut(name, ":")
	n := 0
	if index != "" {
		var err error
		if n, err = strconv.Atoi(index); err != nil {
			return tf.Output{}, false
		}
	}
	o := graph.Operation(operation)
	if o == nil || n < 0 || n >= o.NumOutputs() {
		return tf.Output{}, false
	}
	return o.Output(n), true
}
