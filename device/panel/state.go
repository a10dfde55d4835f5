package panel

import (
	"fmt"
	"slices"
	"strings"

	"spinebox/internal/spine"
)

// Lamps says which lamps are lit.
type Lamps struct{ Green, White, Amber, Red bool }

// LineWidth is how many characters fit on a line of a 128 pixel wide display
// with letters 6 pixels wide.
const LineWidth = 21

// Lines is the display's text, top to bottom, of at most LineWidth printable
// ASCII characters each. Empty lines are at the end.
type Lines [4]string

// Slice returns the lines as a slice.
func (l Lines) Slice() []string { return l[:] }

// State says what the panel shows for a status.
func State(s spine.Status) (Lamps, Lines) {
	var away, complaining []string
	waiting := 0
	for name, share := range s.Shares {
		switch {
		case !share.Online:
			away = append(away, name)
		case share.Error != "":
			complaining = append(complaining, name)
		}
		waiting += share.Waiting
	}
	slices.Sort(away)
	slices.Sort(complaining)
	cut := s.Broker.Configured && !s.Broker.Online

	lamps := Lamps{
		Green: s.Ready && s.Trouble == "",
		White: s.Busy,
		Amber: !s.Ready || waiting > 0 || len(away) > 0 || len(complaining) > 0 || cut,
		Red:   s.Trouble != "",
	}

	var text []string
	say := func(format string, args ...any) { text = append(text, fmt.Sprintf(format, args...)) }
	switch {
	case s.Trouble != "":
		say("NEEDS SOMEBODY")
		text = append(text, wrap(s.Trouble, LineWidth)...)
	case !s.Ready:
		say("STARTING")
	case s.Busy:
		say("WORKING")
	default:
		say("READY")
	}
	for _, name := range away {
		say("share %s offline", name)
	}
	for _, name := range complaining {
		say("look at share %s", name)
	}
	if cut {
		say("network offline")
	}
	if waiting > 0 {
		say("%d waiting", waiting)
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

	var lines Lines
	for i := range min(len(text), len(lines)) {
		lines[i] = ascii(text[i], LineWidth)
	}
	return lamps, lines
}

// wrap breaks a sentence into lines between words.
func wrap(sentence string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(sentence) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// ascii cuts a text to what a small display's font can show.
func ascii(text string, width int) string {
	var b strings.Builder
	for _, r := range text {
		if b.Len() == width {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}
