package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	if want := filesWanted(s); s.Ffree < want {
		return fmt.Errorf("%w: it can hold %d more files, %d wanted", ErrDiskFull, s.Ffree, want)
	}
	return nil
}

func (l *Ledger) ballastPath() string { return filepath.Join(l.dir, ballastName) }

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

// roomToWrite returns ErrDiskFull unless that many bytes are free beside a
// whole ballast, and makes it whole, and the files that are made ahead. So every
// write begins with all of them behind it, however often the disk was filled
// before.
func (l *Ledger) roomToWrite(want int64) error {
	if ballastLeft() == ballastSize && ballastFD() == int(l.ballast.Fd()) {
		if err := l.room(want); err != nil {
			return err
		}
		return l.makeFiles()
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
	return l.makeFiles()
}

// closeBallast takes the ballast back from the handler.
func (l *Ledger) closeBallast() error {
	if ballastFD() == int(l.ballast.Fd()) {
		layBallast(-1, 0, ballastStep)
	}
	return l.ballast.Close()
}
