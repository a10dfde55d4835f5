package main

import (
	"context"
	"errors"
	"testing"
)

// A part that ends before it is told to is a defect, and the service must not
// end with 0 for it: systemd would take that for a wish.
func TestAPartThatEndsByItselfIsAnError(t *testing.T) {
	for what, result := range map[string]error{"nil": nil, "a context of its own": context.Canceled, "an error": errors.New("broken")} {
		running, fail := context.WithCancelCause(context.Background())
		s := begin(fail, func(context.Context) error { return result })
		<-running.Done()
		if err := s.Close(); err == nil {
			t.Errorf("a part returned %s, and the stage ended without an error", what)
		}
	}
	running, fail := context.WithCancelCause(context.Background())
	s := begin(fail, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, func(ctx context.Context) error { <-ctx.Done(); return nil })
	if err := s.Close(); err != nil || running.Err() != nil {
		t.Errorf("parts that ended when told to: %v, %v", err, context.Cause(running))
	}
	fail(nil)
}
