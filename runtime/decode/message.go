package decode

import (
	"math"
	"slices"
	"strings"
	"time"

	"spinebox/internal/spine"
	"spinebox/runtime/confine"
)

// The two descriptors that a child begins with beside standard input, output
// and error (which lead nowhere).
const (
	controlFD = 3 // a socket that keeps messages apart
	pixelsFD  = 4 // a file in memory for the picture
)

// protocol counts up when the messages or the flags change: an update that
// replaces one program before the other must not be taken for a damaged file.
const protocol = 1

// maxMessage is more than any message has, in bytes.
const maxMessage = 4096

// maxReason is more than any reason has, in characters.
const maxReason = 300

// hello is the child's first message: it is confined and waits for its file,
// which comes as a descriptor with one byte.
type hello struct {
	Protocol  int
	Confined  confine.Report
	Converter bool // there is a program for compressed DICOM
}

// answer is the child's second and last message.
type answer struct {
	// Fault is why the file gives no picture.
	Fault *spine.Fault `json:",omitempty"`
	// Broken is an error that is none of the file's: reading it failed.
	Broken string `json:",omitempty"`

	Width, Height int
	Facts         spine.Facts

	// In the file in memory lie the codes row by row, of CodeBytes bytes each,
	// and behind them a table of Greys float32, all in the machine's order.
	// CodeBytes is 1 or 2; or 4, then the codes are the greys themselves.
	CodeBytes int
	Greys     int
}

// printable reports whether text is at most n printable ASCII characters. Who
// has taken a child over must not reach a log, a page or a message with it.
// (Loops, not patterns: to compile one takes longer than all else of a child's
// start.)
func printable(text string, n int) bool {
	return len(text) <= n && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// sound reports whether the answer is one that a child in its right mind gives.
func (a *answer) sound(pixels int) bool {
	if a.Broken != "" {
		return printable(a.Broken, maxReason)
	}
	if f := a.Fault; f != nil {
		return slices.Contains([]spine.Code{spine.Corrupt, spine.Unsupported, spine.Timeout}, f.Code) && printable(f.Reason, maxReason)
	}
	f := a.Facts
	for _, text := range []string{f.Format, f.Modality, f.BodyPart, f.View, f.Laterality, f.Detector, f.Manufacturer} {
		if !printable(text, 24) {
			return false
		}
	}
	greys := map[int]int{1: 1 << 8, 2: 1 << 16, 4: 0}
	most, known := greys[a.CodeBytes]
	return known && a.Greys >= 0 && a.Greys <= most && a.Width > 0 && a.Height > 0 && a.Width <= pixels/a.Height &&
		f.Bits >= 1 && f.Bits <= 16 && f.Hues >= 0 && f.Hues <= 1 && printable(f.SOPInstanceUID, 64)
}

// seconds is a duration as the child's flags write it.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
