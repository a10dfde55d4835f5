package slots

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrActive says that a reader uses the model.
var ErrActive = errors.New("the model is active")

// Deactivate leaves the reader without a model, and keeps the present one for
// Rollback. It is on disk when it returns nil. A reader without a model gives
// ErrEmpty.
func (s *Store) Deactivate(r Reader) error {
	return s.change(r, func(slot *Slot) error {
		if slot.Active == "" {
			return fmt.Errorf("reader %s: %w", r, ErrEmpty)
		}
		slot.Previous, slot.Active = slot.Active, ""
		return nil
	})
}

// Remove removes an installed model for good; no Rollback leads to it any more.
// One that a reader uses gives ErrActive. Its folder is gone at once and as a
// whole, whatever happens while its files are removed.
func (s *Store) Remove(digest string) error {
	for _, r := range []Reader{First, Second} {
		state, err := s.State()
		if err != nil {
			return err
		}
		switch slot := state.Readers[r]; digest {
		case slot.Active:
			return fmt.Errorf("reader %s: %w", r, ErrActive)
		case slot.Previous:
			if err := s.change(r, func(slot *Slot) error { slot.Previous = ""; return nil }); err != nil {
				return err
			}
		}
	}
	return s.locked(func() error {
		s.at("remove")
		gone := filepath.Join(s.dir, newPrefix+"removed-"+digest)
		err := os.Rename(s.Path(digest), gone)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%.12s: %w", digest, ErrUnknown)
		}
		if err == nil {
			err = errors.Join(syncFolder(s.dir), os.RemoveAll(gone))
		}
		if err != nil {
			return fmt.Errorf("remove the model %.12s: %w", digest, err)
		}
		return nil
	})
}
