package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
)

// fatal is how often the process may die while the network reads an image. An
// image that kills TensorFlow by a signal would otherwise do so after every
// restart, for ever. The second time it was read alone.
const fatal = 2

// deaths notes on disk which images the network is reading, so that the next
// process knows on which the last one died. A note is not synced: it must
// outlive the process, and a power cut is nobody's fault.
type deaths struct {
	dir string

	mu      sync.Mutex
	counted map[string]int // by digest: how many processes died while they read it
	reading map[string]int // by digest: how many times it is being read now
}

var noteName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// openDeaths counts the notes that earlier processes have left.
func openDeaths(dir string) (*deaths, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of notes: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of notes: %w", err)
	}
	d := &deaths{dir: dir, counted: map[string]int{}, reading: map[string]int{}}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && noteName.MatchString(entry.Name()) {
			d.counted[entry.Name()] = int(info.Size())
		}
	}
	return d, nil
}

// of returns how many processes have died while the network read the image.
func (d *deaths) of(digest string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counted[digest]
}

// begin notes that the network reads the image now. A note holds one byte for
// each time that it was begun and not ended.
func (d *deaths) begin(digest string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reading[digest]++; d.reading[digest] > 1 {
		return nil
	}
	return os.WriteFile(filepath.Join(d.dir, digest), bytes.Repeat([]byte{'.'}, d.counted[digest]+1), 0o600)
}

// end notes that the process has outlived the reading.
func (d *deaths) end(digest string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reading[digest]--; d.reading[digest] > 0 {
		return
	}
	delete(d.reading, digest)
	d.remove(digest)
}

// forget drops what is noted of an image that has its result.
func (d *deaths) forget(digest string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counted[digest] > 0 && d.reading[digest] == 0 {
		d.remove(digest)
	}
}

// remove is all that can be done: a note that stays costs one image a try.
func (d *deaths) remove(digest string) {
	delete(d.counted, digest)
	if err := os.Remove(filepath.Join(d.dir, digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.counted[digest]++
	}
}
