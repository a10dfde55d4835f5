package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// ErrUnreadable: what the ledger's folder holds is not what was written there.
// Nothing was removed.
var ErrUnreadable = errors.New("the ledger is damaged; stop spinebox, " +
	"then `spinebox restore` the last backup, or move the ledger's folder aside (keep it) and start anew")

// orphansKept is how many folders of what was set aside stay, the latest.
const orphansKept = 3

// checkTables looks at Badger's tables before Badger does. Badger 4.9.6 removes
// every table that its manifest does not name, which is all of them when the
// manifest is missing or cut short, and panics in a goroutine of its own over a
// table that is cut short.
func (l *Ledger) checkTables() error {
	unnamed, err := tablesIn(l.dir)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(l.dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		if len(unnamed) > 0 { // the manifest is written before the first table
			return fmt.Errorf("its MANIFEST is missing: %w", ErrUnreadable)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	manifest, end, err := badger.ReplayManifestFile(f, 0, settings(l.dir, logger{l.log, l.gate, l.settle}))
	if err != nil {
		return fmt.Errorf("its MANIFEST cannot be read (%w): %w", err, ErrUnreadable)
	}
	for id := range manifest.Tables {
		delete(unnamed, id)
		if _, err := tableIndex(table.NewFilename(id, l.dir)); err != nil {
			return fmt.Errorf("its table %s: %w: %w", table.IDToFilename(id), err, ErrUnreadable)
		}
	}
	if len(unnamed) == 0 {
		return nil
	}
	// A kill between two pages of a write, or a disk that was full then, leaves
	// half a line, too: the file ends with a page, and the tables are those of
	// an unfinished compaction.
	if size := info.Size(); end < size && size%int64(os.Getpagesize()) != 0 {
		return fmt.Errorf("its MANIFEST is cut short: %w", ErrUnreadable)
	}
	return l.setAside(unnamed)
}

// tablesIn returns the tables in a folder, and their paths.
func tablesIn(dir string) (map[uint64]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	tables := map[uint64]string{}
	for _, e := range entries {
		if id, ok := table.ParseFileID(e.Name()); ok && !e.IsDir() {
			tables[id] = filepath.Join(dir, e.Name())
		}
	}
	return tables, nil
}

// setAside moves tables that the manifest does not name to a folder beside the
// ledger. Mostly a kill left them in the middle of a compaction, and other
// tables hold what they hold; after a damage they may be all that is left. A
// full disk needs their room: Badger removes them then.
func (l *Ledger) setAside(tables map[uint64]string) error {
	if err := l.room(l.reserve); err != nil {
		l.log.Warn("tables that the ledger's MANIFEST does not name are removed", "tables", len(tables), "error", err)
		return nil
	}
	to, err := l.orphanFolder()
	if err != nil {
		return err
	}
	for _, path := range tables {
		if err := os.Rename(path, filepath.Join(to, filepath.Base(path))); err != nil {
			return fmt.Errorf("set a table aside: %w", err)
		}
	}
	if err := errors.Join(syncFolder(to), syncFolder(filepath.Dir(l.dir)), syncFolder(l.dir)); err != nil {
		return fmt.Errorf("set tables aside: %w", err)
	}
	l.log.Warn("tables that the ledger's MANIFEST does not name were set aside; "+
		"after a power cut or a kill that is as it should be, else images may be missing", "tables", len(tables), "folder", to)
	return nil
}

// orphanFolder makes a new folder beside the ledger for what Badger would remove,
// and removes the oldest of many.
func (l *Ledger) orphanFolder() (string, error) {
	former, err := filepath.Glob(l.dir + ".orphans-*") // oldest first
	if err != nil {
		return "", err
	}
	for len(former) >= orphansKept {
		if err := os.RemoveAll(former[0]); err != nil {
			return "", fmt.Errorf("remove what was set aside long ago: %w", err)
		}
		former = former[1:]
	}
	to := l.dir + l.Now().UTC().Format(".orphans-20060102-150405.000000")
	if err := os.Mkdir(to, 0o700); err != nil {
		return "", fmt.Errorf("set a part of the ledger aside: %w", err)
	}
	return to, nil
}

// tableIndex reads a table's end as Badger does: from the end of the file, the
// length of the checksum, the checksum, the length of the index, the index.
func tableIndex(path string) (*fb.TableIndex, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it is missing")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	// before reads a length and, in front of it, as many bytes.
	before := func() ([]byte, error) {
		var length [4]byte
		if end -= int64(len(length)); end < 0 {
			return nil, errCutShort
		}
		if _, err := f.ReadAt(length[:], end); err != nil {
			return nil, err
		}
		n := int64(binary.BigEndian.Uint32(length[:]))
		if end -= n; n == 0 || end < 0 {
			return nil, errCutShort
		}
		block := make([]byte, n)
		_, err := f.ReadAt(block, end)
		return block, err
	}
	text, err := before()
	if err != nil {
		return nil, err
	}
	var sum pb.Checksum
	if err := proto.Unmarshal(text, &sum); err != nil || pb.Checksum_Algorithm_name[int32(sum.Algo)] == "" {
		return nil, errCutShort
	}
	index, err := before()
	if err != nil {
		return nil, err
	}
	if err := y.VerifyChecksum(index, &sum); err != nil {
		return nil, err
	}
	return fb.GetRootAsTableIndex(index, 0), nil
}

var errCutShort = errors.New("it is cut short or changed")

// checkSequences finds a tally that is older than the results it counts: Badger
// takes a record in a damaged block for one that is not there.
func checkSequences(txn *badger.Txn, t tally) error {
	o := badger.DefaultIteratorOptions
	o.Reverse, o.PrefetchValues, o.Prefix = true, false, []byte(sequences)
	it := txn.NewIterator(o)
	defer it.Close()
	if it.Seek([]byte(sequences + "\xff")); !it.Valid() {
		return nil
	}
	if last := binary.BigEndian.Uint64(it.Item().Key()[len(sequences):]); last > t.Sequence {
		return fmt.Errorf("it holds result %d, but counts %d: %w", last, t.Sequence, ErrUnreadable)
	}
	return nil
}
