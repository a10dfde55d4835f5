package ledger

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dgraph-io/badger/v4"
)

// A disk can run out of files (inodes) while it has bytes. Badger makes files of
// four kinds, whenever it likes:
//
//   - a log for each memtable, in the middle of a write. It cannot go on without:
//     it loses its hold on the memtable, and ends the process at the next write.
//     So the next log is there before every write (makeFiles): Badger opens an
//     empty one as it would a new one.
//   - a new MANIFEST, now and then. It is made ahead, too.
//   - a table of a memtable. It tries again until it can.
//   - the tables of a compaction. It forgets that it could not make one, and
//     removes those that it was made of. So no compaction begins a table on a disk
//     that has few files left (gate), and none is done before its tables are there
//     (settle).

const (
	// spareFiles empty files are removed to open on a disk that can hold no more,
	// and when the last is taken while a compaction makes a table.
	spareFiles = 8

	// filesPlenty are more than anybody can make while Badger makes a table.
	filesPlenty = 1 << 16

	manifestRewrite = "MANIFEST-REWRITE" // Badger's own name for it
	manifestRoom    = 256 << 10          // kept behind the MANIFEST's end
)

// ahead is what makeFiles has made.
type ahead struct {
	log          int    // number of the next memtable's log; 0: not known
	manifest     uint64 // inode of the MANIFEST
	manifestRoom int64  // it has blocks up to here
}

// filesWanted returns how many files a disk must be able to take before anything
// is written: few on a disk for few.
func filesWanted(s unix.Statfs_t) uint64 {
	if s.Files == 0 { // it counts none
		return 0
	}
	return min(max(64, s.Files/8), 1024)
}

// filesLeft returns how many files the disk can still take.
func (l *Ledger) filesLeft() uint64 {
	var s unix.Statfs_t
	if err := unix.Statfs(l.dir, &s); err != nil || s.Files == 0 {
		return math.MaxUint64
	}
	return s.Ffree
}

// makeFiles makes ahead what Badger may need in the middle of a write: the next
// memtable's log, the file for a new MANIFEST, and blocks behind the end of this
// one. Half a line at its end would be the end of all that is written later.
func (l *Ledger) makeFiles() error {
	err := l.makeLog()
	if err == nil {
		err = makeFile(filepath.Join(l.dir, manifestRewrite))
	}
	if err == nil {
		err = l.extendManifest()
	}
	for n := 0; n < spareFiles && err == nil && l.dropped.Load(); n++ {
		err = makeFile(l.sparePath(n))
	}
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	if err != nil {
		return fmt.Errorf("make files ahead: %w", err)
	}
	l.dropped.Store(false)
	return nil
}

func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// makeLog makes the next memtable's log, which Badger takes by its number.
func (l *Ledger) makeLog() error {
	if l.ahead.log == 0 {
		logs, err := filepath.Glob(filepath.Join(l.dir, "*.mem"))
		if err != nil {
			return err
		}
		for _, path := range logs {
			var n int
			if _, err := fmt.Sscanf(filepath.Base(path), "%d.mem", &n); err == nil {
				l.ahead.log = max(l.ahead.log, n)
			}
		}
		l.ahead.log++
	}
	for {
		path := filepath.Join(l.dir, fmt.Sprintf("%05d.mem", l.ahead.log))
		var s unix.Stat_t
		err := unix.Stat(path, &s)
		switch {
		case errors.Is(err, unix.ENOENT):
			return makeFile(path)
		case err != nil:
			return err
		case s.Size == 0:
			return nil
		}
		l.ahead.log++ // Badger has taken it
	}
}

func (l *Ledger) extendManifest() error {
	path := filepath.Join(l.dir, badger.ManifestFilename)
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return err
	}
	if s.Ino == l.ahead.manifest && s.Size < l.ahead.manifestRoom-manifestRoom/2 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, s.Size+manifestRoom); err != nil {
		return err
	}
	l.ahead.manifest, l.ahead.manifestRoom = s.Ino, s.Size+manifestRoom
	return nil
}

func (l *Ledger) sparePath(n int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%s-%d", ballastName, n))
}

func (l *Ledger) dropSpares() {
	for n := range spareFiles {
		os.Remove(l.sparePath(n)) // what is not there is given away already
	}
	l.dropped.Store(true)
}

// gate holds a compaction that is about to make a table until the disk takes
// files and a little more. When the ledger closes, what is held in reserve has to
// do. Where files are few, one table is made after the other, and each is watched
// for.
//
// Badger 4.9.6 forgets the error of a table that it could not make
// (levelsController.subcompact defers Done with the error as it was before): the
// records in it would be gone, without a word.
func (l *Ledger) gate() {
	var before map[uint64]string
	for {
		l.making.Lock()
		var err error
		if l.closing.Load() {
			l.makeRoom()
		} else {
			err = l.room(toOpen)
		}
		if err == nil && l.filesLeft() >= filesPlenty {
			l.making.Unlock()
			return
		}
		if err == nil {
			before, err = tablesIn(l.dir)
		}
		if err == nil {
			break
		}
		l.making.Unlock()                 // so that others end, and make room
		time.Sleep(10 * time.Millisecond) // between two looks
	}
	go func() {
		defer l.making.Unlock()
		l.watch(before)
	}()
}

// settle holds a compaction until all tables that it makes are there.
func (l *Ledger) settle() {
	l.making.Lock()
	defer l.making.Unlock()
}

// watch waits for the table that a compaction makes, and gives spare files away
// when the disk has none left. A table that is not there after a minute could not
// be made: then the process ends, before Badger removes what it was made of.
func (l *Ledger) watch(before map[uint64]string) {
	newest := uint64(0)
	for _, path := range before {
		if index, err := tableIndex(path); err == nil {
			newest = max(newest, index.MaxVersion())
		}
	}
	for began := time.Now(); ; time.Sleep(200 * time.Microsecond) { // between two looks
		if l.filesLeft() < spareFiles {
			l.dropSpares()
		}
		now, err := tablesIn(l.dir)
		if err == nil && made(now, before, newest) {
			return
		}
		if time.Since(began) > time.Minute {
			panic("the disk took no file for a table of the ledger, and to go on would lose what is in it. " +
				"Make room for more files. Nothing is lost.")
		}
	}
}

// made reports whether there is a new table with nothing in it that is newer than
// the newest before. A new table with something newer is a memtable's.
func made(now, before map[uint64]string, newest uint64) bool {
	for id, path := range now {
		if before[id] != "" {
			continue
		}
		if index, err := tableIndex(path); err == nil && index.MaxVersion() <= newest {
			return true
		}
	}
	return false
}
