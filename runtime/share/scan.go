package share

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// freshness is how long one scan may work on what it has listed, on a share
// that is quick to list. The next one looks again whether the share is there: a
// long queue, or an image that takes its time, must not hide that it has gone.
const freshness = 3 * time.Second

// file is what is known of one file on the share.
type file struct {
	sighting
	first   time.Time // when this sighting was first made
	since   time.Time // when it settled, or its content last differed
	settled bool      // two looks made the same sighting
	taken   bool      // a claim of it is held
	done    bool      // it has its result
	large   bool      // over the limit
	cramped bool      // it does not fit on the spool's disk now
	busy    bool      // it could not be read at the last look
	look    time.Time // when a copy is worth another look
	digest  string    // of the copy at the last look
}

// look looks over the share once and hands over the files that are due. It
// waits until they are brought to their end, but for no longer than it may work
// on one listing: more says that the next scan has something to do at once. It
// returns what kept it from its work, if anything; the share being offline is
// such an error.
func (w *Watcher) look(ctx context.Context) (more bool, err error) {
	online, more, err := w.scan(ctx)
	if ctx.Err() == nil {
		w.conclude(online, err)
	}
	return more && err == nil, err
}

func (w *Watcher) scan(ctx context.Context) (online, more bool, err error) {
	spoiled := w.prepare()
	if spoiled == nil {
		w.retry(ctx) // what is held does not need the share
	}
	began := time.Now()
	found, err := visit(ctx, &w.lane, w.tree.walk, func(listing) {})
	if err != nil {
		// Patience and settling begin afresh when the share is back: nobody
		// could have gone on writing meanwhile.
		w.seen = nil
		return false, false, fmt.Errorf("the share is offline: %w", plainly(err))
	}
	w.walked = time.Since(began)
	if err := w.observe(found); err != nil {
		return true, false, err
	}
	w.progress()
	if spoiled != nil {
		return true, false, spoiled
	}
	limit, stop := context.WithTimeout(ctx, max(freshness, 2*w.walked))
	defer stop()
	all, online, err := w.takeAll(ctx, limit, found.files)
	all = w.await(limit) && all
	if err == nil {
		err = w.trouble(ctx)
	}
	if err != nil {
		return online, false, err
	}
	finished, online, err := w.finish(ctx, found.files)
	if err != nil {
		return online, false, err
	}
	return true, !all || !finished, w.forget()
}

// takeAll takes the files that are due, until the limit. all is false when
// files, or the claims of some, are left over. An error ends the scan.
func (w *Watcher) takeAll(ctx, limit context.Context, files []entry) (all, online bool, err error) {
	if w.trouble(ctx) != nil {
		w.await(limit) // it may be over
	}
	for _, e := range w.due(files) {
		if !w.handOver(ctx, limit) || limit.Err() != nil {
			return false, true, nil
		}
		if err := w.trouble(ctx); err != nil {
			return true, true, err
		}
		if online, err := w.take(ctx, limit, e, w.seen[e.name]); err != nil {
			return true, online, err
		}
	}
	return w.handOver(ctx, limit), true, nil
}

// due returns the files that are to be taken now, in their order: first those
// that were not looked at before, so that a flood of short files cannot hold
// the others up; among them by turns the oldest, which has waited longest, and
// the newest, for which somebody waits in the room.
func (w *Watcher) due(files []entry) []entry {
	now := w.o.Now()
	var first, again []entry
	for _, e := range files {
		switch f := w.seen[e.name]; {
		case f.taken || f.done || f.large || !f.settled:
		case f.look.IsZero():
			first = append(first, e)
		case !now.Before(f.look):
			again = append(again, e)
		}
	}
	return append(byTurns(first), byTurns(again)...)
}

func byTurns(files []entry) []entry {
	order := make([]entry, 0, len(files))
	for len(files) > 0 {
		order, files = append(order, files[0]), files[1:]
		if last := len(files) - 1; last >= 0 {
			order, files = append(order, files[last]), files[:last]
		}
	}
	return order
}

// take copies a settled file, looks whether it is whole or its patience has
// ended, and if so holds it for the handler. It returns an error when the scan
// must end.
func (w *Watcher) take(ctx, limit context.Context, e entry, f *file) (online bool, err error) {
	err = w.spool.room(e.size)
	f.cramped = errors.Is(err, errNoRoom)
	if f.cramped {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	p, err := visit(ctx, &w.lane, func(alive pulse) (*part, error) {
		return w.spool.fetch(w.tree, e, alive)
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
	for w.holds(p.digest) { // the spool has one place for the same bytes
		if !w.awaitOne(limit) {
			p.discard()
			return true, nil
		}
	}
	claim, err := w.spool.keep(p, note{
		Source: w.o.Name, Name: []byte(e.name), Size: e.size, Modified: e.time(), Inode: e.inode,
		Whole: whole, Received: now,
	})
	if err != nil {
		return true, err
	}
	f.taken = true
	w.held = append(w.held, &held{Claim: claim, file: f})
	return true, nil
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

// observe brings what is known of the files up to the listing.
func (w *Watcher) observe(found listing) error {
	now := w.o.Now()
	seen := make(map[string]*file, len(found.files))
	for _, e := range found.files {
		if f := w.seen[e.name]; f != nil && f.sighting == e.sighting {
			// Scans may follow each other faster when there is much to do.
			if !f.settled && now.Sub(f.first) >= w.o.Scan {
				f.settled, f.since = true, now // patience begins
			}
			seen[e.name] = f
			continue
		}
		f := &file{sighting: e.sighting, first: now, since: now}
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
	w.seen, w.folders, w.denied = seen, found.folders, found.denied
	for _, h := range w.held { // what was held over a restart, or while the share was away
		if f := seen[h.Name]; f != nil && h.file != f && h.sighting() == f.sighting {
			f.taken, h.file = true, f
		}
	}

	w.leaveAlone(found.oddities)
	return nil
}

// leftAlone is how many lines a scan writes of what it leaves alone: whoever
// writes on the share must not fill the box's disk with its log.
const leftAlone = 10

// leaveAlone says what is new of what is left alone for good.
func (w *Watcher) leaveAlone(found []oddity) {
	odd := make(map[oddity]bool, len(found))
	unsaid := -leftAlone
	for _, o := range found {
		if !w.odd[o] && !odd[o] {
			if unsaid++; unsaid <= 0 {
				w.log.Info("left alone on the share: not a regular file", "inode", o.inode, "kind", o.what)
			}
		}
		odd[o] = true
	}
	if unsaid > 0 {
		w.log.Info("left alone on the share: more that are no regular files", "count", unsaid)
	}
	w.odd = odd
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

func (s sighting) time() time.Time { return time.Unix(0, s.modified) }
