package health

import (
	"context"
	"errors"
	"testing"
	"time"

	"spinebox/internal/spine"
)

func TestWatchersSeeTheLatestStateAndNoQueue(t *testing.T) {
	h := New("v1", time.Unix(1, 0))
	ctx, stop := context.WithCancel(t.Context())
	seen, hold := make(chan spine.Status), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- h.Watch(ctx, func(s spine.Status) {
			seen <- s
			<-hold
		})
	}()
	if s := <-seen; s.Outbox != 0 || s.Version != "v1" {
		t.Fatalf("the first state shown is %+v", s)
	}
	for i := range 100 { // while the watcher is still busy with the first
		h.Update(func(s *spine.Status) { s.Outbox = i + 1 })
	}
	hold <- struct{}{}
	if s := <-seen; s.Outbox != 100 {
		t.Errorf("after 100 changes the watcher saw %d, want the latest", s.Outbox)
	}
	stop()
	close(hold)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v", err)
	}
}

func TestAnUpdateThatChangesNothingWakesNobody(t *testing.T) {
	h := New("v1", time.Unix(1, 0))
	h.Update(func(s *spine.Status) { s.Shares["scanner"] = spine.ShareStatus{Online: true} })
	before := h.changed
	h.Update(func(s *spine.Status) { s.Shares["scanner"] = spine.ShareStatus{Online: true} })
	h.Trouble("disk", "")
	if h.changed != before {
		t.Error("watchers were woken although nothing changed")
	}
	h.Update(func(s *spine.Status) { s.Shares["scanner"] = spine.ShareStatus{} })
	if h.changed == before {
		t.Error("watchers were not woken although a share went offline")
	}
}

func TestAStatusIsACopy(t *testing.T) {
	h := New("v1", time.Unix(1, 0))
	h.Update(func(s *spine.Status) { s.Models = []spine.ModelID{{Name: "a"}} })
	s := h.Status()
	s.Shares["scanner"] = spine.ShareStatus{Online: true}
	s.Models[0].Name = "b"
	if now := h.Status(); len(now.Shares) != 0 || now.Models[0].Name != "a" {
		t.Errorf("changing a copy changed the box: %+v", now)
	}
}

func TestTheOldestTroubleIsShownUntilItIsOver(t *testing.T) {
	h := New("v1", time.Unix(1, 0))
	steps := []struct{ part, sentence, want string }{
		{"disk", "The disk is full.", "The disk is full."},
		{"share", "The share is away.", "The disk is full."},
		{"disk", "The disk is still full.", "The disk is still full."},
		{"disk", "", "The share is away."},
		{"share", "", ""},
		{"share", "", ""},
	}
	for _, s := range steps {
		h.Trouble(s.part, s.sentence)
		if got := h.Status().Trouble; got != s.want {
			t.Errorf("after %s said %q the room reads %q, want %q", s.part, s.sentence, got, s.want)
		}
	}
}
