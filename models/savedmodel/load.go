package savedmodel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/table"
	tf "github.com/wamuir/graft/tensorflow"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"
)

// Want is what a caller needs of a SavedModel.
type Want struct {
	Height, Width int64 // of the input
	Classes       int64
	Explain       string // the explain signature's name; "" when it is not needed
}

// Load checks the SavedModel in dir against what is wanted, and only then
// loads it into a session, which the caller closes.
func Load(dir string, want Want, options *tf.SessionOptions) (*tf.SavedModel, error) {
	if err := check(dir, want); err != nil {
		return nil, fmt.Errorf("SavedModel %s: %w", dir, err)
	}
	m, err := tf.LoadSavedModel(dir, []string{tag}, options)
	if err != nil {
		return nil, fmt.Errorf("load SavedModel %s: %w", dir, err)
	}
	return m, nil
}

func check(dir string, want Want) error {
	info, err := inspect(dir)
	if err != nil {
		return err
	}
	if len(info.Unknown) > 0 {
		return fmt.Errorf("it needs operations that TensorFlow %s does not have here: %s (it was written by TensorFlow %s)",
			tf.Version(), strings.Join(info.Unknown, ", "), info.TensorFlow)
	}
	if err := info.Check(want); err != nil {
		return err
	}
	return checkVariables(dir)
}

// Check compares signatures and shapes with what is wanted.
func (info *Info) Check(want Want) error {
	signatures := []string{Serving}
	if want.Explain != "" {
		signatures = append(signatures, want.Explain)
	}
	image := []int64{-1, want.Height, want.Width, 3}
	for _, name := range signatures {
		s, ok := info.Signatures[name]
		if !ok {
			return fmt.Errorf("there is no signature %s, only %s", name, strings.Join(Names(info.Signatures), ", "))
		}
		if err := fits(name, "input", Image, s.Inputs, "float32", image); err != nil {
			return err
		}
	}
	serving := info.Signatures[Serving].Outputs
	for _, output := range []string{Logits, Probabilities} {
		if err := fits(Serving, "output", output, serving, "float32", []int64{-1, want.Classes}); err != nil {
			return err
		}
	}
	if want.Explain == "" {
		return nil
	}
	s := info.Signatures[want.Explain]
	if err := fits(want.Explain, "input", ClassIndex, s.Inputs, "int32", []int64{-1}); err != nil {
		return err
	}
	if err := fits(want.Explain, "output", ClassIndex, s.Outputs, "int32", []int64{-1}); err != nil {
		return err
	}
	if err := fits(want.Explain, "output", Features, s.Outputs, "float32", []int64{-1, -1}); err != nil {
		return err
	}
	if err := fits(want.Explain, "output", Activations, s.Outputs, "float32", []int64{-1, -1, -1, -1}); err != nil {
		return err
	}
	return fits(want.Explain, "output", Gradients, s.Outputs, "float32", s.Outputs[Activations].Shape)
}

// fits checks one tensor; a -1 on either side is free.
func fits(signature, way, name string, all map[string]Tensor, kind string, shape []int64) error {
	t, ok := all[name]
	if !ok {
		return fmt.Errorf("signature %s has no %s %q, only %s", signature, way, name, strings.Join(Names(all), ", "))
	}
	equal := slices.EqualFunc(t.Shape, shape, func(a, b int64) bool { return a == b || a < 0 || b < 0 })
	if t.Type != kind || !equal {
		return fmt.Errorf("signature %s: %s %q is %s %v, %s %v is needed", signature, way, name, t.Type, t.Shape, kind, shape)
	}
	return nil
}

// checkVariables compares the variables' data files with what their index
// says. TensorFlow notices a truncated file only while it restores, with the
// graph already in memory.
func checkVariables(dir string) error {
	prefix := filepath.Join(dir, "variables", "variables")
	index, err := os.Open(prefix + ".index")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // constants only is legal
	}
	if err != nil {
		return err
	}
	defer index.Close()
	stat, err := index.Stat()
	if err != nil {
		return err
	}
	// The index of a tensor bundle is a LevelDB table: the header under the
	// empty key, then one entry for each tensor.
	reader, err := table.NewReader(index, stat.Size(), storage.FileDesc{Type: storage.TypeTable}, nil, nil, &opt.Options{})
	if err != nil {
		return fmt.Errorf("variables.index is damaged: %w", err)
	}
	defer reader.Release()
	ends, shards, err := readIndex(reader)
	if err != nil {
		return fmt.Errorf("variables.index is damaged: %w", err)
	}
	for shard := range shards {
		name := prefix + ".data-" + pad5(shard) + "-of-" + pad5(shards)
		stat, err := os.Stat(name)
		if err != nil {
			return err
		}
		if stat.Size() < ends[shard] {
			return fmt.Errorf("%s is truncated: %d bytes, the index needs %d", filepath.Base(name), stat.Size(), ends[shard])
		}
	}
	return nil
}

// readIndex returns where the last tensor of each shard ends.
func readIndex(reader *table.Reader) (ends map[int32]int64, shards int32, err error) {
	ends = map[int32]int64{}
	entries := reader.NewIterator(nil, nil)
	defer entries.Release()
	for entries.Next() {
		if len(entries.Key()) == 0 {
			header := new(pb.BundleHeaderProto)
			if err := proto.Unmarshal(entries.Value(), header); err != nil {
				return nil, 0, err
			}
			shards = header.GetNumShards()
			continue
		}
		entry := new(pb.BundleEntryProto)
		if err := proto.Unmarshal(entries.Value(), entry); err != nil {
			return nil, 0, err
		}
		ends[entry.GetShardId()] = max(ends[entry.GetShardId()], entry.GetOffset()+entry.GetSize())
	}
	if err := entries.Error(); err != nil {
		return nil, 0, err
	}
	if shards < 1 {
		return nil, 0, errors.New("it names no data file")
	}
	return ends, shards, nil
}

func pad5(n int32) string { return fmt.Sprintf("%05d", n) }

// Input returns the graph's tensor behind a signature's input.
func Input(m *tf.SavedModel, signature, name string) (tf.Output, bool) {
	return find(m, m.Signatures[signature].Inputs, name)
}

// Output returns the graph's tensor behind a signature's output.
func Output(m *tf.SavedModel, signature, name string) (tf.Output, bool) {
	return find(m, m.Signatures[signature].Outputs, name)
}

func find(m *tf.SavedModel, infos map[string]tf.TensorInfo, name string) (tf.Output, bool) {
	operation, index, ok := strings.Cut(infos[name].Name, ":")
	n, err := strconv.Atoi(index)
	if !ok || err != nil {
		return tf.Output{}, false
	}
	o := m.Graph.Operation(operation)
	if o == nil {
		return tf.Output{}, false
	}
	return o.Output(n), true
}
