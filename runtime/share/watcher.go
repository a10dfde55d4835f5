// Package share takes files in from one share: a folder, usually mounted over
// SMB or NFS, that an X-ray unit or its scanner writes. Most callers need
// [New] and [Watcher.Run].
//
// It promises:
//   - The share is only read: nothing on it is written, renamed or removed.
//   - A file is taken when it has settled (size, modification time and inode
//     the same over two scans) and its content is whole. When it stays short
//     for longer than its patience, which counts from when it has settled, it
//     is taken all the same, marked as not whole, so that it ends as a failure
//     that somebody sees.
//   - It is copied once into a private spool, from a descriptor that was opened
//     beneath the root without following links, and hashed on the way. What
//     judges or decodes it sees only the copy.
//   - A share that is gone or hangs is a state, shown and healed without a
//     restart, and never "all files were deleted".
//   - A copy that was not handled when the power went is offered again.
//
// Scanning is by polling, since inotify sees nothing that another host writes.
// File names may hold a patient's name, so no log line, status or error of this
// package holds one: a file is named by its inode ("find -inum").
package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

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

// Options say what a watcher watches and whom it serves.
type Options struct {
	Name  string // of the share in the configuration
	Root  string // the folder that the scanner writes
	Mount bool   // Root must be the root of a mounted file system
	Spool string // a private folder of this watcher alone; made when missing

	Scan     time.Duration // from the end of one scan to the next; 0: 2 s
	Patience time.Duration // for a file whose content stays incomplete; 0: 60 s
	Limit    time.Duration // for one call into the share; 0: 10 s
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
	// digest. The watcher waits for all of them before Scan or Run returns.
	Handle func(ctx context.Context, c Claim) error

	Ahead int // claims in hand at once, while the next is copied; 0: 2

	// Alive, when not nil, is called with every sign of progress: while the
	// share answers, however slowly, and after every scan of Run, also of one
	// that found the share offline. It feeds a watchdog, and must not block.
	Alive func()

	Log *slog.Logger     // nil: slog.Default
	Now func() time.Time // nil: time.Now
}

// Watcher watches one share.
type Watcher struct {
	o     Options
	log   *slog.Logger
	lane  lane
	spool spool

	scanning sync.Mutex      // one scan at a time; guards the next seven
	restored bool            // the spool's leftovers are in held
	held     []*held         // in the spool, not brought to their end yet
	inHand   map[string]bool // those of them that are being handled, by digest
	seen     map[string]*file
	odd      map[oddity]bool
	denied   int
	forgot   time.Time // when Forget was last called

	ended chan ended // from the handling of a claim to the scan

	mu     sync.Mutex // guards status
	status spine.ShareStatus
}

// file is what is known of one file on the share.
type file struct {
	sighting
	since   time.Time // when this sighting was first made, or its content last differed
	settled bool      // two scans made the same sighting
	done    bool      // handled
	large   bool      // over the limit
	busy    bool      // could not be read at the last look
	look    time.Time // when a copy is worth another look
	digest  string    // of the copy at the last look
}

// New makes a watcher. It touches neither the share nor the spool.
func New(o Options) (*Watcher, error) {
	if o.Name == "" || o.Root == "" || o.Spool == "" {
		return nil, errors.New("a share needs a name, a folder and a spool")
	}
	if o.Whole == nil || o.Known == nil || o.Handle == nil {
		return nil, fmt.Errorf("share %s: Whole, Known and Handle are needed", o.Name)
	}
	o.Scan = orDefault(o.Scan, 2*time.Second)
	o.Ahead = orDefault(o.Ahead, 2)
	o.Patience = orDefault(o.Patience, time.Minute)
	o.Limit = orDefault(o.Limit, 10*time.Second)
	o.MaxBytes = orDefault(o.MaxBytes, 512<<20)
	o.Reserve = orDefault(o.Reserve, 256<<20)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alive == nil {
		o.Alive = func() {}
	}
	return &Watcher{
		o:      o,
		log:    o.Log.With("share", o.Name),
		lane:   lane{limit: o.Limit, alive: o.Alive},
		spool:  spool{dir: o.Spool, reserve: o.Reserve},
		inHand: map[string]bool{},
		odd:    map[oddity]bool{},
		ended:  make(chan ended),
	}, nil
}

func orDefault[T int | int64 | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// Run scans until ctx ends, and then returns nil. Whatever goes wrong is a
// state that the next scan may heal.
func (w *Watcher) Run(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		// What went wrong is in the status, and was logged when it changed.
		_ = w.Scan(ctx)
		w.o.Alive()
		pause.Reset(w.o.Scan)
	}
}

// Status returns the share's state after the last scan, or in the midst of one.
func (w *Watcher) Status() spine.ShareStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Scan looks over the share once and hands over every file that is due. It
// returns what kept it from doing so, if anything; the share being offline is
// such an error.
func (w *Watcher) Scan(ctx context.Context) error {
	w.scanning.Lock()
	defer w.scanning.Unlock()
	online, err := w.scan(ctx)
	if ctx.Err() == nil {
		w.conclude(online, err)
	}
	return err
}

