package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spinebox/internal/spine"
)

// Quarantine keeps the files that failed, each in a folder named by its
// digest, with the reason beside it. It stays on the box. The folder is the
// truth about what is in quarantine: it is right after a crash, and after the
// ledger was restored from an older backup.
type Quarantine struct{ dir string }

// The two files of a quarantined image.
const (
	originalName = "original"
	reasonName   = "reason.json"
	requestName  = "retry" // empty: somebody wants it judged again
)

// ErrNotQuarantined: no file with that digest is in quarantine.
var ErrNotQuarantined = errors.New("not in quarantine")

// Quarantined is one file in quarantine: what somebody needs to know who looks
// into it, and what another attempt needs.
type Quarantined struct {
	Digest   string    `json:"digest"` // SHA-256 of the file, hex
	Source   string    `json:"source"` // the share's name
	Name     string    `json:"name"`   // the file's name on the share; shown nowhere but on the box
	Size     int64     `json:"size"`   // bytes
	Whole    bool      `json:"whole"`  // false: it stayed incomplete on the share
	Captured time.Time `json:"captured"`
	Received time.Time `json:"received"`
	Attempts []Attempt `json:"attempts"` // oldest first

	// Requested says that it will be judged again as soon as the service can.
	Requested bool `json:"requested,omitempty"`
}

// Attempt is how one attempt at an image failed.
type Attempt struct {
	Attempt  int         `json:"attempt"`
	Stage    spine.Stage `json:"stage"`
	Code     spine.Code  `json:"code"`
	Sentence string      `json:"sentence"`
	Reason   string      `json:"reason"`
	Finished time.Time   `json:"finished"`
}

// Last returns the latest attempt.
func (q Quarantined) Last() Attempt {
	if len(q.Attempts) == 0 {
		return Attempt{Attempt: 1}
	}
	return q.Attempts[len(q.Attempts)-1]
}

// gonePrefix begins the name of a file's folder that is being removed.
const gonePrefix = ".gone-"

// OpenQuarantine makes the folder when it is missing, and removes what was left
// of files that were discarded. Nobody but the service's own user may enter it:
// it holds X-rays and their files' names.
func OpenQuarantine(dir string) (Quarantine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Quarantine{}, fmt.Errorf("make the quarantine: %w", err)
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), gonePrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return Quarantine{}, fmt.Errorf("clean the quarantine: %w", err)
	}
	return Quarantine{dir}, nil
}

func (q Quarantine) folder(digest string) string { return filepath.Join(q.dir, digest) }

// keep brings the claim's file into quarantine beside its spool copy (a link,
// so it costs no space and cannot be half done) and is on disk when it returns.
// Keeping the same file again adds an attempt.
func (q Quarantine) keep(c Claim, img *spine.Image) error {
	if err := q.write(c, img); err != nil {
		return fmt.Errorf("put image %.12s into quarantine: %w", c.Digest, err)
	}
	return nil
}

func (q Quarantine) write(c Claim, img *spine.Image) error {
	folder := q.folder(c.Digest)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// A copy that vanished while its failure was noted must not hold up the rest.
	err := os.Link(c.Path, filepath.Join(folder, originalName))
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now := Quarantined{
		Digest: c.Digest, Source: c.Source, Name: c.Name, Size: c.Size, Whole: c.Whole,
		Captured: c.ModTime, Received: c.Received,
	}
	if before, err := q.Get(c.Digest); err == nil {
		now.Attempts = before.Attempts
	}
	// The same attempt may have been cut off before its commit.
	now.Attempts = slices.DeleteFunc(now.Attempts, func(a Attempt) bool { return a.Attempt >= img.Attempt })
	d := img.Decision
	now.Attempts = append(now.Attempts, Attempt{img.Attempt, d.Stage, d.Code, d.Code.Sentence(), d.Reason, img.Finished})
	note, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(folder, reasonName), append(note, '\n')); err != nil {
		return err
	}
	return errors.Join(syncFolder(folder), syncFolder(q.dir))
}

