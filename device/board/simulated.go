package board

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Simulated is a board of which only the log knows: for a machine without
// lamps. It is safe for concurrent use.
type Simulated struct {
	log *slog.Logger

	mu    sync.Mutex
	lit   map[string]bool
	lines []string
	said  string
}

// NewSimulated makes a board without lamps.
func NewSimulated(log *slog.Logger) *Simulated {
	return &Simulated{log: log, lit: map[string]bool{}}
}

// Light remembers the lamp.
func (s *Simulated) Light(lamp string, lit bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lit {
		s.lit[lamp] = true
	} else {
		delete(s.lit, lamp)
	}
	return nil
}

// Show remembers the text and logs the whole panel when it differs from what
// was logged last.
func (s *Simulated) Show(lines []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "" })
	s.say()
	return nil
}

// Halt turns all lamps off and empties the display.
func (s *Simulated) Halt() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.lit)
	s.lines = nil
	s.say()
	return nil
}

// Lit returns the names of the lamps that are lit, sorted.
func (s *Simulated) Lit() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.lit))
}

// Lines returns the display's text without empty lines.
func (s *Simulated) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

func (s *Simulated) say() {
	lamps, display := strings.Join(slices.Sorted(maps.Keys(s.lit)), " "), strings.Join(s.lines, " | ")
	if now := lamps + "\n" + display; now != s.said {
		s.said = now
		s.log.Debug("simulated panel", "lit", lamps, "display", display)
	}
}
