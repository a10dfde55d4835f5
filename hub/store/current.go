package store

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"spinebox/sync/wire"
)

// Current calls each for the current result of every image in the store, in
// the order of their arrival. It only reads, and may run beside a hub that
// writes.
func Current(dir string, log *slog.Logger, each func(Entry) error) error {
	file, err := os.Open(filepath.Join(dir, FileName))
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	// Twice over the same bytes: a store is larger than memory.
	current := map[string]wire.Result{}
	end, err := scan(io.NewSectionReader(file, 0, info.Size()), log, func(e Entry, _ place) error {
		if old, ok := current[e.Result.Image]; !ok || supersedes(e.Result, old) {
			e.Result.Readings = nil // their maps are most of it
			current[e.Result.Image] = e.Result
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	// Less may be a line that the hub is writing.
	if tail := info.Size() - end; tail > int64(maxLine) {
		log.Error("the end of the store cannot be read", "error", tailError(tail, file.Name()))
	}
	quiet := slog.New(slog.DiscardHandler) // what is damaged has been said
	_, err = scan(io.NewSectionReader(file, 0, info.Size()), quiet, func(e Entry, _ place) error {
		if current[e.Result.Image].ID != e.Result.ID {
			return nil
		}
		return each(e)
	})
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	return nil
}

// supersedes reports whether a is the current result rather than b, both of
// the same image. The attempt decides, since a box's clock may be wrong after
// a power cut; then the time, and then anything, so that the answer does not
// depend on which came first.
func supersedes(a, b wire.Result) bool {
	return cmp.Or(
		cmp.Compare(a.Attempt, b.Attempt),
		a.Finished.Compare(b.Finished.Time),
		cmp.Compare(a.ID, b.ID),
	) > 0
}
