// Package slots keeps the models that are installed on a box: each in a folder
// that is named by its digest, and for each reader which one is active and which
// one was active before.
//
//	<digest>/    an installed model, as it was checked: nothing in it changes
//	slots.json   which models are active, and which were before
//	.new-*       a copy under way; worthless after a crash
//	.lock        held by whoever installs or activates
//
// What is there is whole: a copy is checked before the first byte is written,
// read back after the last, on disk before it gets its name; and the state is
// replaced by one rename. Whatever is cut off leaves the former state.
//
// Most callers need Open, Install, Activate and State. Nothing here runs a
// model: whoever activates one has tried it.
package slots

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"spinebox/models/description"
)

// Schema is the version of slots.json.
const Schema = "spinebox.slots.v1"

const (
	stateName = "slots.json"
	lockName  = ".lock"
	newPrefix = ".new-"
)

var (
	// ErrEmpty says that the reader has no active model.
	ErrEmpty = errors.New("no model is active")
	// ErrNoFormer says that there is nothing to roll back to.
	ErrNoFormer = errors.New("no model was active before")
	// ErrUnknown says that no installed model has the name.
	ErrUnknown = errors.New("no such model is installed")

	digestName = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Reader is a place for a model in the box.
type Reader string

// The two readers of a box.
const (
	First  Reader = "first"
	Second Reader = "second"
)

// Slot says which model a reader uses, by digest.
type Slot struct {
	Active   string    `json:"active"`
	Previous string    `json:"previous,omitempty"` // what `rollback` returns to
	Since    time.Time `json:"since"`
}

// State is slots.json.
type State struct {
	Schema  string          `json:"schema"`
	Readers map[Reader]Slot `json:"readers"`
}

// Store is a folder of installed models. Several processes may use one.
type Store struct {
	dir string
	now func() time.Time

	// step, when not nil, is called before each change on the disk: a test's
	// way to let the power go.
	step func(name string)
}

// Open returns the store in dir, which is made when it is first written to.
func Open(dir string) *Store { return &Store{dir: dir, now: time.Now} }

// Path returns the folder of an installed model.
func (s *Store) Path(digest string) string { return filepath.Join(s.dir, digest) }

// State returns which models are active. Without a file, none is.
func (s *Store) State() (State, error) {
	state := State{Schema: Schema, Readers: map[Reader]Slot{}}
	raw, err := os.ReadFile(filepath.Join(s.dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return state, fmt.Errorf("read which models are active: %w", err)
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		return state, fmt.Errorf("read which models are active: %s: %w", stateName, err)
	}
	if state.Schema != Schema {
		return state, fmt.Errorf("read which models are active: %s is %q, this program reads %q", stateName, state.Schema, Schema)
	}
	return state, nil
}

// Active returns the folder of the reader's active model, or ErrEmpty.
func (s *Store) Active(r Reader) (dir string, err error) {
	state, err := s.State()
	if err != nil {
		return "", err
	}
	slot := state.Readers[r]
	if slot.Active == "" {
		return "", fmt.Errorf("reader %s: %w", r, ErrEmpty)
	}
	return s.Path(slot.Active), nil
}

// Installed returns the digests of the models that are installed.
func (s *Store) Installed() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the models: %w", err)
	}
	var digests []string
	for _, e := range entries {
		if e.IsDir() && digestName.MatchString(e.Name()) {
			digests = append(digests, e.Name())
		}
	}
	return digests, nil
}

