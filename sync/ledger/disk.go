package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"
)

const (
	// toOpen is what opening writes with write(2), which no handler can help:
	// a line of the manifest for each memtable that it flushes.
	toOpen = 1 << 20

	ballastName = "ballast"
	ballastSize = 16 << 20
	ballastStep = 512 << 10 // for one page that finds no block

	// Badger makes a file for each memtable and each table. These many must be
	// possible before anything is written; as many empty files as are spare are
	// removed to open on a disk that can hold no more files.
	filesWanted = 64
	spareFiles  = 8
)

// room returns ErrDiskFull unless that many bytes are free, and some files.
func (l *Ledger) room(want int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(l.dir, &s); err != nil {
		return fmt.Errorf("ask for free space: %w", err)
	}
	free := int64(s.Bavail) * s.Bsize
	if free < want {
		return fmt.Errorf("%w: %s free, %s wanted", ErrDiskFull, humanize.IBytes(uint64(free)), humanize.IBytes(uint64(want)))
	}
	if s.Files > 0 && s.Ffree < filesWanted { // 0: this file system counts none
		return fmt.Errorf("%w: it can hold %d more files, %d wanted", ErrDiskFull, s.Ffree, filesWanted)
	}
	return nil
}

func (l *Ledger) ballastPath() string { return filepath.Join(l.dir, ballastName) }

func (l *Ledger) sparePath(n int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%s-%d", ballastName, n))
}

// openBallast opens the ballast, which is also the ledger's lock, hands what
// there is of it to the handler of bus.go, and on a full disk gives a little of
// it away at once, so that Badger can open.
func (l *Ledger) openBallast() error {
	f, err := os.OpenFile(l.ballastPath(), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, unix.ENOSPC) {
		l.dropSpares()
		f, err = os.OpenFile(l.ballastPath(), os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return fmt.Errorf("open ballast: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w; stop the other spinebox first", ErrInUse)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.ballast = f
	held, err := l.held()
	if err != nil {
		return err
	}
	layBallast(int(f.Fd()), held, ballastStep)
	l.makeRoom()
	return nil
}

// makeRoom gives a little of the ballast away on a full disk, for what Badger
// writes with write(2) while it opens or closes: lines of its manifest.
func (l *Ledger) makeRoom() {
	if !errors.Is(l.room(toOpen), ErrDiskFull) {
		return
	}
	l.log.Warn("the disk is full: the ballast makes room for the ledger", "dir", l.dir)
	l.dropSpares()
	giveBallast(4 * toOpen)
}

// gate holds a compaction until the disk takes files and a little more. Badger
// 4.9.6 forgets the error of a table that it could not create while compacting
// (levelsController.subcompact defers Done with the error as it was before), and
// then removes the tables that it was made of: their records are gone, without a
// word. It happened on disks whose last inode had just been taken. When the
// ledger closes, what is held in reserve has to do.
func (l *Ledger) gate() {
	for l.room(toOpen) != nil {
		if l.closing.Load() {
			l.makeRoom()
			return
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

// held returns how many bytes of the ballast have blocks. They are its first:
// it is given away from its end.
func (l *Ledger) held() (int64, error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(l.ballast.Fd()), &s); err != nil {
		return 0, fmt.Errorf("look at the ballast: %w", err)
	}
	return min(s.Blocks*512, ballastSize), nil
}

// clean removes logs without a byte. Badger makes and removes its logs in two
// steps, and does not open again when a kill came between the two.
func (l *Ledger) clean() error {
	for _, pattern := range []string{"*.mem", "*.vlog"} {
		logs, err := filepath.Glob(filepath.Join(l.dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range logs {
			info, err := os.Stat(name)
			if err == nil && info.Size() == 0 {
				err = os.Remove(name)
			}
			if err != nil {
				return fmt.Errorf("remove a log without a byte: %w", err)
			}
		}
	}
	return nil
}

func (l *Ledger) dropSpares() {
	for n := range spareFiles {
		os.Remove(l.sparePath(n)) // what is not there is given away already
	}
}

// roomToWrite returns ErrDiskFull unless that many bytes are free beside a
// whole ballast, and makes it whole. So every write begins with all of the
// ballast behind it, however often the disk was filled before.
func (l *Ledger) roomToWrite(want int64) error {
	if ballastLeft() == ballastSize || ballastFD() != int(l.ballast.Fd()) {
		return l.room(want)
	}
	held, err := l.held()
	if err != nil {
		return err
	}
	if err := l.room(want + ballastSize - held); err != nil {
		return err
	}
	// Allocated, not written: a file with holes would give no room.
	if err := unix.Fallocate(int(l.ballast.Fd()), 0, 0, ballastSize); err != nil {
		return fmt.Errorf("%w: no room for the ballast: %w", ErrDiskFull, err)
	}
	layBallast(int(l.ballast.Fd()), ballastSize, ballastStep)
	l.log.Info("the ballast for a full disk is in place", "bytes", ballastSize)
	return l.makeSpares()
}

func (l *Ledger) makeSpares() error {
	for n := range spareFiles {
		f, err := os.OpenFile(l.sparePath(n), os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return fmt.Errorf("%w: no spare files: %w", ErrDiskFull, err)
		}
	}
	return nil
}

// closeBallast takes the ballast back from the handler.
func (l *Ledger) closeBallast() error {
	if ballastFD() == int(l.ballast.Fd()) {
		layBallast(-1, 0, ballastStep)
	}
	return l.ballast.Close()
}
