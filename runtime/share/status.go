package share

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// progress says in the midst of a scan that the share is there and how many
// files still wait. What the last scan complained of stands until this one ends.
func (w *Watcher) progress() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.status.Online {
		w.status.Error = ""
		w.log.Info("share online")
	}
	w.status.Online = true
	w.status.Waiting = w.waiting()
}

// count says how many files still wait.
func (w *Watcher) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Waiting = w.waiting()
}

// conclude brings the status up to date after a scan and logs what changed.
func (w *Watcher) conclude(online bool, err error) {
	next := w.Status()
	last := next
	next.Online, next.Error, next.Waiting = online, w.complaint(err), w.waiting()
	if err == nil {
		next.Scanned = w.o.Now()
	}
	w.mu.Lock()
	w.status = next
	w.mu.Unlock()
	switch {
	case last.Error == next.Error:
	case next.Error == "":
		w.log.Info("share in order again")
	default:
		w.log.Warn("share in trouble", "online", online, "error", next.Error)
	}
}

// waiting counts the files that are to be taken but have not been yet.
func (w *Watcher) waiting() (n int) {
	for _, f := range w.seen {
		if !f.done && !f.large {
			n++
		}
	}
	return n
}

// complaint is the sentence that the status shows, or "".
func (w *Watcher) complaint(err error) string {
	if err != nil {
		text := err.Error()
		return strings.ToUpper(text[:1]) + text[1:] + "."
	}
	large, cramped, unread := 0, 0, w.denied
	for _, f := range w.seen {
		switch {
		case f.done:
		case f.large:
			large++
		case f.cramped:
			cramped++
		case f.busy:
			unread++
		}
	}
	switch {
	case cramped > 0:
		return fmt.Sprintf("%d of its files do not fit on the box's disk now, of which %s must stay free: free space.", cramped, megabytes(w.o.Reserve))
	case unread > 0:
		return fmt.Sprintf("%d of its files and folders cannot be read: give the service the right to.", unread)
	case w.keeps != nil:
		return fmt.Sprintf("Files that have their result cannot be %sd: %v.", w.o.Finished, w.keeps)
	case large > 0:
		return fmt.Sprintf("%d of its files are larger than %s and stay on the share.", large, megabytes(w.o.MaxBytes))
	}
	return ""
}

// plainly says the usual causes in a technician's words.
func plainly(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return errors.New("its folder is missing")
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return errors.New("the service may not read its folder")
	}
	for _, cut := range []error{
		unix.ENOTCONN, unix.ECONNRESET, unix.ECONNABORTED, unix.ECONNREFUSED, unix.ETIMEDOUT,
		unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENETDOWN, unix.ENETUNREACH, unix.ESHUTDOWN, unix.ESTALE,
	} {
		if errors.Is(err, cut) {
			return fmt.Errorf("the connection to it is broken (%w)", cut)
		}
	}
	return err
}
