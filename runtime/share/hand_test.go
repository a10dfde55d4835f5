package share

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// While two claims are in hand the next file is copied, and no more than that.
func TestTheNextFileIsCopiedWhileOthersAreInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 6 {
			r.write(fmt.Sprintf("%d.dcm", i), fmt.Sprintf("%d end", i))
		}
		release := make(chan struct{})
		handle, inHand, most := r.o.Handle, 0, 0
		r.o.Handle = func(ctx context.Context, c Claim) error {
			r.mu.Lock()
			inHand++
			most = max(most, inHand)
			r.mu.Unlock()
			<-release
			r.mu.Lock()
			inHand--
			r.mu.Unlock()
			return handle(ctx, c)
		}
		r.scans(1)
		ended := make(chan error)
		go func() { ended <- r.scan() }()
		synctest.Wait()
		r.mu.Lock()
		if inHand != 2 {
			t.Errorf("%d claims are in hand, want 2", inHand)
		}
		r.mu.Unlock()
		copies, err := filepath.Glob(filepath.Join(r.spool, "*.json"))
		if err != nil || len(copies) != 3 {
			t.Errorf("%d copies lie in the spool, want 3: two in hand and the next one (%v)", len(copies), err)
		}
		close(release)
		if err := <-ended; err != nil || most != 2 || inHand != 0 {
			t.Errorf("the scan ended with %v; %d claims were in hand at most, %d still are", err, most, inHand)
		}
		r.want("0 end", "1 end", "2 end", "3 end", "4 end", "5 end")
		r.wantSpool(0)
	})
}

// One claim that the box cannot take in stops the intake, and must not lose the
// others that are in hand.
func TestAnErrorOfOneClaimIsNotTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 6 {
			r.write(fmt.Sprintf("%d.dcm", i), fmt.Sprintf("%d end", i))
			when := time.Unix(int64(i), 0)
			r.must(os.Chtimes(filepath.Join(r.root, fmt.Sprintf("%d.dcm", i)), when, when))
		}
		handle, full := r.o.Handle, errors.New("the disk is full")
		r.o.Handle = func(ctx context.Context, c Claim) error {
			if c.Name == "0.dcm" {
				return full
			}
			time.Sleep(time.Second) // of the bubble's clock: it ends after the error
			return handle(ctx, c)
		}
		r.scans(1)
		for range 3 {
			if err := r.scan(); !errors.Is(err, full) {
				t.Errorf("the scan ended with %v", err)
			}
		}
		if got := r.Status().Error; got != "The box cannot take files in: the disk is full." {
			t.Errorf("the status says %q", got)
		}
		r.want("1 end", "5 end") // those in hand, and the one that was copied meanwhile
		r.wantSpool(2)
		r.o.Handle = handle
		r.scans(1)
		r.want("0 end", "1 end", "2 end", "3 end", "4 end", "5 end")
		r.wantSpool(0)
	})
}

// Whatever takes its time with an image, the share's state is looked after, but
// the watchdog is not fed: only the handler knows whether it makes progress.
func TestAnImageThatTakesItsTimeHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fed, inHand atomic.Int32
		r := newRig(t, func(o *Options) {
			o.Scan, o.Now = time.Second, nil
			o.Alive = func() { fed.Add(1) }
		})
		r.deaf()
		release := make(chan struct{})
		handle := r.o.Handle
		r.o.Handle = func(ctx context.Context, c Claim) error {
			inHand.Add(1)
			<-release
			return handle(ctx, c)
		}
		for i := range 9 {
			r.write(fmt.Sprintf("%d.dcm", i), fmt.Sprintf("%d end", i))
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(10 * time.Second) // of the bubble's clock
		if inHand.Load() != 2 || fed.Swap(0) == 0 {
			t.Errorf("%d are in hand; there were signs of life while there was nothing to do: %d", inHand.Load(), fed.Load())
		}
		for _, away := range []bool{true, false, true, false} {
			if away {
				r.must(os.Rename(r.root, r.root+".away"))
			} else {
				r.must(os.Rename(r.root+".away", r.root))
			}
			time.Sleep(10 * time.Second)
			if got := r.Status(); got.Online == away {
				t.Errorf("10 s after the share went away (%t), its status is %+v", away, got)
			}
		}
		if inHand.Load() != 2 || fed.Load() != 0 {
			t.Errorf("%d are in hand; the watchdog was fed %d times by a handler that hangs", inHand.Load(), fed.Load())
		}
		close(release)
		time.Sleep(20 * time.Second)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.want("0 end", "1 end", "2 end", "3 end", "4 end", "5 end", "6 end", "7 end", "8 end")
		r.wantSpool(0)
	})
}

// The box's own disk in trouble is not the share's.
func TestASpoolThatCannotBeMade(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	r.must(os.WriteFile(r.spool, nil, 0o600)) // a file where the folder should be
	for range 3 {
		if err := r.scan(); err == nil || !r.Status().Online || !strings.HasPrefix(r.Status().Error, "Make the spool") {
			t.Errorf("scan: %v, status %+v", err, r.Status())
		}
	}
	r.must(os.Rename(r.root, r.root+".away"))
	if err := r.scan(); err == nil || r.Status().Online {
		t.Errorf("scan: %v, status %+v", err, r.Status())
	}
	r.must(os.Rename(r.root+".away", r.root))
	r.must(os.Remove(r.spool))
	r.scans(2)
	r.want("picture end")
}

// Somebody cleans up where he should not.
func TestTheSpoolIsMadeAgain(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "first end")
	r.refuse = errors.New("the ledger is full")
	r.scans(1)
	_ = r.scan()
	r.must(os.RemoveAll(filepath.Dir(r.spool)))
	r.refuse = nil
	r.write("b.dcm", "second end")
	r.scans(5)
	r.want("first end", "second end") // the first was copied again from the share
	r.wantSpool(0)
	if !strings.Contains(r.log.String(), "somebody has removed a copy") {
		t.Errorf("nobody says what happened:\n%s", r.log)
	}
}

// A copy that goes while it is in hand is no trouble of the box: the file is
// taken again.
func TestACopyThatVanishesInHandIsTakenAgain(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	handle, first := r.o.Handle, true
	r.o.Handle = func(ctx context.Context, c Claim) error {
		if first {
			first = false
			r.must(os.Remove(c.Path))
			return fmt.Errorf("the copy: %w", os.ErrNotExist)
		}
		return handle(ctx, c)
	}
	r.scans(5)
	r.want("picture end")
	r.wantSpool(0)
}

// The spool has one place for the same bytes, however many files have them.
func TestTheSameBytesAreNeverInHandTwice(t *testing.T) {
	r := newRig(t)
	for i := range 8 {
		r.write(fmt.Sprintf("%d.dcm", i), "picture end")
	}
	handle, inHand := r.o.Handle, 0
	r.o.Handle = func(ctx context.Context, c Claim) error {
		r.mu.Lock()
		if inHand++; inHand > 1 {
			t.Error("a copy is in hand twice")
		}
		r.mu.Unlock()
		err := handle(ctx, c)
		if _, e := os.Stat(c.Path); e != nil {
			t.Errorf("the copy went while it was in hand: %v", e)
		}
		r.mu.Lock()
		inHand--
		r.mu.Unlock()
		return err
	}
	r.scans(2)
	names := map[string]bool{}
	for _, c := range r.handled {
		names[c.Name] = true
	}
	if len(names) != 8 || len(r.handled) != 8 {
		t.Errorf("%d of 8 files were handled, in %d claims", len(names), len(r.handled))
	}
	r.wantSpool(0)
}
