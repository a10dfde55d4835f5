// Package share takes files in from one share: a folder, usually mounted over
// SMB or NFS, that an X-ray unit or its scanner writes. Most callers need
// [New] and [Watcher.Run].
//
// It promises:
//   - The share is only read, unless Options.Finished says what to do with files
//     that have their result.
//   - A file is taken when it has settled (size, modification time and inode
//     the same over two looks that are Scan apart) and its content is whole.
//     When it stays short for longer than its patience, which counts from when
//     it has settled, it is taken all the same, marked as not whole, so that it
//     ends as a failure that somebody sees.
//   - It is copied once into a private spool, from a descriptor that was opened
//     beneath the root without following links, and hashed on the way. What
//     judges or decodes it sees only the copy.
//   - A share that is gone or hangs is a state, shown and healed without a
//     restart, and never "all files were deleted".
//   - A copy that was not handled when the power went is offered again.
//
// Scanning is by polling, since inotify sees nothing that another host writes;
// what inotify does see hastens the next scan. File names may hold a patient's
// name, so no log line, status or error of this package holds one: a file is
// named by its inode ("find -inum").
package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"spinebox/internal/spine"
)

// Claim is one file, whole in the spool and on disk.
type Claim struct {
	Source   string    // the share's name in the configuration
	Name     string    // path beneath the share's root, of any bytes; for the ledger, never for a log
	Path     string    // the copy in the spool
	Digest   string    // SHA-256 of the copy, hex
	Size     int64     // bytes
	ModTime  time.Time // on the share
	Inode    uint64    // on the share
	Whole    bool      // false: its patience ended while its content was incomplete
	Received time.Time // when the copy was whole
}

// Finished says what becomes of a file on the share that has its result.
type Finished string

const (
	Leave  Finished = "leave"  // it stays; the share is never written
	Delete Finished = "delete" // it is removed
	Move   Finished = "move"   // it goes into a folder of the share
)

// Options say what a watcher watches and whom it serves.
type Options struct {
	Name   string   // of the share in the configuration
	Root   string   // the folder that the scanner writes
	Mount  bool     // Root must be the root of a mounted file system
	Ignore []string // patterns (path.Match, any case) of more names that are passed over, of files and folders
	Spool  string   // a private folder of this watcher alone; made when missing
	Own    []string // folders of the box's own: where they turn up on the share, by whatever mount, they are left alone

	// Finished other than Leave writes to the share: a file goes once Known
	// is true of it and while it is still as it was then.
	Finished Finished // "": Leave
	MoveTo   string   // for Move: the name of a folder in Root, which is made, and never scanned

	Scan     time.Duration // from the end of one scan to the next, at the least; 0: 2 s
	Patience time.Duration // for a file whose content stays incomplete; 0: 60 s
	Limit    time.Duration // for one call into the share; 0: 5 s
	MaxBytes int64         // larger files are left alone, and the status says so; 0: 512 MiB
	Reserve  int64         // bytes that must stay free on the spool's disk; 0: 256 MiB

	// Whole says whether a copy's content is complete. An error is one of
	// reading the copy, never of its content.
	Whole func(f io.ReaderAt, size int64) (bool, error)

	// Known says whether this sighting has been handled before, in this run
	// or an earlier one.
	Known func(source, name string, size int64, modified time.Time, inode uint64) (bool, error)

	// Forget, when not nil, is told after the first whole scan, and then
	// every hour, which names are on the share: what Known knows of others
	// can go. It is never called while the share, or a folder of it, is out
	// of reach.
	Forget func(source string, keep func(name string) bool) (int, error)

	// Handle brings a claim to its end. It MUST return nil only when the
	// image's record is on disk, whatever the outcome: a bad file that went
	// into quarantine is handled. From then on Known MUST be true of it. An
	// error means that the box itself cannot take files in; the watcher then
	// takes nothing else in and offers the same claim again at its next scan,
	// so Handle MUST leave Path where it is. After nil the watcher removes
	// Path: what is to be kept is moved or linked away before. Handle may
	// block for as long as the box is busy: that is what holds intake back.
	//
	// It is called for up to Ahead claims at once, never twice for the same
	// digest. The watcher waits for all of them before Run returns.
	Handle func(ctx context.Context, c Claim) error

	// Ahead is how many claims are in hand at once, while the next is copied;
	// 0 means 4: one is decoded, two are read by the network, and the result of
	// one is brought to disk.
	Ahead int

	// Alive, when not nil, is called with every sign of progress: while the
	// share answers, however slowly, and after every scan of Run, also of one
	// that found the share offline. It feeds a watchdog, and must not block.
	// It is not called while a claim is in hand: whether that makes progress
	// its handler alone can say.
	Alive func()

	Log *slog.Logger     // nil: slog.Default
	Now func() time.Time // nil: time.Now
}

