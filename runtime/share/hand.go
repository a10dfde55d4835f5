package share

import (
	"context"
	"fmt"
	"slices"
)

// held is a claim in the spool that has not been brought to its end.
type held struct {
	Claim
	file *file // what is known of it on the share; nil for a leftover of a crash
}

// ended says how the handling of a claim ended.
type ended struct {
	held *held
	err  error
}

// hand gives a claim to the handler and does not wait for its end: the next
// file is copied meanwhile. While as many claims as may be are in hand, it
// waits for one of them first. Its error, that of any claim, ends the scan.
func (w *Watcher) hand(ctx context.Context, h *held) error {
	for len(w.inHand) >= w.o.Ahead {
		if err := w.await(); err != nil {
			return err
		}
	}
	w.inHand[h.Digest] = true
	go func() { w.ended <- ended{h, w.settle(ctx, h.Claim)} }()
	return nil
}

// await waits until the handling of one claim has ended.
func (w *Watcher) await() error {
	e := <-w.ended
	delete(w.inHand, e.held.Digest)
	if e.err != nil {
		return e.err // it stays in held, to be offered again
	}
	w.held = slices.DeleteFunc(w.held, func(h *held) bool { return h == e.held })
	if e.held.file != nil {
		e.held.file.done = true
		w.count()
	}
	return nil
}

// awaitAll waits until nothing is in hand, and returns the first error.
func (w *Watcher) awaitAll() (err error) {
	for len(w.inHand) > 0 {
		if e := w.await(); err == nil {
			err = e
		}
	}
	return err
}

// awaitOther waits until no claim with these bytes is in hand: the spool has
// one place for them.
func (w *Watcher) awaitOther(digest string) error {
	for w.inHand[digest] {
		if err := w.await(); err != nil {
			return err
		}
	}
	return nil
}

// settle brings one claim to its end and removes its copy. It runs beside the
// scan.
func (w *Watcher) settle(ctx context.Context, c Claim) error {
	known, err := w.o.Known(c.Source, c.Name, c.Size, c.ModTime, c.Inode)
	if err != nil {
		return fmt.Errorf("the box cannot look up what it knows: %w", err)
	}
	if !known {
		if err := w.o.Handle(ctx, c); err != nil {
			return fmt.Errorf("the box cannot take files in: %w", err)
		}
	}
	return w.spool.drop(c.Digest)
}

// offerHeld hands over what is in the spool already.
func (w *Watcher) offerHeld(ctx context.Context) error {
	if !w.restored {
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
	}
	for _, h := range slices.Clone(w.held) {
		if err := w.hand(ctx, h); err != nil {
			return err
		}
	}
	return w.awaitAll()
}
