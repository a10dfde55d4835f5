// Package health holds the box's state in one place. Parts report into it with
// Update and Trouble; the panel, the kiosk and the uplink follow it with Watch;
// a Notifier tells systemd that the box is ready and still making progress, and
// Handler tells whoever asks over HTTP.
//
// Nothing here decides what a state means for a lamp: that is the panel's.
package health

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spinebox/internal/spine"
)

// Health is the box's state. It is safe for concurrent use.
type Health struct {
	mu       sync.Mutex
	status   spine.Status
	troubles []trouble     // oldest first
	changed  chan struct{} // closed at the next change, then replaced

	alive   atomic.Int64 // the last sign of life, in nanoseconds since 1970
	metrics metrics
}

type trouble struct{ part, sentence string }

// New returns the state of a box that has just started and knows nothing yet.
func New(version string, started time.Time) *Health {
	h := &Health{
		status:  spine.Status{Version: version, Started: started, Shares: map[string]spine.ShareStatus{}},
		changed: make(chan struct{}),
	}
	h.metrics = newMetrics(h.Status)
	h.Alive()
	return h
}

// Status returns the state now. The caller may keep and change what it gets.
func (h *Health) Status() spine.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return clone(h.status)
}

// Update changes the state under the lock: change must not block and must not
// call Health. Watchers are told unless nothing differs afterwards.
func (h *Health) Update(change func(*spine.Status)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := clone(h.status)
	change(&h.status)
	h.tell(before)
}

// Trouble sets the sentence with which the named part calls for somebody; an
// empty sentence says that the part is well again. The room reads the trouble
// that has stood longest: what came later is often only its consequence.
func (h *Health) Trouble(part, sentence string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := clone(h.status)
	i := slices.IndexFunc(h.troubles, func(t trouble) bool { return t.part == part })
	switch {
	case i < 0 && sentence != "":
		h.troubles = append(h.troubles, trouble{part, sentence})
	case i >= 0 && sentence != "":
		h.troubles[i].sentence = sentence
	case i >= 0:
		h.troubles = slices.Delete(h.troubles, i, i+1)
	}
	h.status.Trouble = ""
	if len(h.troubles) > 0 {
		h.status.Trouble = h.troubles[0].sentence
	}
	h.tell(before)
}

// tell wakes the watchers if the state differs from before.
func (h *Health) tell(before spine.Status) {
	if reflect.DeepEqual(before, h.status) {
		return
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// Watch calls show with the state now and again after every change, until ctx
// is done; it returns the context's error. Changes that come while show runs
// are shown together, so a slow watcher sees the latest state and never a
// queue of old ones, and never holds anybody up.
func (h *Health) Watch(ctx context.Context, show func(spine.Status)) error {
	for {
		h.mu.Lock()
		status, changed := clone(h.status), h.changed
		h.mu.Unlock()
		show(status)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func clone(s spine.Status) spine.Status {
	s.Models = slices.Clone(s.Models)
	s.Shares = maps.Clone(s.Shares)
	s.Thresholds = maps.Clone(s.Thresholds)
	return s
}
