package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"spinebox/internal/spine"
)

// quarantine keeps the files that failed, each in a folder named by its
// digest, with the reason beside it. It stays on the box.
type quarantine struct{ dir string }

// The two files of a quarantined image.
const (
	originalName = "original"
	reasonName   = "reason.json"
)

// reason is what somebody needs to know who looks into the quarantine.
type reason struct {
	Code     spine.Code `json:"code"`
	Sentence string     `json:"sentence"`
	Reason   string     `json:"reason"`
	Attempt  int        `json:"attempt"`
	Source   string     `json:"source"`
	Name     string     `json:"name"`
	Size     int64      `json:"size"`
	Captured time.Time  `json:"captured"`
	Received time.Time  `json:"received"`
	Finished time.Time  `json:"finished"`
}

func openQuarantine(dir string) (quarantine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return quarantine{}, fmt.Errorf("make the quarantine: %w", err)
	}
	return quarantine{dir}, nil
}

// keep brings the claim's file into quarantine beside its spool copy (a link,
// so it costs no space and cannot be half done) and is on disk when it returns.
// Keeping the same file again replaces the reason.
func (q quarantine) keep(c Claim, img *spine.Image) error {
	if err := q.write(c, img); err != nil {
		return fmt.Errorf("put image %.12s into quarantine: %w", c.Digest, err)
	}
	return nil
}

func (q quarantine) write(c Claim, img *spine.Image) error {
	folder := filepath.Join(q.dir, c.Digest)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// A copy that has vanished from the spool must not hold up the rest: its
	// failure is recorded without it.
	err := os.Link(c.Path, filepath.Join(folder, originalName))
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	note, err := json.MarshalIndent(reason{
		Code: img.Decision.Code, Sentence: img.Decision.Code.Sentence(), Reason: img.Decision.Reason,
		Attempt: img.Attempt, Source: c.Source, Name: c.Name, Size: c.Size,
		Captured: c.ModTime, Received: c.Received, Finished: img.Finished,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(folder, reasonName), append(note, '\n')); err != nil {
		return err
	}
	return errors.Join(syncFolder(folder), syncFolder(q.dir))
}

func (q quarantine) remove(digest string) error {
	return os.RemoveAll(filepath.Join(q.dir, digest))
}

func (q quarantine) count() (int, error) {
	entries, err := os.ReadDir(q.dir)
	if err != nil {
		return 0, fmt.Errorf("count the quarantine: %w", err)
	}
	return len(entries), nil
}

// writeSynced writes the file as a whole or not at all.
func writeSynced(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