// Find returns the digest of the installed model that name means: the first
// digits of its digest (at least four), its name, or NAME@VERSION.
func (s *Store) Find(name string) (digest string, err error) {
	digests, err := s.Installed()
	if err != nil {
		return "", err
	}
	var found []string
	for _, digest := range digests {
		if len(name) >= 4 && strings.HasPrefix(digest, name) {
			found = append(found, digest)
			continue
		}
		m, err := description.Read(s.Path(digest))
		if err == nil && (name == m.Name || name == m.Name+"@"+m.Version) {
			found = append(found, digest)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%q: %w", name, ErrUnknown)
	case 1:
		return found[0], nil
	}
	for i := range found {
		found[i] = found[i][:12]
	}
	return "", fmt.Errorf("%q may be any of %s: give the first digits of the digest", name, strings.Join(found, ", "))
}

// Install copies the model folder into the store, unless it is there already,
// and returns its description. The folder is checked before anything is
// written, and the copy after all is on disk.
func (s *Store) Install(from string) (*description.Model, error) {
	m, err := description.Load(from)
	if err != nil {
		return nil, err
	}
	return m, s.locked(func() error { return s.install(m, from) })
}

func (s *Store) install(m *description.Model, from string) error {
	target := s.Path(m.Digest())
	if _, err := description.Load(target); err == nil {
		return nil
	}
	s.at("clean")
	if err := s.clean(); err != nil {
		return err
	}
	if err := os.RemoveAll(target); err != nil { // there, but not whole any more
		return fmt.Errorf("remove a damaged model: %w", err)
	}
	var bytes int64
	for _, f := range m.Files {
		bytes += f.Length
	}
	if err := s.room(bytes); err != nil {
		return err
	}
	s.at("make")
	fresh, err := os.MkdirTemp(s.dir, newPrefix)
	if err != nil {
		return fmt.Errorf("copy the model: %w", err)
	}
	defer os.RemoveAll(fresh) // nothing, once it has its name
	if err := s.copy(m, from, fresh); err != nil {
		return fmt.Errorf("copy the model: %w", err)
	}
	s.at("read back")
	if copied, err := description.Load(fresh); err != nil {
		return fmt.Errorf("read the copied model back: %w", err)
	} else if copied.Digest() != m.Digest() {
		return errors.New("read the copied model back: it is another model: the folder changed while it was copied")
	}
	s.at("name")
	if err := os.Rename(fresh, target); err != nil {
		return fmt.Errorf("copy the model: %w", err)
	}
	s.at("sync")
	return syncFolder(s.dir)
}

// copy writes the model's files into the folder and brings them to disk.
func (s *Store) copy(m *description.Model, from, to string) error {
	names := []string{description.FileName}
	for _, f := range m.Files {
		names = append(names, f.Path)
	}
	folders := []string{to}
	for _, name := range names {
		s.at("copy " + name)
		target := filepath.Join(to, filepath.FromSlash(name))
		if folder := filepath.Dir(target); !slices.Contains(folders, folder) {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				return err
			}
			folders = append(folders, folder)
		}
		if err := copyFile(filepath.Join(from, filepath.FromSlash(name)), target); err != nil {
			return err
		}
	}
	for _, folder := range slices.Backward(folders) {
		if err := syncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Sync(), target.Close())
}

// Activate makes an installed model the reader's, and keeps the present one for
// Rollback. It is on disk when it returns nil.
func (s *Store) Activate(r Reader, digest string) error {
	return s.change(r, func(slot *Slot) error {
		if _, err := description.Read(s.Path(digest)); err != nil {
			return fmt.Errorf("%.12s: %w", digest, ErrUnknown)
		}
		if slot.Active != digest {
			slot.Previous, slot.Active = slot.Active, digest
		}
		return nil
	})
}

// Former returns the digest that a rollback of the reader leads to, or
// ErrNoFormer.
func (s *Store) Former(r Reader) (digest string, err error) {
	state, err := s.State()
	if err != nil {
		return "", err
	}
	if former := state.Readers[r].Previous; former != "" {
		return former, nil
	}
	return "", fmt.Errorf("reader %s: %w", r, ErrNoFormer)
}

// change replaces the state by one rename.
func (s *Store) change(r Reader, edit func(*Slot) error) error {
	return s.locked(func() error {
		state, err := s.State()
		if err != nil {
			return err
		}
		slot := state.Readers[r]
		if err := edit(&slot); err != nil {
			return err
		}
		slot.Since = s.now().UTC()
		state.Readers[r] = slot
		raw, err := json.MarshalIndent(state, "", "  ")
		if err != nil {
			return fmt.Errorf("write which models are active: %w", err)
		}
		if err := s.write(append(raw, '\n')); err != nil {
			return fmt.Errorf("write which models are active: %w", err)
		}
		return nil
	})
}

func (s *Store) write(raw []byte) error {
	s.at("write the state")
	f, err := os.CreateTemp(s.dir, newPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing, once it has its name
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	s.at("name the state")
	if err := os.Rename(f.Name(), filepath.Join(s.dir, stateName)); err != nil {
		return err
	}
	s.at("sync the state")
	return syncFolder(s.dir)
}

// clean removes what was cut off. The caller holds the lock.
func (s *Store) clean() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("clean the models' folder: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) {
			if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
				return fmt.Errorf("clean the models' folder: %w", err)
			}
		}
	}
	return nil
}

// locked runs work while no other process changes the store. The lock goes with
// the process that holds it: none is ever stale.
func (s *Store) locked(work func() error) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the models' folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock the models' folder: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the models' folder: %w", err)
	}
	return work()
}

// reserve is what must stay free beside a model, in bytes: the ledger on the
// same disk needs room to write.
const reserve = 256 << 20

func (s *Store) room(bytes int64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &st); err != nil {
		return fmt.Errorf("free space for the model: %w", err)
	}
	if free := int64(st.Bavail) * st.Bsize; free-bytes < reserve {
		return fmt.Errorf("the disk is too full for a model of %d MB: %d MB are free, and %d MB must stay so", bytes>>20, free>>20, reserve>>20)
	}
	return nil
}

func (s *Store) at(name string) {
	if s.step != nil {
		s.step(name)
	}
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
