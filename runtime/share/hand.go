package share

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// held is a claim in the spool that has not been brought to its end.
type held struct {
	Claim
	file   *file // what is known of it on the share; nil when it is not there
	inHand bool  // it is being handled
	err    error // why it could not be handled last time
}

func (h *held) sighting() sighting {
	return sighting{size: h.Size, modified: h.ModTime.UnixNano(), inode: h.Inode}
}

// ended says how the handling of a claim ended.
type ended struct {
	held *held
	err  error
}

// errVanished means that somebody has removed a copy from the spool.
var errVanished = errors.New("the copy has vanished from the spool")

// prepare makes the spool's folder when it is missing, and looks once what a
// crash has left in it.
func (w *Watcher) prepare() error {
	if err := w.spool.create(); err != nil || w.restored {
		return err
	}
	claims, err := w.spool.restore()
	if err != nil {
		return err
	}
	for _, c := range claims {
		w.held = append(w.held, &held{Claim: c})
	}
	w.restored = true
	if len(claims) > 0 {
		w.log.Info("copies from before the restart are offered again", "count", len(claims))
	}
	return nil
}

// retry gives the handler as much of what is held as it has hands free for: the
// leftovers of an earlier scan, and what the box could not take in then.
func (w *Watcher) retry(ctx context.Context) {
	for _, h := range w.held {
		if !h.inHand && w.hands < w.o.Ahead {
			w.hand(ctx, h)
		}
	}
}

// handOver gives what is held to the handler and does not wait for its end: the
// next file is copied meanwhile. While as many claims as may be are in hand, it
// waits for one of them to end. It returns false when the limit came first.
func (w *Watcher) handOver(ctx, limit context.Context) (all bool) {
	for _, h := range slices.Clone(w.held) {
		if h.inHand || h.err != nil {
			continue
		}
		for w.hands >= w.o.Ahead {
			if !w.awaitOne(limit) {
				return false
			}
		}
		w.hand(ctx, h)
	}
	return true
}

func (w *Watcher) hand(ctx context.Context, h *held) {
	h.inHand = true
	w.hands++
	w.working.Add(1)
	go func() {
		err := w.settle(ctx, h.Claim)
		w.working.Add(-1)
		w.ended <- ended{h, err}
	}()
}

// settle brings one claim to its end and removes its copy. It runs beside the
// scan.
func (w *Watcher) settle(ctx context.Context, c Claim) error {
	known, err := w.o.Known(c.Source, c.Name, c.Size, c.ModTime, c.Inode)
	if err != nil {
		return fmt.Errorf("the box cannot look up what it knows: %w", err)
	}
	if !known {
		if _, err := os.Stat(c.Path); errors.Is(err, fs.ErrNotExist) {
			return errVanished
		}
		if err := w.o.Handle(ctx, c); err != nil {
			if _, gone := os.Stat(c.Path); errors.Is(gone, fs.ErrNotExist) {
				return errVanished
			}
			return fmt.Errorf("the box cannot take files in: %w", err)
		}
	}
	return w.spool.drop(c.Digest)
}

// awaitOne waits until one claim in hand has come to its end, or the limit.
func (w *Watcher) awaitOne(limit context.Context) bool {
	select {
	case e := <-w.ended: // before the limit, when both are there
		w.note(e)
		return true
	default:
	}
	select {
	case e := <-w.ended:
		w.note(e)
		return true
	case <-limit.Done():
		return false
	}
}

// await waits until nothing is in hand, or the limit.
func (w *Watcher) await(limit context.Context) bool {
	for w.hands > 0 {
		if !w.awaitOne(limit) {
			return false
		}
	}
	return true
}

// awaitAll waits until nothing is in hand, however long.
func (w *Watcher) awaitAll() {
	for w.hands > 0 {
		w.note(<-w.ended)
	}
}

func (w *Watcher) note(e ended) {
	h := e.held
	w.hands--
	h.inHand, h.err = false, e.err
	gone := errors.Is(e.err, errVanished)
	if e.err != nil && !gone {
		return // it stays held, to be offered again
	}
	if gone {
		w.log.Warn("somebody has removed a copy from the spool; the file is taken again if it is still on the share", "inode", h.Inode)
	}
	w.held = slices.DeleteFunc(w.held, func(other *held) bool { return other == h })
	if h.file != nil {
		h.file.taken, h.file.done = false, !gone
		w.count()
	}
}

// trouble returns why the box cannot take files in, which lasts until each
// claim that it could not take has come to its end.
func (w *Watcher) trouble(ctx context.Context) error {
	for _, h := range w.held {
		if h.err != nil {
			return h.err
		}
	}
	return ctx.Err()
}

// holds reports whether a claim with these bytes is held.
func (w *Watcher) holds(digest string) bool {
	return slices.ContainsFunc(w.held, func(h *held) bool { return h.Digest == digest })
}
