package ledger

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What Badger cuts off a damaged log is kept; a last transaction that the power
// cut is not.
func TestDamagedLog(t *testing.T) {
	const commits = 8
	for name, c := range map[string]struct {
		mark int // the log is damaged right before the end of this transaction
		kept int // folders
	}{"the first": {1, 1}, "the last but one": {commits - 1, 1}, "the last": {commits, 0}, "none": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			l := open(t, filepath.Join(parent, "running"), Options{})
			for n := range commits {
				commit(t, l, image(fmt.Sprint(n)))
			}
			// What a kill would leave now.
			dir := filepath.Join(parent, "ledger")
			if err := os.CopyFS(dir, os.DirFS(l.dir)); err != nil {
				t.Fatal(err)
			}
			l.Close()
			path := files(t, dir, "*.mem")[0]
			log, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if at := wholeEntries(log); len(bytes.TrimRight(log[at:], "\x00")) > 0 {
				t.Fatalf("the log is whole up to %d only", at)
			}
			if c.mark > 0 {
				at := 0
				for range c.mark {
					at += bytes.Index(log[at:], []byte(commitMark)) + len(commitMark)
				}
				log[at-len(commitMark)-50] ^= 1
			}
			if err := os.WriteFile(path, log, 0o600); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			l = open(t, dir, Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
			want := commits
			if c.mark > 0 {
				want = c.mark - 1
			}
			expect(t, "results", want, len(pending(t, l)))
			copies := files(t, parent, "ledger.orphans-*/*.mem")
			if expect(t, "copies", c.kept, len(copies)); c.kept == 0 || len(copies) == 0 {
				return
			}
			kept, err := os.ReadFile(copies[0])
			if err != nil || !bytes.Equal(kept, bytes.TrimRight(log, "\x00")) {
				t.Errorf("the copy has %d bytes, %v", len(kept), err)
			}
			if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), filepath.Dir(copies[0])) {
				t.Errorf("the log says:\n%s", &said)
			}
		})
	}
}
