package uplink

import (
	"sync"
	"time"
)

// sayAgain is how long a line is not said again.
const sayAgain = time.Minute

// seldom lets one line a minute through to the log, and counts the others:
// whoever may publish on the box's topics must not fill its disk.
type seldom struct {
	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// say calls line with the number of lines that were not said since the last one,
// unless it is too early.
func (s *seldom) say(now time.Time, line func(unsaid int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.next) {
		s.unsaid++
		return
	}
	line(s.unsaid)
	s.next, s.unsaid = now.Add(sayAgain), 0
}
