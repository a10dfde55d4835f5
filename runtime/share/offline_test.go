package share

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestShareGoneAndBack(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "first end")
	r.write("short.dcm", "sho")
	r.scans(2)
	away := r.root + ".away"
	r.must(os.Rename(r.root, away))
	for range 100 { // longer than any patience
		if err := r.scan(); err == nil {
			t.Fatal("a scan of a missing share succeeded")
		}
	}
	if got := r.Status(); got.Online || got.Error != "The share is offline: its folder is missing." {
		t.Errorf("status %+v", got)
	}
	r.must(os.Rename(away, r.root))
	r.write("b.dcm", "second end")
	r.scans(2)
	r.want("first end", "second end") // a.dcm not again; short.dcm has its patience anew
	if got := r.Status(); !got.Online || got.Error != "" || got.Waiting != 1 {
		t.Errorf("status %+v", got)
	}
}

func TestGoneFilesAreForgottenOnlyAfterAWholeScan(t *testing.T) {
	calls := 0
	kept := map[string]bool{}
	r := newRig(t, func(o *Options) {
		o.Forget = func(source string, keep func(string) bool) (int, error) {
			calls++
			for _, name := range []string{"a.dcm", "b.dcm"} {
				kept[source+"/"+name] = keep(name)
			}
			return 0, nil
		}
	})
	r.write("a.dcm", "first end")
	r.must(os.Rename(r.root, r.root+".away"))
	_ = r.scan()
	if calls != 0 {
		t.Fatal("files were forgotten while the share was away")
	}
	r.must(os.Rename(r.root+".away", r.root))
	r.scans(10)
	if calls != 1 || !kept["scanner/a.dcm"] || kept["scanner/b.dcm"] {
		t.Errorf("Forget called %d times, kept %v", calls, kept)
	}
	r.clock = r.clock.Add(time.Hour)
	r.scans(1)
	if calls != 2 {
		t.Errorf("Forget called %d times after an hour", calls)
	}
}

func TestFolderBeneathALostMountIsNotAShare(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Mount = true })
	if err := r.scan(); err == nil || r.Status().Error != "The share is offline: nothing is mounted on its folder." {
		t.Errorf("scan: %v, status %+v", err, r.Status())
	}
	// /proc is the root of a mounted file system wherever Linux runs.
	fd, err := tree{root: "/proc", mount: true}.open(func(string) error { return nil })
	if err != nil {
		t.Fatalf("a mounted folder: %v", err)
	}
	unix.Close(fd)
}

func TestStaleHandleIsOffline(t *testing.T) {
	for _, step := range []string{"open root", "open folder", "read folder", "stat"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t)
			r.write("a.dcm", "picture end")
			stale := true
			r.lane.hold = func(s string) error {
				if s == step && stale {
					return unix.ESTALE
				}
				return nil
			}
			if err := r.scan(); err == nil || r.Status().Online {
				t.Fatalf("scan: %v, status %+v", err, r.Status())
			}
			stale = false
			r.scans(2)
			r.want("picture end")
		})
	}
}

func TestOtherErrorsWhileCopyingAreOffline(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	r.scans(1)
	r.lane.hold = func(s string) error {
		if s == "read" {
			return unix.EHOSTDOWN
		}
		return nil
	}
	if err := r.scan(); err == nil || r.Status().Online {
		t.Fatalf("scan: %v, status %+v", err, r.Status())
	}
	r.wantSpool(0)
	r.lane.hold = nil
	r.scans(2)
	r.want("picture end")
}

