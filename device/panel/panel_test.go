package panel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spinebox/internal/spine"
)

// lights are lamps that remember.
type lights struct {
	mu     sync.Mutex
	lit    map[string]bool
	calls  int
	halted int
	broken error
}

func (l *lights) Light(lamp string, lit bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.broken != nil {
		return l.broken
	}
	l.lit[lamp] = lit
	return nil
}

func (l *lights) Halt() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.halted++
	clear(l.lit)
	return nil
}

func (l *lights) names() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name, lit := range l.lit {
		if lit {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (l *lights) set(broken error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

// screen is a display that remembers its last frame; show, when there is one,
// comes first.
type screen struct {
	mu     sync.Mutex
	frame  image.Image
	dark   bool
	halted int
	show   func() error
}

func (s *screen) Show(frame image.Image) error {
	s.mu.Lock()
	show := s.show
	s.mu.Unlock()
	if show != nil {
		if err := show(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frame, s.dark = frame, false
	return nil
}

func (s *screen) Halt() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dark, s.halted = true, s.halted+1
	return nil
}

func (s *screen) set(show func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show = show
}

func (s *screen) shows(status spine.Status, seconds int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ok := s.frame.(*image.Gray)
	return ok && !s.dark && bytes.Equal(got.Pix, Frame(status, seconds).Pix)
}

// rig is a running panel in a bubble of its own time.
type rig struct {
	*Panel
	lights   *lights
	screen   *screen
	log      bytes.Buffer
	reported []spine.PanelStatus
	end      func() error
}

func run(t *testing.T) *rig {
	r := &rig{lights: &lights{lit: map[string]bool{}}, screen: &screen{}}
	r.Panel = New(Options{Lights: r.lights, Display: r.screen, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Report: func(s spine.PanelStatus) { r.reported = append(r.reported, s) }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.end = func() error {
		cancel()
		return <-ended
	}
	synctest.Wait()
	return r
}

func TestPanelFollowsTheStatusAndGoesDark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		if got := r.lights.names(); got != "amber" || !r.screen.shows(spine.Status{}, 0) {
			t.Errorf("before the first status: lit %q", got)
		}
		ready := spine.Status{Ready: true}
		r.SetStatus(ready)
		synctest.Wait()
		if got := r.lights.names(); got != "green" || !r.screen.shows(ready, 0) {
			t.Errorf("ready: lit %q", got)
		}
		calls := r.lights.calls
		r.SetStatus(spine.Status{Ready: true, Classified: 7})
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		if r.lights.calls != calls {
			t.Error("a status that changes nothing was written to the lamps again")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if !r.screen.shows(ready, 1) {
			t.Error("the display does not say that it lives")
		}
		if err := r.end(); err != nil || r.lights.halted != 1 || r.lights.names() != "" || !r.screen.dark || r.screen.halted != 1 {
			t.Errorf("Run: %v, lamps halted %d times, lit %q, display dark %v", err, r.lights.halted, r.lights.names(), r.screen.dark)
		}
		if len(r.reported) > 0 || r.log.Len() > 0 {
			t.Errorf("a panel that obeys reports %v and logs\n%s", r.reported, &r.log)
		}
	})
}

// The rhythms, as somebody sees them who stands before the box for two seconds.
func TestLampsKeepTheirRhythms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		r.SetStatus(spine.Status{Ready: true, Busy: true, Trouble: "The disk is full.", Broker: spine.LinkStatus{Configured: true}})
		time.Sleep(beat / 2)
		seen := map[string]string{}
		for range 8 {
			synctest.Wait()
			for _, name := range []string{"red", "amber", "green", "white"} {
				mark := "."
				if slices.Contains(strings.Fields(r.lights.names()), name) {
					mark = "#"
				}
				seen[name] += mark
			}
			time.Sleep(beat)
		}
		want := map[string]string{"red": "#.#.#.#.", "amber": "####....", "green": "........", "white": "###.###."}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("seen %v, want %v", seen, want)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// A display that is missing, fails, panics or hangs is reported once, heals by
// itself, and holds up no lamp; so do lamps.
func TestWhatDoesNotObeyHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		status := spine.Status{Ready: true}
		show := func(s spine.Status) {
			status = s
			r.SetStatus(s)
			time.Sleep(retry + second) // its next try is over
			synctest.Wait()
		}
		r.screen.set(func() error { return errors.New("bus 7 is not there") })
		show(spine.Status{Ready: true})
		r.screen.set(func() error { panic("index out of range") })
		show(spine.Status{Ready: true, Busy: true})
		if got := r.lights.names(); !strings.Contains(got, "green") {
			t.Errorf("the display is broken, lit are %q", got)
		}
		r.lights.set(errors.New("line 105: input/output error"))
		show(spine.Status{Ready: true, Outbox: 3})
		show(spine.Status{Ready: true, Outbox: 3, Trouble: "The disk is full."})

		got := r.reported[len(r.reported)-1]
		if got.Display != "the display's driver panicked: index out of range" || !strings.HasPrefix(got.Lamps, "line 105") {
			t.Errorf("reported %+v", got)
		}
		r.lights.set(nil)
		r.screen.set(nil)
		show(status)
		if got := r.lights.names(); got != "red" && got != "" {
			t.Errorf("the lamps obey again, lit are %q", got)
		}
		if !r.screen.shows(status, int(time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))/second)) {
			t.Error("the display obeys again and shows something else")
		}
		if got := r.reported[len(r.reported)-1]; got != (spine.PanelStatus{}) {
			t.Errorf("all is well, reported is %+v", got)
		}
		for _, said := range []string{"does not obey", "obeys again"} {
			if got := strings.Count(r.log.String(), said); got != 2 { // lamps and display
				t.Errorf("%q was logged %d times:\n%s", said, got, &r.log)
			}
		}
		if err := r.end(); err != nil || r.lights.names() != "" || !r.screen.dark {
			t.Errorf("Run: %v, lit %q", err, r.lights.names())
		}
	})
}

func TestADisplayThatHangsKeepsNoLampLit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		hang := make(chan struct{})
		r.screen.set(func() error { <-hang; return nil })
		r.SetStatus(spine.Status{Ready: true})
		synctest.Wait()
		r.SetStatus(spine.Status{Ready: true, Trouble: "The disk is full."})
		synctest.Wait()
		if got := r.lights.names(); got != "red" {
			t.Errorf("the display hangs, lit are %q", got)
		}
		began := time.Now()
		if err := r.end(); err != nil || r.lights.names() != "" || r.lights.halted != 1 {
			t.Errorf("Run: %v, lit %q", err, r.lights.names())
		}
		if took := time.Since(began); took != patient {
			t.Errorf("the end took %s, want %s", took, patient)
		}
		if !strings.Contains(r.log.String(), "the display hangs") {
			t.Errorf("logged:\n%s", &r.log)
		}
		close(hang)
	})
}

func TestAPanelWithoutLampsAndDisplay(t *testing.T) {
	p := New(Options{Log: slog.New(slog.DiscardHandler)})
	p.SetStatus(spine.Status{Ready: true})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Errorf("it ended before it was told to: %v", err)
		default:
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
