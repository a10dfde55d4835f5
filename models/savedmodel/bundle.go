package savedmodel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/table"
	tf "github.com/wamuir/graft/tensorflow"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"
)

// bundle is what an index (variables.index) says of the tensors stored beside it
// (TensorFlow's tensor_bundle.proto).
type bundle struct {
	prefix  string
	shards  int32               // data files
	ends    map[int32]int64     // where the last tensor of each data file ends
	tensors map[string]Variable // by key; the names are left to the reader
}

func bundlePrefix(dir string) string { return filepath.Join(dir, "variables", "variables") }

// readBundle reads the index. Without one the bundle has no data files.
func readBundle(prefix string) (*bundle, error) {
	b := &bundle{prefix: prefix, ends: map[int32]int64{}, tensors: map[string]Variable{}}
	index, err := os.Open(prefix + ".index")
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	defer index.Close()
	stat, err := index.Stat()
	if err != nil {
		return nil, err
	}
	// The index is a LevelDB table: the header under the empty key, then one
	// entry for each tensor.
	reader, err := table.NewReader(index, stat.Size(), storage.FileDesc{Type: storage.TypeTable}, nil, nil, &opt.Options{})
	if err != nil {
		return nil, b.damaged(err)
	}
	defer reader.Release()
	if err := b.read(reader); err != nil {
		return nil, b.damaged(err)
	}
	return b, nil
}

// short names one of the bundle's files with its folder: variables/NAME.
func (b *bundle) short(name string) string {
	return filepath.Join(filepath.Base(filepath.Dir(b.prefix)), filepath.Base(name))
}

func (b *bundle) damaged(err error) error {
	return fmt.Errorf("%s.index is damaged: %w", filepath.Base(b.prefix), err)
}

func (b *bundle) read(reader *table.Reader) error {
	entries := reader.NewIterator(nil, nil)
	defer entries.Release()
	for entries.Next() {
		if len(entries.Key()) == 0 {
			header := new(pb.BundleHeaderProto)
			if err := proto.Unmarshal(entries.Value(), header); err != nil {
				return err
			}
			b.shards = header.GetNumShards()
			continue
		}
		entry := new(pb.BundleEntryProto)
		if err := proto.Unmarshal(entries.Value(), entry); err != nil {
			return err
		}
		b.tensors[string(entries.Key())] = Variable{Type: typeName(tf.DataType(entry.GetDtype())), Shape: dims(entry.GetShape())}
		b.ends[entry.GetShardId()] = max(b.ends[entry.GetShardId()], entry.GetOffset()+entry.GetSize())
	}
	if err := entries.Error(); err != nil {
		return err
	}
	if b.shards < 1 {
		return errors.New("it names no data file")
	}
	return nil
}

// check compares the data files with the index. TensorFlow notices a truncated
// one only while it restores, with the graph already in memory.
func (b *bundle) check() error {
	for shard := range b.shards {
		name := fmt.Sprintf("%s.data-%05d-of-%05d", b.prefix, shard, b.shards)
		stat, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is missing", b.short(name))
		}
		if err != nil {
			return err
		}
		if stat.Size() < b.ends[shard] {
			return fmt.Errorf("%s is truncated: %d bytes, the index needs %d", b.short(name), stat.Size(), b.ends[shard])
		}
	}
	return nil
}
