package panel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"spinebox/internal/spine"
)

// recorder is a board that remembers.
type recorder struct {
	lit    map[string]bool
	lines  []string
	calls  int
	halted int
	broken error
}

func (r *recorder) Light(lamp string, lit bool) error {
	r.calls++
	if r.broken != nil {
		return r.broken
	}
	r.lit[lamp] = lit
	return nil
}

func (r *recorder) Show(lines []string) error { r.lines = lines; return nil }

func (r *recorder) Halt() error {
	r.halted++
	clear(r.lit)
	return nil
}

func TestPanelFollowsTheStatusAndGoesDark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := &recorder{lit: map[string]bool{}}
		var log bytes.Buffer
		p := New(board, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		show := func(s spine.Status, want string) {
			t.Helper()
			p.SetStatus(s)
			synctest.Wait()
			if got := fmt.Sprint(board.lit); got != want {
				t.Errorf("lamps %v, want %v", got, want)
			}
		}

		show(spine.Status{Ready: true}, "map[amber:false green:true red:false white:false]")
		if board.lines[0] != "READY" {
			t.Errorf("display %q", board.lines)
		}
		calls := board.calls
		show(spine.Status{Ready: true, Classified: 7}, "map[amber:false green:true red:false white:false]")
		if board.calls != calls {
			t.Error("a status that changes nothing was written to the lamps again")
		}

		board.broken = errors.New("line 4: input/output error")
		show(spine.Status{Ready: true, Busy: true}, "map[amber:false green:true red:false white:false]")
		show(spine.Status{Ready: true, Busy: true}, "map[amber:false green:true red:false white:false]")
		board.broken = nil
		// The same status again: the lamps still have to be brought up to it.
		show(spine.Status{Ready: true, Busy: true}, "map[amber:false green:true red:false white:true]")
		if got := strings.Count(log.String(), "does not obey"); got != 1 {
			t.Errorf("the trouble was logged %d times:\n%s", got, log.String())
		}

		cancel()
		if err := <-ended; err != nil || board.halted != 1 || len(board.lit) != 0 {
			t.Errorf("Run: %v, halted %d times, lamps %v", err, board.halted, board.lit)
		}
	})
}
