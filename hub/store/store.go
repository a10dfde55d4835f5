// Package store keeps the results of all boxes in one file of JSON lines, the
// hub's memory until it has a database. A line is written and on the disk
// before Append returns, so that a receipt can be sent; it is never changed.
// Boxes send a result until they have its receipt, so the same one may come
// any number of times, also years later: it is kept once.
package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/sync/wire"
)

// FileName is the name of the file in the store's folder.
const FileName = "results.jsonl"

var (
	// ErrInUse: another process writes to the store.
	ErrInUse = errors.New("the store is open in another spinehub")
	// ErrLost: the disk did not take what was written. What it holds is only
	// known after opening the store again.
	ErrLost = errors.New("the store's disk lost a write")
)

// Entry is one line of the store.
type Entry struct {
	Received wire.Time
	Result   wire.Result
}

// line is an entry as it is written. The message is a spinebox.result.v1.
type line struct {
	Received wire.Time       `json:"received"`
	Message  json.RawMessage `json:"message"`
}

// maxLine is the greatest length of a line in bytes, its line feed included,
// and so more than a power cut leaves of one.
const maxLine = wire.MaxMessage + len(`{"received":"2006-01-02T15:04:05.000Z","message":}`+"\n")

// Store is a store that is open for writing.
type Store struct {
	file *os.File
	log  *slog.Logger

	mu    sync.Mutex
	size  int64            // the end of the last whole line
	known map[string]place // by result id
	lost  error
}

// place is where a line is.
type place struct {
	offset int64
	length int
}

// Open opens the store in dir, which it makes when it is missing. It reads all
// of it. What a power cut left of a last line, without its line feed, is cut
// off: it had no receipt, and its box sends it again. Whole lines are never cut
// off, also if they cannot be read: a newer spinehub may have written them.
func Open(dir string, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make store folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{file: file, log: log, known: map[string]place{}}
	if err := s.begin(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", file.Name(), err), file.Close())
	}
	return s, nil
}

func (s *Store) begin(dir string) error {
	err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	s.size, err = scan(s.file, s.log, func(e Entry, at place) error {
		s.known[e.Result.ID] = at
		return nil
	})
	if err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	torn := info.Size() - s.size
	if torn > int64(maxLine) {
		return tailError(torn, s.file.Name())
	}
	if torn > 0 {
		s.log.Warn("the last write was torn: cut off, its boxes will send it again", "bytes", torn)
		if err := errors.Join(s.file.Truncate(s.size), s.file.Sync()); err != nil {
			return fmt.Errorf("cut off a torn write: %w", err)
		}
	}
	return syncFolder(dir) // or the file itself may be gone with the power
}

// tailError is about bytes after the last line feed that no torn write left:
// they may be results that had a receipt, and no box would send them again.
func tailError(bytes int64, file string) error {
	return fmt.Errorf("%d bytes follow the last line feed, more than a torn write leaves: restore the store from a copy, "+
		"or append a line feed with `echo >> %s`, which keeps them as one damaged line", bytes, file)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// scan calls each for every line that is a result, and returns where the last
// whole line ends, the one with the last line feed. A damaged line, or one of a
// newer schema, is reported and stays in the file.
func scan(from io.Reader, log *slog.Logger, each func(Entry, place) error) (end int64, err error) {
	r := bufio.NewReaderSize(from, 2*maxLine)
	var damaged []int
	var why error
	report := func() {
		if damaged != nil {
			log.Error("lines of the store cannot be read: not counted, and kept", "lines", damaged, "error", why)
			damaged = nil
		}
	}
	defer report()
	for number := 1; ; number++ {
		text, length, err := readLine(r)
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, fmt.Errorf("read: %w", err)
		}
		at := place{end, length}
		end += int64(length)
		entry, err := parse(text)
		if err != nil {
			damaged, why = append(damaged, number), err
			continue
		}
		report()
		if err := each(entry, at); err != nil {
			return end, err
		}
	}
}

// readLine returns the next line, valid until the next call, and its length. Of
// one that is longer than any result it returns nothing but the length: damage
// may be as long as the disk, and must not fill the memory. Without a line feed
// at its end the error is io.EOF.
func readLine(r *bufio.Reader) (text []byte, length int, err error) {
	text, err = r.ReadSlice('\n')
	length = len(text)
	for errors.Is(err, bufio.ErrBufferFull) {
		text, err = r.ReadSlice('\n')
		length += len(text)
		text = nil
	}
	return text, length, err
}

func parse(text []byte) (Entry, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return Entry{}, err
	}
	result, err := wire.ParseResult(l.Message)
	return Entry{l.Received, result}, err
}

// Append writes the results that are not known yet, in their order, and
// reports for each whether it is new. When it returns without an error, all of
// them are on the disk, new or not.
//
// A result that is known but says something else is logged, and the first one
// stays: a box whose ledger was lost may come to it, and must have its receipt.
//
// After ErrLost every further call fails: open the store anew. Any other error
// (a full disk) leaves the store as it was.
func (s *Store) Append(results []wire.Result, received time.Time) (fresh []bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return nil, s.lost
	}
	fresh = make([]bool, len(results))
	added := map[string]place{}
	var text []byte
	for i, r := range results {
		if at, ok := s.known[r.ID]; ok {
			s.compare(r, at)
			continue
		}
		if _, ok := added[r.ID]; ok {
			continue
		}
		message, err := r.Encode()
		if err != nil {
			return nil, fmt.Errorf("append to store: %w", err)
		}
		l, err := json.Marshal(line{wire.Time{Time: received}, message})
		if err != nil {
			return nil, fmt.Errorf("append to store: %w", err)
		}
		added[r.ID] = place{s.size + int64(len(text)), len(l) + 1}
		text = append(append(text, l...), '\n')
		fresh[i] = true
	}
	if len(text) == 0 {
		return fresh, nil
	}
	if err := s.write(text); err != nil {
		return nil, err
	}
	for id, at := range added {
		s.known[id] = at
	}
	return fresh, nil
}

// write adds text at the end of the file, wholly and on the disk or not at all.
func (s *Store) write(text []byte) error {
	if _, err := s.file.WriteAt(text, s.size); err != nil {
		// Half a line must not become the beginning of the next one.
		if cut := s.file.Truncate(s.size); cut != nil {
			s.lost = fmt.Errorf("%w: %w", ErrLost, cut)
		}
		return errors.Join(fmt.Errorf("append to store: %w", err), s.lost)
	}
	if err := s.file.Sync(); err != nil {
		// After a failed fsync the kernel may have dropped the pages and say
		// yes to the next one.
		s.lost = fmt.Errorf("%w: %w", ErrLost, err)
		return s.lost
	}
	s.size += int64(len(text))
	return nil
}

// compare logs a result that says something else than the one that is kept.
func (s *Store) compare(r wire.Result, at place) {
	text := make([]byte, at.length)
	_, err := s.file.ReadAt(text, at.offset)
	var kept Entry
	if err == nil {
		kept, err = parse(text)
	}
	switch {
	case err != nil:
		s.log.Error("a kept result cannot be read", "result", r.ID, "error", err)
	case !kept.Result.Agrees(r):
		s.log.Warn("a result came again and says something else: the first one stays",
			"result", r.ID, "device", r.Device, "kept", kept.Result.Outcome, "came", r.Outcome)
	}
}

// Close closes the store.
func (s *Store) Close() error { return s.file.Close() }
