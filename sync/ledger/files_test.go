package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"spinebox/internal/disktest"
)

// fillMemtable writes so much past all that guards the ledger that Badger takes
// another log.
func fillMemtable(t *testing.T, l *Ledger) {
	t.Helper()
	for n := range 60 {
		if err := l.db.Update(func(txn *badger.Txn) error {
			return txn.Set(fmt.Appendf(nil, "bulk/%d/%d", time.Now().UnixNano(), n), make([]byte, 100<<10))
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk without a file more in the middle of a write.
func TestNextLogIsThere(t *testing.T) {
	disk := disktest.InMemory(t, 200<<20, 300)
	l := open(t, disk.Dir+"/ledger", Options{})
	img := image("a")
	commit(t, l, img)
	disk.FillFiles()
	if _, files := disk.Free(); files != 0 {
		t.Fatalf("%d files left", files)
	}
	fillMemtable(t, l)
	disk.Empty()
	again := image("b") // and the next one after that
	commit(t, l, again)
	disk.FillFiles()
	fillMemtable(t, l)
	if _, err := l.Image(img.Digest); err != nil {
		t.Error(err)
	}
	disk.Empty()
}

// A disk without a byte more when Badger writes a line.
func TestManifestHasRoom(t *testing.T) {
	for _, disk := range []*disktest.Disk{disktest.InMemory(t, 60<<20, 0), disktest.Ext4(t, 60<<20)} {
		l := open(t, disk.Dir+"/ledger", Options{Reserve: 8 << 20})
		commit(t, l, image("a"))
		disk.Fill()
		f, err := os.OpenFile(filepath.Join(l.dir, badger.ManifestFilename), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.Write(make([]byte, 16<<10)); err != nil {
			t.Errorf("%d bytes of lines, then %v", n, err)
		}
		if err := f.Truncate(info.Size()); err != nil {
			t.Error(err)
		}
		f.Close()
		disk.Empty()
	}
}

// Only a table of nothing new is taken for one that a compaction made.
func TestTableOfACompaction(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	fillMemtable(t, l)
	fillMemtable(t, l)
	newest := func() (id, version uint64) {
		for _, table := range l.db.Tables() {
			if table.MaxVersion > version {
				id, version = table.ID, table.MaxVersion
			}
		}
		return id, version
	}
	for began := time.Now(); len(l.db.Tables()) == 0; time.Sleep(time.Millisecond) { // between two looks
		if time.Since(began) > time.Minute {
			t.Fatal("no memtable was flushed")
		}
	}
	if err := l.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	id, version := newest()
	path := filepath.Join(l.dir, fmt.Sprintf("%06d.sst", id))
	none, one := map[uint64]string{}, map[uint64]string{id: path}
	for _, c := range []struct {
		what        string
		now, before map[uint64]string
		newest      uint64
		made        bool
	}{
		{"a compaction's", one, none, version, true},
		{"a memtable's, which has something newer", one, none, version - 1, false},
		{"one that was there before", one, one, version, false},
		{"none", none, none, version, false},
		{"one that is not whole", map[uint64]string{id: path + "x"}, none, version, false},
	} {
		if got := made(c.now, c.before, c.newest); got != c.made {
			t.Errorf("%s: taken for a compaction's: %v", c.what, got)
		}
	}
}
