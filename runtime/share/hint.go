package share

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// maxWatched is how many of a share's folders inotify looks at. What happens in
// others is found by the next scan, as everything is that another host does.
const maxWatched = 512

// hints are what inotify sees of a share. They hasten the next scan and say
// nothing about any file; where inotify does not work, nothing is missing but
// the haste.
type hints struct {
	fired chan struct{} // something has happened on the share

	open    func() (*fsnotify.Watcher, error)
	watcher *fsnotify.Watcher // nil while the share is offline
	watched map[string]bool   // folders
	failed  bool              // inotify does not work here, which has been said
}

// follow watches the folders that the last scan has found, once the share is
// there. The watches of a share that went offline are given up: what comes back
// may be another file system.
func (h *hints) follow(ctx context.Context, w *Watcher) {
	if !w.Status().Online {
		h.close()
		return
	}
	if h.watcher == nil && !h.failed {
		h.start(w)
	}
	if h.watcher == nil || len(w.folders) <= len(h.watched) || len(h.watched) >= maxWatched {
		return
	}
	watcher, added := h.watcher, map[string]bool{}
	for _, folder := range w.folders[:min(len(w.folders), maxWatched)] {
		if !h.watched[folder] {
			added[folder] = true
		}
	}
	if len(added) == 0 {
		return
	}
	_, err := visit(ctx, &w.lane, func(alive pulse) (struct{}, error) {
		for folder := range added {
			if err := alive("watch"); err != nil {
				return struct{}{}, err
			}
			if err := watcher.Add(filepath.Join(w.tree.root, folder)); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	}, func(struct{}) {})
	if err != nil {
		// A folder has just gone, the share hangs, or the kernel has no more
		// watches to give: begin afresh after the next scan.
		h.close()
		return
	}
	for folder := range added {
		h.watched[folder] = true
	}
	h.fire() // for what came between the scan and the watch
}

func (h *hints) fire() {
	select {
	case h.fired <- struct{}{}:
	default:
	}
}

func (h *hints) start(w *Watcher) {
	watcher, err := h.open()
	if err != nil {
		h.failed = true
		w.log.Info("the kernel gives no hints about new files; every scan looks by itself", "error", err)
		return
	}
	h.watcher, h.watched = watcher, map[string]bool{}
	go func() {
		for {
			select {
			case e, open := <-watcher.Events:
				if !open {
					return
				}
				if w.tree.ignored(filepath.Base(e.Name)) {
					continue
				}
			case _, open := <-watcher.Errors: // mostly that there were too many events
				if !open {
					return
				}
			}
			h.fire()
		}
	}()
}

// close gives the watches up. It does not wait: a visit that hangs in the share
// may still hold the watcher.
func (h *hints) close() {
	if h.watcher != nil {
		go h.watcher.Close()
		h.watcher, h.watched = nil, nil
	}
}

// debounce is how long after a hint the next scan comes: soon, but not after
// every write of a scanner that writes slowly, nor so often that a large share
// is walked over all the time.
func (w *Watcher) debounce() time.Duration { return max(w.soon, 4*w.walked) }