// Get returns what is known of one file in quarantine, or ErrNotQuarantined.
func (q Quarantine) Get(digest string) (Quarantined, error) {
	raw, err := os.ReadFile(filepath.Join(q.folder(digest), reasonName))
	if errors.Is(err, fs.ErrNotExist) {
		return Quarantined{}, fmt.Errorf("image %.12s: %w", digest, ErrNotQuarantined)
	}
	if err != nil {
		return Quarantined{}, fmt.Errorf("read the reason of image %.12s: %w", digest, err)
	}
	var file Quarantined
	if err := json.Unmarshal(raw, &file); err != nil {
		return Quarantined{}, fmt.Errorf("read the reason of image %.12s: %w", digest, err)
	}
	if file.Digest == "" { // as an older spinebox wrote it, with one attempt
		var only Attempt
		if err := json.Unmarshal(raw, &only); err != nil {
			return Quarantined{}, fmt.Errorf("read the reason of image %.12s: %w", digest, err)
		}
		file.Digest, file.Whole, file.Attempts = digest, true, []Attempt{only}
	}
	_, err = os.Stat(filepath.Join(q.folder(digest), requestName))
	file.Requested = err == nil
	return file, nil
}

// Request asks for a retry, in a way that outlives a restart: the service
// finds it within a second, or when it is next started.
func (q Quarantine) Request(digest string) error {
	if _, err := q.Get(digest); err != nil {
		return err
	}
	err := writeSynced(filepath.Join(q.folder(digest), requestName), nil)
	if err != nil {
		return fmt.Errorf("ask for a retry of image %.12s: %w", digest, err)
	}
	return syncFolder(q.folder(digest))
}

// withdraw ends a request that was granted.
func (q Quarantine) withdraw(digest string) error {
	err := os.Remove(filepath.Join(q.folder(digest), requestName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end the request for image %.12s: %w", digest, err)
	}
	return nil
}

// List returns all files in quarantine, those that came first at the top. One
// whose reason cannot be read is listed by its digest alone.
func (q Quarantine) List() ([]Quarantined, error) {
	entries, err := os.ReadDir(q.dir)
	if err != nil {
		return nil, fmt.Errorf("read the quarantine: %w", err)
	}
	files := []Quarantined{}
	for _, entry := range entries {
		if !noteName.MatchString(entry.Name()) {
			continue
		}
		file, err := q.Get(entry.Name())
		if err != nil {
			file = Quarantined{Digest: entry.Name()}
		}
		files = append(files, file)
	}
	slices.SortStableFunc(files, func(a, b Quarantined) int { return a.Received.Compare(b.Received) })
	return files, nil
}

// Find returns the one file in quarantine whose digest begins so, or
// ErrNotQuarantined.
func (q Quarantine) Find(prefix string) (Quarantined, error) {
	files, err := q.List()
	if err != nil {
		return Quarantined{}, err
	}
	files = slices.DeleteFunc(files, func(f Quarantined) bool { return !strings.HasPrefix(f.Digest, prefix) })
	switch {
	case len(files) == 0 || prefix == "":
		return Quarantined{}, fmt.Errorf("image %.12q: %w", prefix, ErrNotQuarantined)
	case len(files) > 1:
		return Quarantined{}, fmt.Errorf("%d files in quarantine begin with %q: give more of the digest", len(files), prefix)
	}
	return files[0], nil
}

// Discard removes a file from quarantine for good. It is gone at once and as a
// whole, whatever happens while its files are removed.
func (q Quarantine) Discard(digest string) error {
	gone := filepath.Join(q.dir, gonePrefix+digest)
	err := os.RemoveAll(gone)
	if err == nil {
		err = os.Rename(q.folder(digest), gone)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("image %.12s: %w", digest, ErrNotQuarantined)
	}
	if err == nil {
		err = errors.Join(syncFolder(q.dir), os.RemoveAll(gone))
	}
	if err != nil {
		return fmt.Errorf("discard image %.12s: %w", digest, err)
	}
	return nil
}

// Count returns how many files are in quarantine.
func (q Quarantine) Count() (int, error) {
	entries, err := os.ReadDir(q.dir)
	if err != nil {
		return 0, fmt.Errorf("count the quarantine: %w", err)
	}
	n := 0
	for _, entry := range entries {
		if noteName.MatchString(entry.Name()) {
			n++
		}
	}
	return n, nil
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
