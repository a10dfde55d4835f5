package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// closedLedger makes a ledger of some images, and returns its folder and its
// tables: two as a rule, one where Badger has joined them meanwhile.
func closedLedger(t *testing.T) (dir string, tables []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ledger")
	for life := range 2 {
		l := open(t, dir, Options{})
		for n := range 5 {
			commit(t, l, image(fmt.Sprint(life, n)))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tables = files(t, dir, "*.sst")
	if len(tables) == 0 {
		t.Fatal("the ledger has no table")
	}
	return dir, tables
}

func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// wipe overwrites 64 bytes of a file.
func wipe(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 64), at)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A damaged ledger says so, and what to do; nothing of it is removed.
func TestDamagedLedger(t *testing.T) {
	size := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for name, c := range map[string]struct {
		damage func(manifest, table string)
		says   string
	}{
		"no manifest":          {func(m, _ string) { os.Remove(m) }, "MANIFEST is missing"},
		"an empty manifest":    {func(m, _ string) { truncate(t, m, 0) }, "MANIFEST cannot be read"},
		"a cut manifest":       {func(m, _ string) { truncate(t, m, 20) }, "MANIFEST is cut short"},
		"a changed manifest":   {func(m, _ string) { wipe(t, m, 30) }, "MANIFEST cannot be read"},
		"no table":             {func(_, s string) { os.Remove(s) }, "TABLE: it is missing"},
		"an empty table":       {func(_, s string) { truncate(t, s, 0) }, "TABLE: it is cut short"},
		"a cut table":          {func(_, s string) { truncate(t, s, 100) }, "TABLE: it is cut short"},
		"a table less a byte":  {func(_, s string) { truncate(t, s, size(s)-1) }, "TABLE: it is cut short"},
		"a table of zeros":     {func(_, s string) { n := size(s); truncate(t, s, 0); truncate(t, s, n) }, "TABLE: it is cut short"},
		"a changed index":      {func(_, s string) { wipe(t, s, size(s)-150) }, "TABLE: "},
		"a changed last block": {func(_, s string) { wipe(t, s, 20) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, tables := closedLedger(t)
			says := strings.Replace(c.says, "TABLE", filepath.Base(tables[0]), 1)
			c.damage(filepath.Join(dir, badger.ManifestFilename), tables[0])
			left := files(t, dir, "*.sst")
			for range 2 { // each start
				l, err := Open(dir, Options{})
				if err == nil {
					_, err = l.Recent(100)
					l.Close()
				}
				if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), says) {
					t.Errorf("it says %q, want %q and %q", err, says, ErrUnreadable)
				}
			}
			expect(t, "tables", left, files(t, dir, "*.sst"))
			expect(t, "set aside", nil, files(t, dir+".orphans-*", "*"))
		})
	}
}

// Badger passes over a damaged block in the middle of a table without a word.
func TestDamagedBlock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	l := open(t, dir, Options{})
	for n := range 60 {
		commit(t, l, image(fmt.Sprint(n)))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wipe(t, files(t, dir, "*.sst")[0], 5000)
	l = open(t, dir, Options{})
	if _, err := l.Recent(100); !errors.Is(err, ErrUnreadable) {
		t.Errorf("recent: %v, want %v", err, ErrUnreadable)
	}
}

// A tally that is older than the results would give their sequences again.
func TestTallyOlderThanResults(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	commit(t, l, image("a"))
	if err := l.db.Update(func(txn *badger.Txn) error { return txn.Delete(tallyKey()) }); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrUnreadable) {
		t.Errorf("without a tally: %v, want %v", err, ErrUnreadable)
	}
}

// A kill in a compaction leaves tables that the manifest does not name. They
// keep no ledger from opening, and are set aside, the last of them.
func TestUnnamedTables(t *testing.T) {
	dir, tables := closedLedger(t)
	manifest := filepath.Join(dir, badger.ManifestFilename)
	for n := range orphansKept + 2 {
		text := fmt.Sprint("half a table, ", n)
		if err := os.WriteFile(filepath.Join(dir, "000999.sst"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n == 0 { // half a line, to the end of a page
			whole, err := os.ReadFile(manifest)
			if err == nil {
				half := make([]byte, os.Getpagesize()-len(whole))
				binary.BigEndian.PutUint32(half, uint32(os.Getpagesize())) // its length
				err = os.WriteFile(manifest, append(whole, half...), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		now := time.Date(2026, 3, 4, 9, 10, n, 0, time.UTC)
		l := open(t, dir, Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
		if n := l.Outbox(); n != 10 || len(pending(t, l)) != 10 {
			t.Errorf("%d results wait, want 10", n)
		}
		l.Close()
		folder := dir + now.Format(".orphans-20060102-150405.000000")
		if got, err := os.ReadFile(filepath.Join(folder, "000999.sst")); err != nil || string(got) != text {
			t.Errorf("set aside: %q, %v", got, err)
		}
		if !strings.Contains(log.String(), folder) {
			t.Errorf("the log does not name the folder:\n%s", &log)
		}
	}
	expect(t, "folders", orphansKept, len(files(t, filepath.Dir(dir), "ledger.orphans-*")))
	expect(t, "tables", tables, files(t, dir, "*.sst"))
}
