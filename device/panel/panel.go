// Package panel says with four lamps and a small display how the box is. What
// it says about an X-ray is the kiosk's matter: a lamp never shows a finding,
// and red means one thing only, that the box needs somebody.
//
// Colour is never the only sign: each lamp has its place and its rhythm, and
// the display says the same in words. From the top, as on a signal tower
// (IEC 60204-1):
//
//	red    quick blinking: the box needs somebody
//	amber  slow blinking: something waits; the box is starting, a file is not
//	       complete yet, a share or the network is offline
//	green  steady: a model is loaded and answers
//	white  lit with short winks: an X-ray is in hand
//
// Nothing blinks more than three times a second (WCAG 2.3.1).
package panel

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"sync"
	"time"

	"spinebox/internal/spine"
)

// Lights are the lamps of a board. They are called from one goroutine.
type Lights interface {
	// Light switches one of the lamps "red", "amber", "green" and "white". It
	// MUST return nil for a lamp that the board does not have, and after an
	// error it MUST be ready to be called again.
	Light(lamp string, lit bool) error
	// Halt brings the lamps into their safe state: all dark, so that nothing
	// claims to be ready when nobody is.
	Halt() error
}

// Display shows small pictures. It is called from one goroutine.
type Display interface {
	// Show replaces what is shown by a frame of Width×Height pixels. After an
	// error it MUST be ready to be called again.
	Show(frame image.Image) error
	// Halt leaves the display dark.
	Halt() error
}

// Options are what a panel consists of.
type Options struct {
	Lights  Lights  // nil: there are no lamps
	Display Display // nil: there is no display
	Log     *slog.Logger
	// Report is told what is wrong with the panel itself whenever that
	// changes; nil: nobody is told. It must not block.
	Report func(spine.PanelStatus)
}

// Panel keeps lamps and display as the box's state wants them.
type Panel struct {
	o Options

	mu     sync.Mutex
	status spine.Status
	health spine.PanelStatus
	wake   chan struct{} // closed at each change, and replaced
}

// New makes a panel.
func New(o Options) *Panel {
	if o.Report == nil {
		o.Report = func(spine.PanelStatus) {}
	}
	return &Panel{o: o, wake: make(chan struct{})}
}

// SetStatus tells the panel how the box is. It never blocks.
func (p *Panel) SetStatus(s spine.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = s
	close(p.wake)
	p.wake = make(chan struct{})
}

func (p *Panel) now() (spine.Status, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, p.wake
}

const (
	beat    = 250 * time.Millisecond // of the lamps
	second  = time.Second            // of the display
	retry   = 2 * time.Second        // until a part that does not obey is tried again
	patient = 2 * time.Second        // for a display that hangs when the panel ends
)

// Run shows each status until ctx ends, then leaves lamps and display dark. A
// part that does not obey is reported and tried again; it never stops the
// service, and a display that hangs keeps no lamp waiting.
func (p *Panel) Run(ctx context.Context) error {
	displayed := make(chan struct{})
	go func() {
		defer close(displayed)
		p.runDisplay(ctx)
	}()
	p.runLights(ctx)
	<-ctx.Done() // without lamps there is nothing to do, and the box goes on
	select {
	case <-displayed:
	case <-time.After(patient):
		p.o.Log.Warn("the display hangs and stays as it is")
	}
	return nil
}

func (p *Panel) runLights(ctx context.Context) {
	if p.o.Lights == nil {
		return
	}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	shown := map[string]bool{}
	var rest int // beats until lamps that do not obey are tried again
	for tick := 0; ; {
		status, wake := p.now()
		if rest == 0 {
			err := p.light(Lamps(status).At(tick), shown)
			p.report(func(h *spine.PanelStatus) *string { return &h.Lamps }, "lamps", err)
			if err != nil {
				rest = int(retry / beat)
			}
		}
		select {
		case <-ctx.Done():
			if err := p.o.Lights.Halt(); err != nil {
				p.o.Log.Warn("a lamp may have stayed lit", "error", err)
			}
			return
		case <-wake:
		case <-ticker.C:
			tick++
			rest = max(0, rest-1)
		}
	}
}

// light switches the lamps that are not shown as they should be.
func (p *Panel) light(lamps Lit, shown map[string]bool) error {
	var errs []error
	for name, lit := range lamps.byName() {
		if before, known := shown[name]; known && before == lit {
			continue
		}
		if err := p.o.Lights.Light(name, lit); err != nil {
			delete(shown, name)
			errs = append(errs, err)
			continue
		}
		shown[name] = lit
	}
	return errors.Join(errs...)
}

func (p *Panel) runDisplay(ctx context.Context) {
	if p.o.Display == nil {
		return
	}
	ticker := time.NewTicker(second)
	defer ticker.Stop()
	var rest int
	for tick := 0; ; {
		status, wake := p.now()
		if rest == 0 {
			err := guarded(func() error { return p.o.Display.Show(Frame(status, tick)) })
			p.report(func(h *spine.PanelStatus) *string { return &h.Display }, "display", err)
			if err != nil {
				rest = int(retry / second)
			}
		}
		select {
		case <-ctx.Done():
			if err := guarded(p.o.Display.Halt); err != nil {
				p.o.Log.Warn("the display may have stayed lit", "error", err)
			}
			return
		case <-wake:
		case <-ticker.C:
			tick++
			rest = max(0, rest-1)
		}
	}
}

// guarded turns a panic of a display's driver into an error: a defect there is
// no reason to stop reading X-rays.
func guarded(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the display's driver panicked: %v", r)
		}
	}()
	return do()
}

// report tells when a part begins to disobey, and when it obeys again.
func (p *Panel) report(field func(*spine.PanelStatus) *string, part string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := field(&p.health)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if (text == "") != (*said == "") {
		if err != nil {
			p.o.Log.Warn("a part of the panel does not obey and is tried again", "part", part, "error", err)
		} else {
			p.o.Log.Info("a part of the panel obeys again", "part", part)
		}
	}
	if *said != text {
		*said = text
		p.o.Report(p.health)
	}
}
