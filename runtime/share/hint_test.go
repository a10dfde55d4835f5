package share

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// With looks an hour apart, only a hint can bring the next one forward.
func TestWhatInotifySeesHastensTheNextScan(t *testing.T) {
	scans := make(chan struct{}, 100)
	r := newRig(t, func(o *Options) { o.Scan, o.Now = time.Hour, nil })
	r.o.Alive = func() { scans <- struct{}{} }
	r.Watcher.soon = time.Millisecond
	r.must(os.Mkdir(filepath.Join(r.root, "day 1"), 0o755))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	for i, change := range []func(){
		func() {},
		func() { r.write("a.dcm", "first end") },
		func() { r.write("day 1/b.dcm", "second end") },
		func() { r.must(os.Rename(filepath.Join(r.root, "a.dcm"), filepath.Join(r.root, "c.dcm"))) },
		func() { r.must(os.Remove(filepath.Join(r.root, "c.dcm"))) },
	} {
		change()
		wanted := []int{0, 1, 2, 2, 1}[i]
		deadline := time.After(time.Minute)
		for seen := false; !seen; {
			select {
			case <-scans:
				seen = r.Status().Waiting == wanted && !r.Status().Scanned.IsZero()
			case <-deadline:
				t.Fatalf("no scan came after change %d", i)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.want() // a hint settles no file
}

// Where inotify does not work, or has no watches left, every scan looks itself.
func TestWithoutInotifyThereArePolls(t *testing.T) {
	for name, notify := range map[string]func() (*fsnotify.Watcher, error){
		"none": func() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") },
		"closed at once": func() (*fsnotify.Watcher, error) {
			w, err := fsnotify.NewWatcher()
			if err == nil {
				err = w.Close()
			}
			return w, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Scan, o.Now = 10*time.Millisecond, nil })
			r.notify = notify
			handled := make(chan struct{})
			handle := r.o.Handle
			r.o.Handle = func(ctx context.Context, c Claim) error {
				defer close(handled)
				return handle(ctx, c)
			}
			r.write("a.dcm", "picture end")
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- r.Run(ctx) }()
			select {
			case <-handled:
			case <-time.After(time.Minute):
				t.Error("the file was never taken")
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			r.want("picture end")
		})
	}
}
