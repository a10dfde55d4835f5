package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"spinebox/device/kiosk"
	"spinebox/internal/spine"
)

// Many results at once are all shown, in their order, and hold nobody up; the
// latest has its picture, and so have few of the others.
func TestThePainterFollowsAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown []kiosk.View
		p := newPainter(func(v kiosk.View) { shown = append(shown, v) }, slog.New(slog.DiscardHandler))
		add := func(n int) {
			picture := &spine.Picture{Width: 10, Height: 20, Pix: make([]float32, 200)}
			p.add(painting{&spine.Image{Digest: fmt.Sprintf("%012d%052d", n, 0), Decision: spine.Decision{Outcome: spine.Refused}}, picture})
		}
		for n := range 10 { // before it runs: it must not block
			add(n)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		for n := range 90 { // in nine seconds
			time.Sleep(100 * time.Millisecond)
			add(10 + n)
		}
		time.Sleep(time.Second)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		painted := 0
		for n, v := range shown {
			if want := fmt.Sprintf("%012d", n); v.ID != want {
				t.Fatalf("result %d is %s, want %s", n, v.ID, want)
			}
			if v.Preview != nil {
				painted++
			}
		}
		if len(shown) != 100 || shown[99].Preview == nil || painted < 10 || painted > 21 {
			t.Errorf("%d of 100 results were shown, %d with their pictures, the last: %t", len(shown), painted, shown[len(shown)-1].Preview != nil)
		}
	})
}
