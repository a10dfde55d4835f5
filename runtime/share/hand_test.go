package share

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		if inHand != 2 {
			t.Errorf("%d claims are in hand, want 2", inHand)
		}
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

// One claim that the box cannot take in must not lose the other one in hand.
func TestAnErrorOfOneClaimIsNotTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 4 {
			r.write(fmt.Sprintf("%d.dcm", i), fmt.Sprintf("%d end", i))
		}
		handle, full := r.o.Handle, errors.New("the disk is full")
		r.o.Handle = func(ctx context.Context, c Claim) error {
			if c.Name == "0.dcm" {
				return full
			}
			time.Sleep(time.Minute) // of the bubble's clock: it ends after the error
			return handle(ctx, c)
		}
		r.scans(1)
		if err := r.scan(); !errors.Is(err, full) {
			t.Errorf("the scan ended with %v", err)
		}
		if len(r.handled) != 1 || r.handled[0].Name != "1.dcm" {
			t.Errorf("handled were %+v", r.handled)
		}
		r.wantSpool(4) // what could not be taken in, and what had been copied next
		r.o.Handle = handle
		r.scans(1)
		r.want("0 end", "1 end", "2 end", "3 end")
		r.wantSpool(0)
	})
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
