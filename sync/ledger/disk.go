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
	// toOpen is what opening takes: three memtables of 4 MiB at worst, that
	// are written out as tables, and the compaction that they may set off
	// (see Options.Reserve).
	toOpen = 24 << 20

	ballastSize = 32 << 20
	ballastName = "ballast"
)

// free returns how many bytes this process may still write beside the ledger.
func (l *Ledger) free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(l.dir, &s); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// room returns ErrDiskFull unless that many bytes are free.
func (l *Ledger) room(want int64) error {
	free, err := l.free()
	if err != nil {
		return err
	}
	if free < want {
		return fmt.Errorf("%w: %s free, %s wanted", ErrDiskFull, humanize.IBytes(uint64(free)), humanize.IBytes(uint64(want)))
	}
	return nil
}

func (l *Ledger) ballast() string { return filepath.Join(l.dir, ballastName) }

// makeRoomToOpen removes the ballast when the disk is so full that opening
// would end the process, and gives up when even that is not enough.
func (l *Ledger) makeRoomToOpen() error {
	if l.room(toOpen) == nil {
		return nil
	}
	err := os.Remove(l.ballast())
	if err == nil {
		l.log.Warn("the disk is full: ballast removed to open the ledger", "dir", l.dir)
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove ballast: %w", err)
	}
	return l.room(toOpen)
}

// keepBallast makes the ballast when it is missing and there is space for it
// and for the reserve.
func (l *Ledger) keepBallast() {
	if info, err := os.Stat(l.ballast()); err == nil && info.Size() == ballastSize {
		return
	}
	if l.room(l.reserve+ballastSize) != nil {
		return
	}
	f, err := os.OpenFile(l.ballast(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		// Allocated, not written: a file with holes would give no room.
		err = errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, ballastSize), f.Close())
	}
	if err != nil {
		os.Remove(l.ballast()) // half a ballast is of no use
		l.log.Warn("no ballast for a full disk", "error", err)
	}
}
