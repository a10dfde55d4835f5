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
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"
)

// bundle is what variables.index says of the tensors stored beside it
// (TensorFlow's tensor_bundle.proto).
type bundle struct {
	shards int32           // data files
	ends   map[int32]int64 // where the last tensor of each data file ends
}

func bundlePrefix(dir string) string { return filepath.Join(dir, "variables", "variables") }

// readBundle reads the index. Without one the bundle has no data files.
func readBundle(dir string) (*bundle, error) {
	b := &bundle{ends: map[int32]int64{}}
	index, err := os.Open(bundlePrefix(dir) + ".index")
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
		return nil, fmt.Errorf("variables.index is damaged: %w", err)
	}
	defer reader.Release()
	if err := b.read(reader); err != nil {
		return nil, fmt.Errorf("variables.index is damaged: %w", err)
	}
	return b, nil
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
func (b *bundle) check(dir string) error {
	for shard := range b.shards {
		name := fmt.Sprintf("%s.data-%05d-of-%05d", bundlePrefix(dir), shard, b.shards)
		stat, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("variables/%s is missing", filepath.Base(name))
		}
		if err != nil {
			return err
		}
		if stat.Size() < b.ends[shard] {
			return fmt.Errorf("variables/%s is truncated: %d bytes, the index needs %d", filepath.Base(name), stat.Size(), b.ends[shard])
		}
	}
	return nil
}
