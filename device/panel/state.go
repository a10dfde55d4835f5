package panel

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"spinebox/internal/spine"
)

// Lit says which lamps are lit.
type Lit struct{ Red, Amber, Green, White bool }

// At returns which of the lamps are lit in a beat of a quarter of a second,
// counted from 0: each has its own rhythm, so that red, amber and green are
// told apart by whoever does not see their colours.
func (l Lit) At(tick int) Lit {
	return Lit{
		Red:   l.Red && tick%2 == 0,
		Amber: l.Amber && tick%8 < 4,
		Green: l.Green,
		White: l.White && tick%4 != 3,
	}
}

// Places returns the names of the lamps from the top.
func Places() []string { return []string{"red", "amber", "green", "white"} }

// byName yields the lamps from the top.
func (l Lit) byName() iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		lit := []bool{l.Red, l.Amber, l.Green, l.White}
		for i, name := range Places() {
			if !yield(name, lit[i]) {
				return
			}
		}
	}
}

// Lamps says which lamps a status lights.
func Lamps(s spine.Status) Lit {
	n := look(s)
	return Lit{
		Red:   s.Trouble != "",
		Amber: !s.Ready || n.waiting > 0 || len(n.away) > 0 || len(n.complaining) > 0 || n.cut,
		Green: s.Ready && s.Trouble == "",
		White: s.Busy,
	}
}

// notes are what lamps and words are made of.
type notes struct {
	away, complaining []string // shares, sorted
	waiting           int      // files that are not complete yet
	cut               bool     // from the broker
}

func look(s spine.Status) (n notes) {
	for name, share := range s.Shares {
		switch {
		case !share.Online:
			n.away = append(n.away, name)
		case share.Error != "":
			n.complaining = append(n.complaining, name)
		}
		n.waiting += share.Waiting
	}
	slices.Sort(n.away)
	slices.Sort(n.complaining)
	n.cut = s.Broker.Configured && !s.Broker.Online
	return n
}

// words say what the display shows for a status: the state in a word or two,
// and its details, each in a line or more.
func words(s spine.Status) (state string, details []string) {
	switch {
	case s.Trouble != "":
		state, details = "NEEDS SOMEBODY", []string{s.Trouble}
	case !s.Ready:
		state = "STARTING"
	case s.Busy:
		state = "WORKING"
	default:
		state = "READY"
	}
	say := func(format string, args ...any) { details = append(details, fmt.Sprintf(format, args...)) }
	n := look(s)
	for _, name := range n.away {
		say("share %s offline", name)
	}
	for _, name := range n.complaining {
		say("look at share %s", name)
	}
	if n.cut {
		say("network offline")
	}
	if n.waiting > 0 {
		say("%d waiting", n.waiting)
	}
	if s.Outbox > 0 {
		say("%d to send", s.Outbox)
	}
	if s.Quarantine > 0 {
		say("%d in quarantine", s.Quarantine)
	}
	if s.Unsigned {
		say("unsigned model")
	}
	return state, details
}

// wrap breaks a text into lines of at most width characters, between words
// where it can, of printable ASCII.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(ascii(text)) {
		for len(line)+1+len(word) > width && line != "" || len(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
				continue
			}
			lines, word = append(lines, word[:width]), word[width:]
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// ascii replaces what a small display's font cannot show.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
