// Package panel says with four lamps and four short lines how the box is. What
// it says about an X-ray is the kiosk's matter: a lamp never shows a finding,
// and red means one thing only, that the box needs somebody.
//
//	green  ready: a model is loaded and answers
//	white  working: an X-ray is in hand
//	amber  something waits: the box is starting, a file is not complete yet,
//	       a share or the network is offline
//	red    the box needs somebody
package panel

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"spinebox/internal/spine"
)

// Board drives lamps and a small display. It is called from one goroutine.
type Board interface {
	// Light switches one of the lamps "green", "white", "amber" and "red".
	// It MUST return nil for a lamp that the board does not have.
	Light(lamp string, lit bool) error
	// Show replaces the display's text. It MUST return nil when the board has
	// no display.
	Show(lines []string) error
	// Halt brings the board into its safe state: all lamps dark and the
	// display empty, so that nothing claims to be ready when nobody is.
	Halt() error
}

// Panel keeps a board's lamps and text as the box's state wants them.
type Panel struct {
	board Board
	log   *slog.Logger

	mu     sync.Mutex
	status spine.Status
	wake   chan struct{} // holds one: the status changed
}

// New makes a panel.
func New(board Board, log *slog.Logger) *Panel {
	return &Panel{board: board, log: log, wake: make(chan struct{}, 1)}
}

// SetStatus tells the panel how the box is. It never blocks.
func (p *Panel) SetStatus(s spine.Status) {
	p.mu.Lock()
	p.status = s
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run shows each status until ctx ends, then halts the board. A lamp that does
// not obey is logged and tried again with the next status; it never stops the
// service.
func (p *Panel) Run(ctx context.Context) error {
	var shown *state
	var broken bool
	for {
		select {
		case <-ctx.Done():
			return p.board.Halt()
		case <-p.wake:
		}
		p.mu.Lock()
		lamps, lines := State(p.status)
		p.mu.Unlock()
		next := state{lamps, lines}
		if shown != nil && *shown == next {
			continue
		}
		err := p.show(next)
		if shown = &next; err != nil {
			shown = nil
		}
		if (err != nil) != broken {
			broken = err != nil
			if broken {
				p.log.Warn("the panel does not obey", "error", err)
			} else {
				p.log.Info("the panel obeys again")
			}
		}
	}
}

type state struct {
	lamps Lamps
	lines Lines
}

func (p *Panel) show(s state) error {
	return errors.Join(
		p.board.Light("green", s.lamps.Green),
		p.board.Light("white", s.lamps.White),
		p.board.Light("amber", s.lamps.Amber),
		p.board.Light("red", s.lamps.Red),
		p.board.Show(s.lines.Slice()),
	)
}
