package savedmodel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/core/framework/node_def_go_proto"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"github.com/wamuir/graft/tensorflow/op"
	"google.golang.org/protobuf/proto"
)

// Checkpoint is TensorFlow's checkpoint of variables: a SavedModel's, or one by
// itself.
type Checkpoint struct {
	// Variables are the stored ones, by the names that they have in a program
	// ("conv1_conv/kernel"), sorted. Two may have the same name: an optimizer
	// keeps copies.
	Variables []Stored

	prefix string
}

// Stored is a variable of a checkpoint.
type Stored struct {
	Variable
	key string // in the index; often a path through the program's objects
}

// OpenCheckpoint reads what lies in a checkpoint: of a SavedModel's folder, or
// of the checkpoint PREFIX that is stored as PREFIX.index and its data files.
// The data files are not read, but must be whole.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	c := &Checkpoint{prefix: strings.TrimSuffix(path, ".index")}
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		c.prefix = bundlePrefix(path)
	}
	if err := c.open(); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return c, nil
}

func (c *Checkpoint) open() error {
	stored, err := readBundle(c.prefix)
	if err != nil {
		return err
	}
	if stored.shards == 0 {
		return fmt.Errorf("its index is missing: %w", fs.ErrNotExist)
	}
	if err := stored.check(); err != nil {
		return err
	}
	names, err := c.names(stored)
	if err != nil {
		return err
	}
	for key, v := range stored.tensors {
		v.Name = key
		if name := names[key]; name != "" {
			v.Name = name
		}
		c.Variables = append(c.Variables, Stored{v, key})
	}
	slices.SortFunc(c.Variables, func(a, b Stored) int {
		return strings.Compare(a.Name+"\x00"+a.key, b.Name+"\x00"+b.key)
	})
	return nil
}

// objectGraph is the key under which a checkpoint of objects tells what its
// other keys are (TensorFlow's trackable_object_graph.proto). One of a graph's
// variables has none: there, keys are names.
const objectGraph = "_CHECKPOINTABLE_OBJECT_GRAPH"

// names returns the variables' names by their keys.
func (c *Checkpoint) names(stored *bundle) (map[string]string, error) {
	if _, ok := stored.tensors[objectGraph]; !ok {
		return nil, nil
	}
	delete(stored.tensors, objectGraph)
	out, err := c.restore([]string{objectGraph}, tf.String)
	if err != nil {
		return nil, err
	}
	raw, ok := out[0].Value().(string)
	if !ok {
		return nil, errors.New("what it tells of its objects is damaged")
	}
	graph := new(pb.TrackableObjectGraph)
	if err := proto.Unmarshal([]byte(raw), graph); err != nil {
		return nil, fmt.Errorf("what it tells of its objects is damaged: %w", err)
	}
	names := map[string]string{}
	for _, node := range graph.GetNodes() {
		for _, a := range node.GetAttributes() {
			names[a.GetCheckpointKey()] = a.GetFullName()
		}
	}
	return names, nil
}

// Read returns the values of float32 variables, in their order, each flat in
// row-major order.
func (c *Checkpoint) Read(variables []Stored) ([]*tf.Tensor, error) {
	keys := make([]string, len(variables))
	for i, v := range variables {
		keys[i] = v.key
	}
	tensors, err := c.restore(keys, tf.Float)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return tensors, nil
}

// restore lets TensorFlow read tensors, which compares their checksums.
func (c *Checkpoint) restore(keys []string, t tf.DataType) ([]*tf.Tensor, error) {
	s := op.NewScope()
	types := slices.Repeat([]tf.DataType{t}, len(keys))
	all := op.RestoreV2(s, op.Const(s.SubScope("prefix"), c.prefix), op.Const(s.SubScope("names"), keys),
		op.Const(s.SubScope("slices"), make([]string, len(keys))), types)
	graph, err := s.Finalize()
	if err != nil {
		return nil, err
	}
	session, err := tf.NewSession(graph, nil)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return session.Run(nil, all, nil)
}

// Strided returns the names of the graph's convolutions with a stride above
// one, as they stand in the graph ("resnet50/conv3_block1_1_conv/convolution").
func Strided(dir string) ([]string, error) {
	meta, err := readMeta(dir)
	if err != nil {
		return nil, fmt.Errorf("SavedModel %s: %w", dir, err)
	}
	var names []string
	add := func(nodes []*node_def_go_proto.NodeDef) {
		for _, n := range nodes {
			if strides := n.GetAttr()["strides"].GetList().GetI(); n.GetOp() == "Conv2D" && slices.ContainsFunc(strides, func(s int64) bool { return s > 1 }) {
				names = append(names, n.GetName())
			}
		}
	}
	add(meta.GetGraphDef().GetNode())
	for _, f := range meta.GetGraphDef().GetLibrary().GetFunction() {
		add(f.GetNodeDef())
	}
	return names, nil
}