func (w *Watcher) scan(ctx context.Context) (online bool, err error) {
	// Before anything else: the leftovers are older than what the share holds,
	// and they must be settled before the same files are seen again.
	if err := w.offerHeld(ctx); err != nil {
		return w.Status().Online, err
	}
	found, err := visit(ctx, &w.lane, func(alive pulse) (listing, error) {
		return walk(w.o.Root, w.o.Mount, alive)
	}, func(listing) {})
	if err != nil {
		// Patience and settling begin afresh when the share is back: nobody
		// could have gone on writing meanwhile.
		w.seen = nil
		return false, fmt.Errorf("the share is offline: %w", plainly(err))
	}
	if err := w.observe(found); err != nil {
		return true, err
	}
	w.progress()
	online, err = w.takeAll(ctx, found.files)
	if e := w.awaitAll(); err == nil {
		err = e
	}
	if err == nil {
		err = w.forget()
	}
	return online, err
}

// takeAll takes the files that are due. It returns an error when the scan must
// end; claims may still be in hand then.
func (w *Watcher) takeAll(ctx context.Context, files []entry) (online bool, err error) {
	for _, e := range files {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		f := w.seen[e.name]
		if f.done || f.large || !f.settled || w.o.Now().Before(f.look) {
			continue
		}
		if online, err := w.take(ctx, e, f); err != nil {
			return online, err
		}
	}
	return true, nil
}

// forgetEvery is how often the ledger is rid of files that have gone: it reads
// all that it knows of the share for it.
const forgetEvery = time.Hour

func (w *Watcher) forget() error {
	now := w.o.Now()
	if w.o.Forget == nil || w.denied > 0 || !w.forgot.IsZero() && now.Sub(w.forgot) < forgetEvery {
		return nil
	}
	w.forgot = now
	n, err := w.o.Forget(w.o.Name, func(name string) bool { return w.seen[name] != nil })
	if err != nil {
		return fmt.Errorf("the box cannot forget files that have gone: %w", err)
	}
	if n > 0 {
		w.log.Debug("forgot files that have gone from the share", "count", n)
	}
	return nil
}

// observe brings what is known of the files up to the listing.
func (w *Watcher) observe(found listing) error {
	now := w.o.Now()
	seen := make(map[string]*file, len(found.files))
	for _, e := range found.files {
		if f := w.seen[e.name]; f != nil && f.sighting == e.sighting {
			if !f.settled { // patience begins when the file is first seen unchanged
				f.settled, f.since = true, now
			}
			seen[e.name] = f
			continue
		}
		f := &file{sighting: e.sighting, since: now}
		known, err := w.o.Known(w.o.Name, e.name, e.size, e.time(), e.inode)
		if err != nil {
			return fmt.Errorf("the box cannot look up what it knows: %w", err)
		}
		f.done = known
		if f.large = !known && e.size > w.o.MaxBytes; f.large {
			w.log.Warn("a file is larger than the limit and is left on the share",
				"inode", e.inode, "size", e.size, "limit", w.o.MaxBytes)
		}
		seen[e.name] = f
	}
	w.seen, w.denied = seen, found.denied

	odd := make(map[oddity]bool, len(found.oddities))
	for _, o := range found.oddities {
		if !w.odd[o] {
			w.log.Info("left alone on the share: not a regular file", "inode", o.inode, "kind", o.what)
		}
		odd[o] = true
	}
	w.odd = odd
	return nil
}

// take copies a settled file, looks whether it is whole or its patience has
// ended, and if so hands it over, which does not wait for its end. It returns an error when the scan must end.
func (w *Watcher) take(ctx context.Context, e entry, f *file) (online bool, err error) {
	if err := w.spool.room(e.size); err != nil {
		return true, err
	}
	p, err := visit(ctx, &w.lane, func(alive pulse) (*part, error) {
		return w.spool.fetch(w.o.Root, w.o.Mount, e, alive)
	}, (*part).discard)
	f.busy = errors.Is(err, errBusy)
	switch {
	case f.busy, errors.Is(err, errChanged):
		w.putOff(f)
		return true, nil
	case errors.Is(err, errSpool), ctx.Err() != nil:
		return true, err
	case err != nil:
		w.seen = nil
		return false, fmt.Errorf("the share is offline: %w", plainly(err))
	}

	whole, err := w.o.Whole(p.file, p.size)
	if err != nil {
		p.discard()
		return true, fmt.Errorf("read a copy in the spool: %w", err)
	}
	now := w.o.Now()
	if f.digest != "" && f.digest != p.digest {
		f.since = now // written on, though the share says nothing of it
	}
	f.digest = p.digest
	if !whole && now.Sub(f.since) < w.o.Patience {
		p.discard()
		w.putOff(f)
		return true, nil
	}
	if err := w.awaitOther(p.digest); err != nil {
		p.discard()
		return true, err
	}
	claim, err := w.spool.keep(p, note{
		Source: w.o.Name, Name: []byte(e.name), Size: e.size, Modified: e.time(), Inode: e.inode,
		Whole: whole, Received: now,
	})
	if err != nil {
		return true, err
	}
	h := &held{Claim: claim, file: f}
	w.held = append(w.held, h)
	return true, w.hand(ctx, h)
}

// putOff sets the next look: the longer a file has been as it is, the rarer
// the looks, so that a short file is copied only a few times in its patience,
// the last time when that ends.
func (w *Watcher) putOff(f *file) {
	age := w.o.Now().Sub(f.since)
	wait := max(w.o.Scan, age)
	if left := w.o.Patience - age; left > 0 {
		wait = min(wait, left)
	}
	f.look = f.since.Add(age + wait)
}

func (s sighting) time() time.Time { return time.Unix(0, s.modified) }
