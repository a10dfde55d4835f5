package study

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy says that another process works on the fold.
var ErrBusy = errors.New("another process is working on this fold")

// patience is how long a lock may still be held by a process that was killed.
const patience = 5 * time.Second

// lock takes the lock file for this process, or returns ErrBusy when another
// one holds it for longer than the patience. The system gives it back when the
// process ends, however it ends; it holds over NFS, too.
func lock(name string, patience time.Duration) (unlock func(), err error) {
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		unlock, err = take(name, unix.F_OFD_SETLK)
		if !errors.Is(err, ErrBusy) || time.Now().After(end) {
			return unlock, err
		}
	}
}

// lockWait waits until the lock file is free.
func lockWait(name string) (unlock func(), err error) { return take(name, unix.F_OFD_SETLKW) }

func take(name string, command int) (func(), error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		switch err = unix.FcntlFlock(f.Fd(), command, &unix.Flock_t{Type: unix.F_WRLCK}); {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			err = ErrBusy
		default:
			err = fmt.Errorf("lock %s: %w", name, err)
		}
		return nil, errors.Join(err, f.Close())
	}
}

// locked reports whether a process holds the lock file, without taking it.
func locked(name string) bool {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l) == nil && l.Type != unix.F_UNLCK
}