// Watcher watches one share.
type Watcher struct {
	o       Options
	log     *slog.Logger
	lane    lane
	tree    tree
	spool   spool
	working atomic.Int32 // claims that Handle has not returned from

	notify func() (*fsnotify.Watcher, error) // opens inotify
	soon   time.Duration                     // from a hint to the next scan, at the least

	// The scan's own: everything up to the next comment.
	restored bool    // the spool's leftovers are in held
	held     []*held // in the spool, not brought to their end yet
	hands    int     // how many of them are in hand
	ended    chan ended
	seen     map[string]*file
	folders  []string
	odd      map[oddity]bool
	denied   int
	keeps    error         // why files that have their result cannot be removed
	forgot   time.Time     // when Forget was last called
	walked   time.Duration // how long the last walk took

	mu     sync.Mutex // guards status
	status spine.ShareStatus

	hastened chan struct{} // holds one request of Hasten
}

// New makes a watcher. It touches neither the share nor the spool.
func New(o Options) (*Watcher, error) {
	if o.Name == "" || o.Root == "" || o.Spool == "" {
		return nil, errors.New("a share needs a name, a folder and a spool")
	}
	if o.Whole == nil || o.Known == nil || o.Handle == nil {
		return nil, fmt.Errorf("share %s: Whole, Known and Handle are needed", o.Name)
	}
	if o.Finished == "" {
		o.Finished = Leave
	}
	if err := CheckFinished(o.Finished, o.MoveTo); err != nil {
		return nil, fmt.Errorf("share %s: %w", o.Name, err)
	}
	if err := CheckIgnore(o.Ignore); err != nil {
		return nil, fmt.Errorf("share %s: %w", o.Name, err)
	}
	o.Scan = orDefault(o.Scan, 2*time.Second)
	o.Ahead = orDefault(o.Ahead, 4)
	o.Patience = orDefault(o.Patience, time.Minute)
	o.Limit = orDefault(o.Limit, 5*time.Second)
	o.MaxBytes = orDefault(o.MaxBytes, 512<<20)
	o.Reserve = orDefault(o.Reserve, 256<<20)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &Watcher{
		o:     o,
		log:   o.Log.With("share", o.Name),
		tree:  tree{root: o.Root, mount: o.Mount, ignore: lower(o.Ignore), own: append([]string{o.Spool}, o.Own...)},
		spool: spool{dir: o.Spool, reserve: o.Reserve},
		odd:   map[oddity]bool{},
		ended: make(chan ended, o.Ahead),

		notify: fsnotify.NewWatcher,
		soon:   o.Scan / 5,

		hastened: make(chan struct{}, 1),
	}
	if o.Finished == Move {
		w.tree.apart = o.MoveTo
	}
	w.lane = lane{limit: o.Limit, alive: w.alive}
	return w, nil
}

// CheckFinished says what is wrong with a configuration's choice, if anything.
func CheckFinished(f Finished, moveTo string) error {
	switch f {
	case Leave, Delete:
		return nil
	case Move:
		if moveTo == "" || moveTo == "." || moveTo == ".." || strings.ContainsAny(moveTo, "/\x00") {
			return errors.New("moving finished files needs the plain name of a folder on the share, such as finished")
		}
		return nil
	}
	return fmt.Errorf("finished files can be left (%s), deleted (%s) or moved (%s)", Leave, Delete, Move)
}

// CheckIgnore says which pattern makes no sense, if one does not.
func CheckIgnore(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return fmt.Errorf("%q is no pattern for names; write it like *.bak or report-?.pdf", p)
		}
	}
	return nil
}

func lower(patterns []string) []string {
	var all []string
	for _, p := range patterns {
		all = append(all, strings.ToLower(p))
	}
	return all
}

func orDefault[T int | int64 | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// Hasten lets Run scan now, or, when it is scanning, once more at once.
func (w *Watcher) Hasten() {
	select {
	case w.hastened <- struct{}{}:
	default: // it is asked for already
	}
}

// Run scans until ctx ends and what is in hand has come to its end, and then
// returns nil. Whatever goes wrong is a state that the next scan may heal.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.awaitAll()
	hints := hints{fired: make(chan struct{}, 1), open: w.notify}
	defer hints.close()
	next := time.Now()
	for {
		pause := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-hints.fired:
			pause.Stop()
			if soon := time.Now().Add(w.debounce()); soon.Before(next) {
				next = soon
			}
			continue
		case <-w.hastened:
			pause.Stop()
		case <-pause.C:
		}
		// What went wrong is in the status, and was logged when it changed.
		more, _ := w.look(ctx)
		w.alive()
		hints.follow(ctx, w)
		if next = time.Now(); !more {
			next = next.Add(w.pause())
		}
	}
}

// pause is the time to the next scan. A share of a hundred thousand files takes
// most of a second to walk over, so it is not walked over without end; but its
// state must be right within ten seconds.
func (w *Watcher) pause() time.Duration {
	return max(w.o.Scan, min(4*w.walked, 4*time.Second))
}

func (w *Watcher) alive() {
	if w.o.Alive != nil && w.working.Load() == 0 {
		w.o.Alive()
	}
}

// Status returns the share's state after the last scan, or in the midst of one.
func (w *Watcher) Status() spine.ShareStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