// A share that hangs in any call must hang neither the service nor more than
// one goroutine, and heals by itself.
func TestHungShare(t *testing.T) {
	for _, step := range []string{"open root", "stat", "open", "read"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(o *Options) { o.Now = nil })
				r.deaf()
				r.write("a.dcm", "picture end")
				release := make(chan struct{})
				var stuck atomic.Int32
				var healed atomic.Bool
				r.lane.hold = func(s string) error {
					if s == step && !healed.Load() {
						stuck.Add(1)
						<-release
					}
					return nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- r.Run(ctx) }()
				time.Sleep(5 * time.Minute) // of the bubble's clock
				if got := r.Status(); got.Online || got.Error != "The share is offline: it does not answer." {
					t.Errorf("status %+v", got)
				}
				if n := stuck.Load(); n != 1 {
					t.Errorf("%d goroutines were sent into the hung share, want 1", n)
				}
				healed.Store(true)
				close(release)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				r.want("picture end")
				r.wantSpool(0) // what the stuck goroutine brought late is thrown away
				if got := r.Status(); !got.Online || got.Error != "" {
					t.Errorf("status after the share is back: %+v", got)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestResultThatComesTooLateIsDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, late := make(chan struct{}), make(chan string, 1)
		l := lane{limit: time.Second}
		work := func(pulse) (string, error) {
			<-release
			return "late", nil
		}
		for range 2 {
			if _, err := visit(t.Context(), &l, work, func(s string) { late <- s }); err != errHung {
				t.Fatalf("visit: %v", err)
			}
		}
		close(release)
		if got := <-late; got != "late" {
			t.Errorf("discarded %q", got)
		}
		synctest.Wait()
		if got, err := visit(t.Context(), &l, work, nil); got != "late" || err != nil {
			t.Errorf("visit after the share is back: %q, %v", got, err)
		}
	})
}

// A slow share is not a hung one: what counts is one call, not the whole scan.
func TestSlowShareIsOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for _, name := range strings.Fields("a b c d e f g h") {
			r.write(name+".dcm", name+" end")
		}
		r.lane.hold = func(string) error {
			time.Sleep(4 * time.Second) // of the bubble's clock; the limit is 5
			return nil
		}
		r.scans(6)
		if len(r.handled) != 8 {
			t.Errorf("%d of 8 files taken", len(r.handled))
		}
	})
}

func TestRunEndsWhileTheHandlerIsBusy(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Scan, o.Now = time.Millisecond, nil })
	ctx, cancel := context.WithCancel(t.Context())
	r.o.Handle = func(ctx context.Context, _ Claim) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	r.write("a.dcm", "picture end")
	if err := r.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	r.wantSpool(2) // to be offered again
	if strings.Contains(r.log.String(), "trouble") {
		t.Errorf("a shutdown is no trouble:\n%s", r.log)
	}
}

func TestOpenBeneathTheRootOnly(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "in/deep"), 0o755),
		os.WriteFile(filepath.Join(root, "in/deep/file"), []byte("x"), 0o600),
		os.WriteFile(filepath.Join(dir, "outside"), []byte("x"), 0o600),
		os.Symlink("deep", filepath.Join(root, "in/link")),
		os.Symlink("../../outside", filepath.Join(root, "in/escape")),
		os.Symlink(dir, filepath.Join(root, "out")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ways := map[string]func(int, string, int) (int, error){
		"openat2": openBeneath,
		"steps": func(root int, name string, flags int) (int, error) {
			return openSteps(root, name, flags|unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC)
		},
	}
	for way, open := range ways {
		for name, ok := range map[string]bool{
			"in/deep/file": true, "in/deep": true, ".": true,
			"in/link/file": false, "in/link": false, "in/escape": false,
			"out/outside": false, "../outside": false, "in/../../outside": false, "missing": false,
		} {
			fd, err := open(fd, name, 0)
			if (err == nil) != ok {
				t.Errorf("%s: open %q: %v", way, name, err)
			}
			if err == nil {
				unix.Close(fd)
			}
		}
	}
}

func TestEveryScanIsASignOfLife(t *testing.T) {
	signs := make(chan struct{})
	r := newRig(t, func(o *Options) {
		o.Scan = time.Millisecond
		o.Alive = func() { signs <- struct{}{} }
	})
	r.must(os.Rename(r.root, r.root+".away")) // an offline share is no dead watcher
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	for range 10 {
		<-signs
	}
	stop()
	for {
		select {
		case <-signs:
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

func TestASlowCopyIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signs, most, last := 0, time.Duration(0), time.Now()
		r := newRig(t, func(o *Options) {
			o.Alive = func() { signs, most, last = signs+1, max(most, time.Since(last)), time.Now() }
		})
		r.write("a.dcm", strings.Repeat("x", 4<<20)+" end")
		r.lane.hold = func(string) error {
			time.Sleep(4 * time.Second) // of the bubble's clock; the limit is 5
			return nil
		}
		r.scans(2)
		synctest.Wait()
		if len(r.handled) != 1 || signs < 17 || most > 5*time.Second {
			t.Errorf("%d files were taken with %d signs of life, at most %s apart", len(r.handled), signs, most)
		}
	})
}
