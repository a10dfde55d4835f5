package share

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"spinebox/internal/livetest"
)

// rig is a watcher on a real folder, with a clock of its own and a handler that
// remembers. A file is whole when it ends in "end".
type rig struct {
	*Watcher
	t           *testing.T
	root, spool string
	clock       time.Time
	log         *livetest.Log

	mu      sync.Mutex // guards the next three
	handled []Claim
	bytes   []string        // of the copies, as the handler found them
	ledger  map[string]bool // outlives the watcher

	refuse error // what Handle answers
}

func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{
		t: t, root: filepath.Join(t.TempDir(), "scanner"), spool: filepath.Join(t.TempDir(), "spool"),
		clock: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), ledger: map[string]bool{}, log: &livetest.Log{},
	}
	if err := os.Mkdir(r.root, 0o755); err != nil {
		t.Fatal(err)
	}
	r.restart(change...)
	return r
}

// restart makes a new watcher over the same folders and the same ledger.
func (r *rig) restart(change ...func(*Options)) {
	r.t.Helper()
	o := Options{
		Name: "scanner", Root: r.root, Spool: r.spool, Reserve: 1, Ahead: 2,
		Whole: whole,
		Known: func(source, name string, size int64, mod time.Time, inode uint64) (bool, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.ledger[sightingKey(source, name, size, mod, inode)], nil
		},
		Handle: r.handle,
		Log:    slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    func() time.Time { return r.clock },
	}
	for _, c := range change {
		c(&o)
	}
	w, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Watcher = w
}

func whole(f io.ReaderAt, size int64) (bool, error) {
	if size < 3 {
		return false, nil
	}
	tail := make([]byte, 3)
	if _, err := f.ReadAt(tail, size-3); err != nil {
		return false, err
	}
	return string(tail) == "end", nil
}

func sightingKey(source, name string, size int64, mod time.Time, inode uint64) string {
	return fmt.Sprintf("%s|%s|%d|%d|%d", source, name, size, mod.UnixNano(), inode)
}

func (r *rig) handle(_ context.Context, c Claim) error {
	if r.refuse != nil {
		return r.refuse
	}
	data, err := os.ReadFile(c.Path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != c.Digest || int64(len(data)) != c.Size {
		r.t.Errorf("claim says %s, %d bytes; the copy has %s, %d bytes", c.Digest, c.Size, got, len(data))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handled = append(r.handled, c)
	r.bytes = append(r.bytes, string(data))
	r.ledger[sightingKey(c.Source, c.Name, c.Size, c.ModTime, c.Inode)] = true
	return nil
}

// deaf leaves the watcher without inotify, which a bubble's clock cannot wait for.
func (r *rig) deaf() {
	r.notify = func() (*fsnotify.Watcher, error) { return nil, errors.New("none here") }
}

// scan lets two seconds pass and scans.
func (r *rig) scan() error {
	r.t.Helper()
	r.clock = r.clock.Add(2 * time.Second)
	_, err := r.look(r.t.Context())
	return err
}

// scans scans n times, each of which must succeed.
func (r *rig) scans(n int) {
	r.t.Helper()
	for range n {
		if err := r.scan(); err != nil {
			r.t.Fatalf("scan: %v", err)
		}
	}
}

func (r *rig) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// must checks what an operating-system call returned.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// count returns how many claims were handled so far.
func (r *rig) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bytes)
}

// want checks the contents that were handled so far, in whatever order: two are
// in hand at once.
func (r *rig) want(contents ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.bytes)
	slices.Sort(contents)
	if fmt.Sprintf("%q", r.bytes) != fmt.Sprintf("%q", contents) {
		r.t.Fatalf("handled %q, want %q", r.bytes, contents)
	}
}

// wantSpool checks how many files the spool holds.
func (r *rig) wantSpool(n int) {
	r.t.Helper()
	files, err := os.ReadDir(r.spool)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(files) != n {
		r.t.Fatalf("the spool holds %v, want %d files", files, n)
	}
}
